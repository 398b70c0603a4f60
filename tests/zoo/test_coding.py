import librosa
import numpy as np
import pytest

from datasets.errors import InputError
from zoo.coding import Levels
from zoo.layers import LEVELS

AUDIO = np.linspace(-1.0, 1.0, 4001, dtype=np.float32)


@pytest.fixture(params=["mu-law", "a-law", "linear"])
def coding(request):
    return Levels(request.param)


def test_mu_law_is_the_curve_of_librosa_rounded():
    position = (librosa.mu_compress(AUDIO, mu=255, quantize=False) + 1) / 2 * 255
    levels = Levels("mu-law").encode(AUDIO).numpy()
    clear = np.abs(position % 1 - 0.5) > 1e-3
    np.testing.assert_array_equal(levels[clear], np.round(position[clear]))
    assert np.abs(levels - position).max() < 0.501


def test_mu_law_decodes_as_librosa_expands():
    levels = np.arange(LEVELS)
    expanded = librosa.mu_expand((levels / 255 * 2 - 1).astype(np.float32), mu=255, quantize=False)
    np.testing.assert_allclose(Levels("mu-law").decode(levels), expanded, atol=1e-6)


def test_a_law_is_linear_below_1_over_a_and_logarithmic_above():
    a = 87.6
    size = np.abs(AUDIO.astype(float))
    curve = np.where(size < 1 / a, a * size, 1 + np.log(np.maximum(a * size, 1))) / (1 + np.log(a))
    position = (np.sign(AUDIO) * curve + 1) / 2 * 255
    assert np.abs(Levels("a-law").encode(AUDIO).numpy() - position).max() < 0.501


def test_linear_levels_are_evenly_spaced():
    np.testing.assert_allclose(np.diff(Levels("linear").decode(np.arange(LEVELS))), 2 / 255, rtol=1e-4)


def test_every_level_survives(coding):
    sound = coding.decode(np.arange(LEVELS)).numpy()
    np.testing.assert_array_equal(coding.encode(sound), np.arange(LEVELS))
    assert sound[0] == -1 and sound[-1] == pytest.approx(1) and (np.diff(sound) > 0).all()


def test_what_is_beyond_full_scale_is_full_scale(coding):
    np.testing.assert_array_equal(coding.encode([-3.0, -1.0, 1.0, 7.0]), [0, 0, 255, 255])


def test_edges_encode_as_encode_does(coding):
    sound = np.random.default_rng(0).uniform(-1, 1, 5000).astype(np.float32)
    clear = np.abs(sound[:, None] - coding.edges().numpy()).min(axis=1) > 1e-6
    found = np.searchsorted(coding.edges(), sound, side="right")
    np.testing.assert_array_equal(found[clear], coding.encode(sound).numpy()[clear])


def test_nats_are_of_the_softmax_and_temperature_divides_the_logits(coding):
    rng = np.random.default_rng(0)
    logits = 3.0 * rng.standard_normal((50, LEVELS)).astype(np.float32)
    probability = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    levels = rng.integers(0, LEVELS, 50)
    np.testing.assert_allclose(coding.nats(logits, levels), -np.log(probability[np.arange(50), levels]), rtol=1e-4)
    uniform = rng.random(50, dtype=np.float32)
    np.testing.assert_array_equal(coding.sample(logits, uniform, 0.5), coding.sample(2 * logits, uniform, 1.0))


def test_unknown_curves_are_refused_with_the_choices():
    with pytest.raises(InputError, match="--set=levels=u-law: no such curve; the choices are mu-law, a-law, linear"):
        Levels("u-law")
