"""Tacotron's compiled loops against the graph: what they predict, and what they say on their own."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from datasets.errors import InputError
from tests.zoo import test_reading, test_tacotron
from zoo import generation, registry
from zoo.runs import new_model
from zoo.tacotron import text
from zoo.tacotron.reader import FusedReader
from zoo.tacotron.reading_kernel import FusedReadingDecoder, rounded

pytestmark = pytest.mark.slow

SEEDS = 100
FRAMES = 1000


@pytest.fixture(params=["regression", "normal"], scope="module")
def model(request):
    """A decoder and its sound alone at 8 kHz, as loud as speech, with weights away from their start."""
    sizes = {**test_tacotron.SIZES, "sample_rate": 8000, "mel_bands": 24, "acoustic_codes": 16}
    model_class, config = registry.find("tacotron", "tiny", {**sizes, "output": request.param})
    keras.utils.set_random_seed(0)
    model = new_model(model_class, config, "unconditional")
    rng = np.random.default_rng(0)
    for weight in model.trainable_variables:
        weight.assign_add(0.2 * rng.standard_normal(weight.shape))
    model.acoustic.codebook.assign(-7.0 + 2.0 * rng.standard_normal(model.acoustic.codebook.shape))
    model.sound.set_levels(model.acoustic.codebook.numpy())
    return model


def _conditions(model, rng, frames: int) -> np.ndarray:
    return rng.uniform(-1, 1, (2, frames, model.config.condition_channels)).astype(np.float32)


@pytest.mark.parametrize(("bits", "tolerance"), [(32, 1e-3), (8, 0.1)])
def test_what_is_predicted_over_many_frames(model, bits, tolerance):
    rng = np.random.default_rng(1)
    conditions, gate = _conditions(model, rng, FRAMES), rng.integers(0, 2, (2, FRAMES // 10)).repeat(10, axis=1)
    start = model.sound.initial_state(2)
    *wanted, voicing = model.sound.predict(None, tf.constant(gate, tf.float32), conditions, start)[0]
    kernel = model.sound.fused(bits)
    buffers = kernel.buffers(start)
    found = [kernel.predict(gate[:, t] > 0, conditions[:, t], buffers) for t in range(FRAMES)]
    heard = gate > 0
    for name, one, two in (
        ("mels", np.stack([parts for parts, _ in found], axis=1), np.stack(wanted, axis=2)),
        ("voicing", np.stack([each for _, each in found], axis=1), voicing.numpy()),
    ):
        assert two[heard].std() > 0.1, name
        np.testing.assert_allclose(one[heard], two[heard], atol=tolerance, rtol=0, err_msg=name)


def test_the_engines_say_the_same_for_a_second(model):
    # A row of a batch has random numbers of its own, as a seed has.
    fused, graph = (generation.babble(model, 1.0, channels=SEEDS, seed=5, engine=e) for e in ("fused", "graph"))
    assert graph.std() > 0.02 and len(np.unique(fused[:, -1])) > 20
    assert (np.abs(fused - graph).max(axis=1) < 1e-4).mean() >= 0.95


def test_where_the_gate_is_shut_nothing_is_computed(model):
    state, kernel = model.sound.initial_state(3), model.sound.fused()
    buffers, rng = kernel.buffers(state), np.random.default_rng(2)
    nothing = np.zeros((3, model.config.hop), np.float32)
    gate, uniforms = np.array([False, True, False]), rng.random(nothing.shape, np.float32)
    buffers[:] = 0.5
    conditions = np.where(gate[:, None], _conditions(model, rng, 3)[0], np.nan)
    frame = kernel.generate(nothing, gate, conditions, buffers, uniforms, 1.0)
    assert np.isfinite(buffers).all() and frame[1].std() > 0 and not frame[~gate].any()
    shut = {**state, "postnet": [np.full(h.shape, 0.5, np.float32) for h in state["postnet"]]}
    np.testing.assert_array_equal(buffers[~gate], kernel.buffers(model.sound.silent(shut))[~gate])


@pytest.fixture(params=["tacotron2", "tacotron1"], scope="module")
def reader(request):
    """A model that reads a text, with weights away from their start and two layers of LSTM where it is the older."""
    layers = 1 if request.param == "tacotron2" else 2
    sizes = {**test_reading.SMALLEST, "family": request.param, "decoder_layers": layers, "prenet_channels": (24, 17)}
    keras.utils.set_random_seed(0)
    return test_reading.shaken(**sizes)


def test_steps_of_a_text_are_those_of_the_graph(reader):
    decoder, rng, letters = reader.decoder, np.random.default_rng(3), np.array([11, 8])
    exists = (np.arange(11) < letters[:, None]).astype(np.float32)
    memory = rng.standard_normal((2, 11, decoder.attention.memory_channels)).astype(np.float32) * exists[..., None]
    before = rng.standard_normal((2, FRAMES, decoder.mel_bands)).astype(np.float32)
    mel, stop, alignment, _ = decoder(before, memory, exists, decoder.initial_state(2, 11, -5))
    found = FusedReadingDecoder(decoder).spell(memory, letters, [FRAMES, FRAMES], -5, before)
    assert found.n_steps.tolist() == [FRAMES, FRAMES] and mel.numpy().std() > 0.1 and alignment.numpy().max() > 0.15
    np.testing.assert_allclose(found.frames.reshape(mel.shape), mel, atol=1e-3)
    np.testing.assert_allclose(found.stop, stop, atol=1e-3)
    np.testing.assert_allclose(found.alignment, alignment, atol=1e-3)


def test_the_engines_read_the_same(reader):
    texts = [text.letters(each) for each in ("go to the left of the old mill", "stop", "oh")]
    letters = tf.constant([each + [0] * (len(texts[0]) - len(each)) for each in texts])
    given, bias = (
        (letters, tf.constant([0, 1, 2]), tf.zeros([3, reader.manner.width])),
        reader.decoder.stop.bias.numpy(),
    )
    memory, _, most = (each.numpy() for each in reader.begin(*given, tf.constant(0)))
    spelled = FusedReadingDecoder(reader.decoder).spell(memory, list(map(len, texts)), most, 100)
    # So that the last text ends soon, or does not.
    reader.decoder.stop.bias.assign(bias - np.quantile(spelled.stop[2, : most[2]], 0.95))
    n_seen = set()
    for seed in range(4):
        spells = FusedReader(reader), reader.graph("spell")
        fused, graph = ([np.asarray(each) for each in spell(*given, tf.constant(seed))] for spell in spells)
        spectra, n_steps, alignment, stopped = graph
        np.testing.assert_array_equal(fused[1], n_steps)
        np.testing.assert_array_equal(fused[3], stopped)
        for row, n in enumerate(n_steps):
            frames = slice(0, n * reader.config.reduction)
            np.testing.assert_allclose(fused[0][row, frames], spectra[row, frames], atol=1e-2)
            np.testing.assert_allclose(fused[2][row, :n], alignment[row, :n], atol=1e-3)
        n_seen |= set(n_steps.tolist())
    reader.decoder.stop.bias.assign(bias)
    assert len(n_seen) >= 3 and spectra[0].std() > 0.1


def test_a_text_is_read_aloud_by_the_fused_engine(reader):
    fused, graph = (reader.read(["go"], seed=1, engine=engine)[0] for engine in ("fused", "graph"))
    assert fused.stopped == graph.stopped and fused.audio.shape == graph.audio.shape and np.isfinite(fused.audio).all()
    assert fused.alignment.shape == graph.alignment.shape


def test_weights_of_16_bits_are_near_those_of_32():
    rng = np.random.default_rng(4)
    weights = rng.standard_normal((7, 5)) * np.array([1.0, 1e-3, 0.0, 10.0, 1.0, 1.0, 1.0])[:, None]
    matrix = rounded(weights[:3], weights[3:])
    assert matrix.levels.shape == (8, 5) and not matrix.levels[2].any() and not matrix.levels[7].any()
    off = np.abs(matrix.levels[:7] * matrix.scales[:7, None] - weights)
    assert (off <= np.abs(weights).max(axis=1, keepdims=True) / 2**16 * 1.01).all()


def test_an_engine_that_reads_no_text_is_refused(reader):
    with pytest.raises(InputError, match="--engine=int8: texts are read by fused, with weights of 16 bits"):
        reader.read(["go"], engine="int8")


def test_a_reader_that_does_not_compile_falls_back_and_says_why(reader, monkeypatch, capsys):
    def fail(self):
        raise RuntimeError("no such instruction")

    monkeypatch.setattr(FusedReadingDecoder, "compile", fail)
    found, wanted = (reader.read(["go"], seed=1, engine=engine)[0] for engine in ("fused", "graph"))
    np.testing.assert_array_equal(found.audio, wanted.audio)
    assert "the fused engine does not compile here (RuntimeError: no such instruction)" in capsys.readouterr().out
