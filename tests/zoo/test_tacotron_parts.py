"""Parts of Tacotron against what they must agree with."""

import librosa
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from datasets import features
from datasets.errors import InputError
from tests.zoo import subjects
from zoo import hearing, pitch
from zoo.tacotron import attention, encoder, noise, vocoder
from zoo.tacotron.model import PRESETS, Tacotron, TacotronConfig
from zoo.tacotron.unroll import unroll

RATE, HOP = 8000, 160


def _random(*shape, seed: int = 0) -> tf.Tensor:
    return tf.constant(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


def _recurrence(memory: bool):
    """A step, what it is given over seven frames, and its weights."""
    n, m, frames, window, k = 3, 4, 7, 5, 2
    inputs = [_random(2, frames, 4 * n), tf.cast(_random(2, frames, 2 * n, seed=1) > 1.0, tf.float32)]
    if not memory:
        return attention.recur, inputs, [], [_random(2, n), _random(2, n)], [_random(n, 4 * n, seed=2)]
    windows = [_random(2, window - 1 + frames, size, seed=3) for size in (k, m)]
    windows.append(tf.constant(np.arange(window - 1 + frames) > 2, tf.float32)[None] * tf.ones([2, 1]))
    state = [_random(2, size, seed=4) for size in (n, n, m)] + [tf.nn.softmax(_random(2, window))] * 2
    shapes = [(n + m, 4 * n), (n, k), (k,), (k,), (window,), (3, 2, 2), (2, k)]
    return attention.attend, inputs, windows, state, [_random(*shape, seed=5) for shape in shapes]


@pytest.mark.parametrize("memory", [False, True])
def test_the_compiled_recurrence_and_its_gradient_are_those_of_a_plain_loop(memory):
    step, *given = _recurrence(memory)
    shares = [_random(2, 7, each.shape[-1], seed=9) for each in given[2]]

    def plain(inputs, windows, state, weights):
        rows = []
        for t in range(7):
            now = [each[:, t : t + each.shape[1] - 6] for each in windows]
            state = step([each[:, t] for each in inputs], now, state, weights)
            rows.append(state)
        return [tf.stack(each, axis=1) for each in zip(*rows, strict=True)]

    found = []
    for run in (plain, lambda *args: unroll(step, *args)):
        with tf.GradientTape() as tape:
            tape.watch(given)
            states = run(*given)
            total = tf.add_n([tf.reduce_sum(a * b) for a, b in zip(states, shares, strict=True)])
        flat = tf.nest.flatten(given)
        found.append([*states, *tape.gradient(total, flat, unconnected_gradients="zero")])
    for wanted, got in zip(*found, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)


def test_attention_is_that_of_the_paper():
    """Shen et al. 2018, section 2.2, one step in numpy; entries that do not exist are not attended to."""
    step, (given, _), windows, state, weights = _recurrence(memory=True)
    keys, memory, exists = (each[:, :5].numpy() for each in windows)
    keep = tf.zeros([2, 6])
    hidden, _, context, alignment, attended = (
        each.numpy() for each in step([given[:, 0], keep], [keys, memory, exists], state, weights)
    )
    _, query, energy, bias, lag, filters, location = (each.numpy() for each in weights)
    before = np.pad(np.stack([state[3].numpy(), state[4].numpy()], axis=-1)[:, 1:], [[0, 0], [0, 1], [0, 0]])
    padded = np.pad(before, [[0, 0], [1, 1], [0, 0]])
    told = sum(padded[:, k : k + 5] @ filters[k] for k in range(3)) @ location
    scores = np.tanh(keys + (hidden @ query)[:, None] + told + bias) @ energy + lag
    shares = np.exp(scores) * exists
    shares /= shares.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(alignment, shares, atol=1e-5)
    np.testing.assert_allclose(context, np.einsum("bt,btm->bm", shares, memory), atol=1e-5)
    np.testing.assert_allclose(attended, shares + before[..., 1], atol=1e-5)
    assert (alignment[:, :3] == 0).all()


def test_zoneout_keeps_units_and_none_is_kept_without_it():
    given, recalled, hidden, cell = _random(2, 12), _random(2, 12, seed=1), _random(2, 3, seed=2), _random(2, 3, seed=3)
    keep = tf.constant([[1, 0, 0, 0, 1, 0], [0, 0, 0, 0, 0, 0]], tf.float32)
    free = attention.zoneout_lstm(given, tf.zeros_like(keep), hidden, cell, recalled)
    kept = attention.zoneout_lstm(given, keep, hidden, cell, recalled)
    for new, plain, old, stays in zip(kept, free, (hidden, cell), (keep[:, :3], keep[:, 3:]), strict=True):
        np.testing.assert_allclose(new, np.where(stays, old, plain), atol=1e-6)


def test_noise_depends_on_where_it_is_used_alone():
    state = noise.reseeded(noise.start(), 5)
    whole = noise.uniform(state, 1, 50, 4, 64).numpy()
    later = noise.uniform(noise.after(state, 20), 1, 30, 4, 64).numpy()
    np.testing.assert_array_equal(whole[:, 20:], later)
    assert scipy.stats.kstest(whole.ravel(), "uniform").pvalue > 0.01 and 0 <= whole.min() and whole.max() < 1
    others = [noise.uniform(noise.reseeded(state, 6), 1, 50, 4, 64), noise.uniform(state, 2, 50, 4, 64)]
    moved = [np.roll(whole, 1, axis=axis) for axis in range(3)]
    for other in (*others, *moved):
        assert abs(np.corrcoef(whole.ravel(), np.ravel(other))[0, 1]) < 0.03


@pytest.mark.parametrize(
    "layer", [lambda: encoder.ConvolvedRNN(5, 3, 5), lambda: encoder.CBHG(5, 4, 2)], ids=["tacotron2", "tacotron1"]
)
def test_encoders_look_back_only_and_may_be_fed_in_pieces(layer):
    layer = layer()
    layer.build((None, None, 3))
    x = _random(2, 12, 3).numpy()
    whole, _ = layer(x, layer.initial_state(2))
    state, parts = layer.initial_state(2), []
    for piece in (x[:, :1], x[:, 1:4], x[:, 4:]):
        part, state = layer(piece, state)
        parts.append(part)
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, atol=1e-5)
    other = x.copy()
    other[:, 6] += 1.0
    changed = np.abs(layer(other, layer.initial_state(2))[0] - whole).max(axis=(0, 2))
    assert (changed[:6] < 1e-6).all() and (changed[6:] > 1e-6).all()


@pytest.mark.parametrize("per_frame", [1, 2, 4])
def test_the_vocoder_gives_noise_the_spectrum_that_was_asked_for(per_frame):
    wanted = (-8.0 - np.linspace(0, 4, 24) + 0.5 * np.sin(np.arange(24))).astype(np.float32)
    inverse, rng = vocoder.StreamingInverse(RATE, per_frame), np.random.default_rng(0)
    gains = tf.tile(vocoder.gains(tf.constant(wanted[None, None]), RATE), [1, per_frame, 1])
    state, said = inverse.initial_state(1), []
    for _ in range(150):
        frame, state = inverse(gains, tf.constant(rng.standard_normal((1, HOP)), tf.float32), state)
        said.append(frame)
    sound = tf.concat(said, axis=1)
    mel = features.log_mel(sound, tf.zeros([1, HOP]), RATE, 24)[0, 5:]
    np.testing.assert_allclose(np.log(np.exp(mel).mean(axis=0)), wanted, atol=0.4)
    assert inverse.lag_samples == HOP // per_frame


def test_the_vocoder_without_a_filter_is_a_delay():
    inverse = vocoder.StreamingInverse(RATE, 2)
    source = _random(1, 10 * HOP).numpy()
    state, said = inverse.initial_state(1), []
    for t in range(10):
        frame, state = inverse(tf.ones([1, 2, inverse.fft_length // 2 + 1]), source[:, t * HOP : (t + 1) * HOP], state)
        said.append(frame)
    lag = inverse.lag_samples
    np.testing.assert_allclose(np.concatenate(said, axis=1)[:, lag:], source[:, :-lag], atol=1e-5)


def test_pitch_is_that_of_the_pulses_and_of_librosa():
    hz, phase, parts = np.linspace(90, 250, 100), tf.zeros([1]), []
    for each in hz:
        sound, phase = pitch.pulses(tf.constant([each], tf.float32), phase, HOP, RATE)
        parts.append(sound)
    sound = np.concatenate(parts, axis=1)
    assert sound.std() == pytest.approx(1.0, abs=0.01)
    voiced, found = pitch.track(tf.constant(np.pad(sound, [[0, 0], [HOP, 0]])), RATE)
    assert voiced.numpy().mean() > 0.95
    off = np.abs(np.log2(found[0] / hz))
    assert np.median(off) < 0.02 and (off < 0.1).mean() > 0.95
    theirs = librosa.yin(sound[0], fmin=70, fmax=400, sr=RATE, frame_length=1024, hop_length=HOP, center=False)
    ours = found[0, 3 : 3 + len(theirs)].numpy()
    assert np.median(np.abs(np.log2(ours / theirs[: len(ours)]))) < 0.05
    voiced, _ = pitch.track(_random(1, 101 * HOP), RATE)
    assert voiced.numpy().mean() < 0.06


def test_dropout_stays_on_and_its_seed_decides():
    subject = subjects.Subject(subjects.tiny("tacotron", **SMALLEST))
    told = {}
    for seed in (1, 1, 2):
        state = subject.model.seeded(subject.start(), seed)
        found, _ = subject.observe(subject.own, subject.gate, subject.partner, state)
        told.setdefault(seed, []).append(found["toggle"].numpy())
    np.testing.assert_array_equal(*told[1])
    assert np.abs(told[1][0] - told[2][0]).max() > 1e-3


def test_the_paper_preset_has_as_many_weights_as_counted_by_hand():
    model = Tacotron(PRESETS["paper"])
    tier, sound = model.dialogue, model.sound
    cells, mels, channels = hearing.N_CELLS, 80, 512

    def dense(inputs, outputs):
        return inputs * outputs + outputs

    convs = 3 * dense(5 * channels, channels)
    lstm = dense(channels, 4 * channels) + channels * 4 * channels + 2 * channels
    assert tier.partner.count_params() == convs + lstm
    query = 1024 * 128 + channels * 128 + 128 + 128 + 500
    location = 31 * 2 * 32 + 32 * 128
    attending = dense(256, 4 * 1024) + (1024 + channels) * 4 * 1024
    assert tier.encoder.count_params() == attending + query + location
    assert tier.prenet.count_params() == dense(cells + 3, 256) + dense(256, 256)
    assert model.acoustic.encoder.count_params() == dense(256, 4 * 1024) + 1024 * 4 * 1024
    postnet = dense(5 * mels, 512) + 3 * dense(5 * 512, 512) + dense(5 * 512, mels)
    counted = 2 * mels + 1
    mel = dense(512, 1024) + dense(1024, 2 * mels) + dense(1024, 2)
    assert sound.count_params() == postnet + mel + counted


def test_the_paper_preset_of_tacotron1_has_as_many_weights_as_counted_by_hand():
    """Wang et al. 2017, table 1, in dialogue: a CBHG of 128 with 16 banks, prenets 256-128, LSTMs of 256."""
    model = Tacotron(PRESETS["paper-tacotron1"])
    tier, mels = model.dialogue, 80

    def dense(inputs, outputs):
        return inputs * outputs + outputs

    bank = sum(dense(size * 128, 128) for size in range(1, 17))
    projections = dense(3 * 16 * 128, 128) + dense(3 * 128, 128)
    # Of the GRU both products have biases, and the initial state is learned.
    gru = dense(128, 3 * 128) + dense(128, 3 * 128) + 128
    # What is read of the partner comes in as wide as the context.
    assert tier.partner.count_params() == dense(256, 128) + bank + projections + 4 * dense(128, 2 * 128) + gru
    # Attention by content alone, over 10 s; the context is as wide as the CBHG.
    query = 256 * 256 + 128 * 256 + 256 + 256 + 500
    assert tier.encoder.count_params() == dense(128, 4 * 256) + (256 + 128) * 4 * 256 + query
    assert tier.prenet.count_params() == dense(hearing.N_CELLS + 3, 256) + dense(256, 128)
    decoder = dense(128, 4 * 256) + 256 * 4 * 256 + dense(256, 4 * 256) + 256 * 4 * 256
    assert model.acoustic.encoder.count_params() == decoder
    assert model.acoustic.prenet.count_params() == dense(128 + mels, 256) + dense(256, 128)
    assert model.acoustic.logits.count_params() == dense(256, 256)


@pytest.mark.parametrize(
    ("sizes", "says"),
    [
        (dict(family="tacotron3"), "family=tacotron3: the choices are tacotron1, tacotron2"),
        (dict(output="mixture"), "output=mixture: the choices are"),
        (dict(reduction=3), "reduction=3: must divide the 160 samples"),
        (dict(reduction=8), "reduction=8: must divide the 160 samples of 20 ms, and 24 bands"),
        (dict(dropout=1.0), "dropout=1.0: must be a share"),
        (dict(memory_seconds=0.02), "memory_seconds=0.02: must hold at least two frames"),
    ],
    ids=lambda value: "" if isinstance(value, str) else next(iter(value)),
)
def test_sizes_that_do_not_fit_are_refused(sizes, says):
    with pytest.raises(InputError, match=says):
        TacotronConfig(**sizes)


SMALLEST = dict(
    encoder_channels=4,
    encoder_layers=1,
    memory_seconds=0.1,
    key_channels=2,
    location_filters=2,
    location_taps=3,
    prenet_channels=(8, 8),
    attention_channels=4,
    decoder_channels=4,
    context_channels=4,
    condition_channels=4,
    mel_channels=4,
    postnet_channels=4,
    postnet_layers=2,
)
