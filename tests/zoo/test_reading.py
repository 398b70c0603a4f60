"""A Tacotron that reads a text: its decoder, its training, and whether its sentences are understood."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from datasets.errors import InputError
from zoo import export, registry
from zoo.tacotron import reading, text
from zoo.tacotron.reading import attend_to_text
from zoo.tacotron.text_config import PRESETS, TextConfig
from zoo.tacotron.unroll import unroll

SMALLEST = dict(
    mel_bands=12,
    reduction=2,
    encoder_channels=6,
    encoder_layers=1,
    bank=3,
    highways=1,
    key_channels=4,
    location_filters=2,
    location_taps=3,
    prenet_channels=(8, 8),
    attention_channels=6,
    decoder_channels=6,
    postnet_channels=6,
    postnet_layers=2,
    postnet_bank=2,
    voices=4,
    voice_channels=2,
    style_channels=4,
    style_heads=2,
    batch_size=4,
)


def _random(*shape, seed: int = 0) -> tf.Tensor:
    return tf.constant(np.random.default_rng(seed).standard_normal(shape), tf.float32)


def shaken(seed: int = 0, **sizes):
    model_class, config = registry.find("tacotron", "tiny", {**SMALLEST, **sizes}, "text")
    model = model_class(config)
    rng = np.random.default_rng(seed)
    for weight in model.trainable_variables:
        weight.assign_add(0.3 * rng.standard_normal(weight.shape))
    return model


def _batch(model, frames: int = 12, letters: int = 9) -> dict:
    rng, bins = np.random.default_rng(0), model.spectra.bins
    written = rng.integers(2, text.N_LETTERS, (3, letters))
    written[:, 6:], written[0, 6], written[1, 3:], written[1, 3], written[2] = 0, text.END, 0, text.END, 0
    batch = {
        "text": written.astype(np.int32),
        "mel": rng.standard_normal((3, frames, model.config.mel_bands)).astype(np.float32),
        "linear": rng.standard_normal((3, frames, bins)).astype(np.float32),
        "n_frames": np.array([frames, 6, 0], np.int32),
        "voice": np.array([1, 2, 0], np.int32),
        "mask": np.array([1, 1, 0], np.float32),
    }
    return {key: tf.constant(value) for key, value in batch.items()}


MANNERS = {
    "tacotron2": {},
    "tacotron1": {"family": "tacotron1", "reference_encoder": True},
    "tokens": {"style_tokens": 3},
}


@pytest.fixture(scope="module", params=MANNERS)
def model(request):
    return shaken(**MANNERS[request.param])


def test_attention_to_a_text_and_its_gradient_are_those_of_a_plain_loop():
    n, m, k, letters, steps = 3, 4, 2, 6, 5
    inputs = [_random(2, steps, 4 * n), tf.cast(_random(2, steps, 2 * n, seed=1) > 1.0, tf.float32)]
    state = [_random(2, size, seed=2) for size in (n, n, m)] + [tf.nn.softmax(_random(2, letters))] * 2
    shapes = [(2, letters, k), (2, letters, m), (2, letters), (n + m, 4 * n), (n, k), (k,), (k,), (3, 2, 2), (2, k)]
    weights = [_random(*shape, seed=3) for shape in shapes]
    weights[2] = tf.constant([[1.0] * 6, [1.0] * 4 + [0.0] * 2])
    shares = [_random(2, steps, each.shape[-1], seed=4) for each in state]

    def plain(inputs, windows, state, weights):
        rows = []
        for t in range(steps):
            state = attend_to_text([each[:, t] for each in inputs], windows, state, weights)
            rows.append(state)
        return [tf.stack(each, axis=1) for each in zip(*rows, strict=True)]

    found = []
    for run in (plain, lambda *given: unroll(attend_to_text, *given, by_step=True)):
        with tf.GradientTape() as tape:
            watched = [*inputs, *state, *weights]
            tape.watch(watched)
            states = run(inputs, [], state, weights)
            total = tf.add_n([tf.reduce_sum(a * b) for a, b in zip(states, shares, strict=True)])
        found.append([*states, *tape.gradient(total, watched, unconnected_gradients="zero")])
    for wanted, got in zip(*found, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)
    assert (found[0][3].numpy()[1, :, 4:] == 0).all()


def test_steps_are_those_of_the_whole(model):
    """Teacher-forced and stepped, with the same numbers drawn."""
    batch = _batch(model)
    width, letters = model.manner.width, batch["text"]
    memory, exists, _ = model.begin(letters, batch["voice"], _random(3, width), tf.constant(7))
    state = model.decoder.initial_state(*letters.shape, tf.constant(7))
    before = _random(3, 6, model.config.mel_bands, seed=5)
    whole = model.decoder(before, memory, exists, state)[:3]
    steps = []
    for t in range(6):
        *told, state = model.decoder(before[:, t : t + 1], memory, exists, state)
        steps.append(told)
    for wanted, parts in zip(whole, zip(*steps, strict=True), strict=True):
        np.testing.assert_allclose(tf.concat(parts, axis=1), wanted, atol=1e-4)
    np.testing.assert_allclose(whole[2].numpy().sum(axis=-1)[:2], 1.0, atol=1e-5)


def test_predictions_are_of_the_frames_before_and_of_the_whole_text(model):
    batch, seed = _batch(model), tf.constant(1)
    made, refined, stop, alignment = (each.numpy() for each in model.call(batch, seed))
    bands, r = model.config.mel_bands, model.config.reduction
    assert made.shape == (3, 12, bands) and stop.shape == (3, 6) and alignment.shape == (3, 6, 9)
    assert refined.shape == (3, 12, model.spectra.bins if model.is_linear else bands)
    if not model.manner.width:  # A reference is the stretch itself, heard whole.
        changed = batch["mel"].numpy().copy()
        changed[:, 2 * r : 3 * r] += 1.0
        other = model.call({**batch, "mel": tf.constant(changed)}, seed)[0].numpy()
        np.testing.assert_allclose(other[:, : 3 * r], made[:, : 3 * r], atol=1e-5)
        assert np.abs(other[0, 3 * r :] - made[0, 3 * r :]).max() > 1e-4
    letters = batch["text"].numpy().copy()
    letters[0, 4] = letters[0, 4] % 20 + 3
    other = model.call({**batch, "text": tf.constant(letters)}, seed)[0].numpy()
    assert np.abs(other[0, :r] - made[0, :r]).max() > 1e-6 and np.abs(other[1] - made[1]).max() < 1e-5


def test_what_fills_a_batch_up_does_not_count(model):
    batch, seed = _batch(model), tf.constant([0, 1])
    terms = {name: [float(x) for x in both] for name, both in model.sums(batch, seed).items()}
    assert terms["mel"][1] == 18 and terms["stop"][1] == terms["drift"][1] == 9
    padded = {
        key: tf.pad(value, [[0, 0], [0, 4]] + [[0, 0]] * (len(value.shape) - 2), constant_values=0)
        if key in ("text", "mel", "linear")
        else value
        for key, value in batch.items()
    }
    for name, both in model.sums(padded, seed).items():
        np.testing.assert_allclose([float(x) for x in both], terms[name], rtol=1e-4)


def test_drift_is_what_is_off_the_diagonal():
    written = tf.constant([[5, 5, 5, 5]])
    off = reading.off_diagonal(written, tf.constant([4]), tf.ones([1, 4]))[0].numpy()
    assert (np.diag(off) == 0).all()
    # Tachibana et al. 2018, section 4.1, of width .2.
    assert off[0, 1] == pytest.approx(1 - np.exp(-(0.25**2) / (2 * 0.2**2)), abs=1e-6)
    assert off[0, 3] > off[0, 1] and off[3, 0] == pytest.approx(off[0, 3], abs=1e-6)


def test_a_seed_reads_the_same_and_voice_and_manner_are_heard(model):
    manner = _random(1, model.manner.width)
    written, voices, seed = tf.constant([[5, 6, 7, 1]]), tf.constant([1]), tf.constant(3)
    spell = model.graph("spell")
    one, again = (spell(written, voices, manner, seed)[0].numpy() for _ in range(2))
    np.testing.assert_array_equal(one, again)
    others = [(tf.constant([2]), manner, seed), (voices, manner, tf.constant(4))]
    others += [(voices, manner + 1.0, seed)] if model.manner.width else []
    for other in others:
        said = spell(written, *other)[0].numpy()
        n = min(said.shape[1], one.shape[1])
        assert np.abs(said[:, :n] - one[:, :n]).max() > 1e-4


def test_it_stops_at_the_stop_token_or_is_cut_off(model):
    manner = _random(1, model.manner.width)
    given = tf.constant([[5, 6, 7, 1]]), tf.constant([1]), manner, tf.constant(0)
    bias = model.decoder.stop.bias.numpy().copy()
    model.decoder.stop.bias.assign([50.0])
    spectra, n_steps, alignment, stopped = (each.numpy() for each in model.graph("spell")(*given))
    assert n_steps.tolist() == [1] and stopped.tolist() == [True]
    assert spectra.shape[1] == model.config.reduction and alignment.shape == (1, 1, 4)
    model.decoder.stop.bias.assign([-50.0])
    _, n_steps, _, stopped = (each.numpy() for each in model.graph("spell")(*given))
    # A second, and a quarter of one for each of four letters.
    assert n_steps.tolist() == [2 * 80 // model.config.reduction] and stopped.tolist() == [False]
    model.decoder.stop.bias.assign(bias)


def test_what_is_exported_reads_the_same(model, tmp_path):
    export.export(model, tmp_path / "saved_model")
    loaded = tf.saved_model.load(str(tmp_path / "saved_model"))
    letters = text.letters("go")
    alphabet = loaded.alphabet.numpy().decode()
    assert [alphabet.index(each) + 2 for each in "go"] + [1] == letters and int(loaded.sample_rate) == 8000
    manner = np.zeros((1, model.manner.width), np.float32)
    given = np.array([letters], np.int32), np.array([1], np.int32), manner
    for wanted, found in zip(
        model.spell(*map(tf.constant, given), tf.constant(2)), loaded.read(*given, 2), strict=True
    ):
        np.testing.assert_allclose(found, wanted, atol=1e-4)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    for wanted, found in zip(model.weights, again.weights, strict=True):
        assert wanted.path.split("/")[1:] == found.path.split("/")[1:]
        np.testing.assert_array_equal(found, wanted)
    if model.manner.width:
        mel = _random(1, 40, model.config.mel_bands)
        wanted = model.manner.of_mel(model.levels.standard(mel), tf.constant([40]))
        np.testing.assert_allclose(loaded.listen(mel), wanted, atol=1e-5)


def test_there_is_a_picture_of_the_attention_and_a_figure(model):
    batch = _batch(model)
    shown = model.pictures(batch)["alignment"].numpy()
    # Six steps to the right, seven letters upwards.
    assert shown.shape == (4 * 7, 4 * 6, 1) and 0 <= shown.min() and shown.max() <= 1
    assert 1 / 9 < model.diagnostics(batch)["focus_rate"] <= 1


@pytest.mark.slow
def test_it_learns_the_spectra_the_stop_and_the_alignment():
    model = shaken(learning_rate=1e-2, dropout=0.0, zoneout=0.0)
    batch, seed = _batch(model), tf.constant([0, 0])
    optimizer = tf.keras.optimizers.Adam(1e-2)

    @tf.function
    def descend():
        with tf.GradientTape() as tape:
            terms = model.sums(batch, seed)
            loss = 0.05 * terms["mel"][0] + terms["stop"][0] + 5.0 * terms["drift"][0]
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return {name: total / count for name, (total, count) in terms.items()}

    first = descend()
    for _ in range(150):
        last = descend()
    for name, share in (("mel", 0.93), ("stop", 0.5), ("drift", 0.7)):
        assert float(last[name]) < share * float(first[name]), name


def test_the_paper_preset_has_as_many_weights_as_counted_by_hand():
    """Tacotron 2 (Shen et al. 2018, section 2.2): 24 kHz, 80 bands, r of 1, one voice."""
    model = registry.find("tacotron", "paper", mode="text")[0](PRESETS["paper"])

    def dense(inputs, outputs):
        return inputs * outputs + outputs

    # Embedding; three convolutions of 512 of width 5; an LSTM of 256 each way, with learned initial states.
    lstm = dense(512, 4 * 256) + 256 * 4 * 256 + 2 * 256
    encoder = 35 * 512 + 3 * dense(5 * 512, 512) + 2 * lstm
    # Prenet 256-256; an LSTM of 1024 over it and the context; 128 channels compared; 32 filters of 31.
    attention = dense(256, 4 * 1024) + (1024 + 512) * 4 * 1024
    attention += 512 * 128 + 1024 * 128 + 128 + 128 + 31 * 2 * 32 + 32 * 128
    stack = dense(1024 + 512, 4 * 1024) + 1024 * 4 * 1024
    decoder = dense(80, 256) + dense(256, 256) + attention + stack + dense(1024 + 512, 80) + dense(1024 + 512, 1)
    postnet = dense(5 * 80, 512) + 3 * dense(5 * 512, 512) + dense(5 * 512, 80)
    found = {layer.name: layer.count_params() for layer in model.layers}
    assert found == {"encoder": encoder, "manner": 0, "decoder": decoder, "postnet": postnet, "levels": 2 * 80}
    assert text.N_LETTERS == 35 and model.count_params() == encoder + decoder + postnet + 160


def test_the_paper_preset_of_tacotron1_has_as_many_weights_as_counted_by_hand():
    """Wang et al. 2017, table 1: CBHGs, prenets 256-128, r of 2; LSTMs where it has GRUs."""
    model = registry.find("tacotron", "paper-tacotron1", mode="text")[0](PRESETS["paper-tacotron1"])

    def dense(inputs, outputs):
        return inputs * outputs + outputs

    def cbhg(inputs, bank):
        convs = sum(dense(size * 128, 128) for size in range(1, bank + 1))
        convs += dense(3 * bank * 128, 128) + dense(3 * 128, 128)
        # Highways of two products; a GRU each way, with biases of both products and a learned initial state.
        gru = dense(128, 3 * 128) + dense(128, 3 * 128) + 128
        return dense(inputs, 128) + convs + 4 * dense(128, 2 * 128) + 2 * gru

    prenet = dense(256, 256) + dense(256, 128)
    encoder = 35 * 256 + prenet + cbhg(128, bank=16)
    attention = dense(128, 4 * 256) + (256 + 256) * 4 * 256 + 256 * 256 + 256 * 256 + 256 + 256
    stack = dense(256 + 256, 4 * 256) + 256 * 4 * 256 + dense(256, 4 * 256) + 256 * 4 * 256
    decoder = dense(80, 256) + dense(256, 128) + attention + stack + dense(256 + 256, 2 * 80) + dense(256 + 256, 1)
    bins = 24000 // 20 // 2 + 1
    postnet = cbhg(80, bank=8) + dense(2 * 128, bins)
    found = {
        layer.name: layer.count_params() for layer in model.layers if layer.name in ("encoder", "decoder", "postnet")
    }
    assert found == {"encoder": encoder, "decoder": decoder, "postnet": postnet}
    assert model.count_params() == encoder + decoder + postnet + 2 * 80 + 2 * bins


@pytest.mark.parametrize(
    ("sizes", "says"),
    [
        (dict(family="tacotron3"), "family=tacotron3: the choices are tacotron1, tacotron2"),
        (dict(sample_rate=11025), "sample_rate=11025: must be a multiple of 400"),
        (dict(reduction=0), "reduction=0: a step has at least one frame"),
        (dict(encoder_channels=7), "encoder_channels=7: must be even"),
        (dict(zoneout=1.0), "zoneout=1.0: must be a share"),
        (dict(style_tokens=10, reference_encoder=True), "reference_encoder=1: style tokens have one of their own"),
        (dict(style_tokens=10, style_heads=5), "style_heads=5: must divide the 64 channels"),
    ],
    ids=lambda value: "" if isinstance(value, str) else next(iter(value)),
)
def test_sizes_that_do_not_fit_are_refused(sizes, says):
    with pytest.raises(InputError, match=says):
        TextConfig(**sizes)


def test_models_that_read_no_text_are_refused():
    with pytest.raises(InputError, match="--mode=text: wavenet reads no text; the choices of --model are tacotron"):
        registry.find("wavenet", mode="text")
    with pytest.raises(InputError, match="--set=memory_seconds: no such size"):
        registry.find("tacotron", "tiny", {"memory_seconds": "2"}, "text")
