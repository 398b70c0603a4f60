import librosa
import numpy as np
import pytest
import scipy.stats

from datasets.errors import InputError
from zoo import coding as codings
from zoo.coding import Levels, Logistics
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


def test_codings_are_found_by_name_and_unknown_ones_refused():
    assert isinstance(codings.find("mixture"), Logistics) and isinstance(codings.find("a-law"), Levels)
    with pytest.raises(InputError, match="--set=coding=u-law: no such coding; the choices are mu-law, .*mixture"):
        codings.find("u-law")


STEP = 2.0**-15


def _mixture(rng, n: int = 1) -> tuple[np.ndarray, list, np.ndarray]:
    """Parameters [n, 30], and what they mean: shares [n, 10] and scipy's logistics."""
    weight, mean = rng.standard_normal((n, 10)), 0.3 * rng.standard_normal((n, 10))
    log_scale = rng.uniform(-3, 1, (n, 10))
    parameters = np.concatenate([weight, mean, log_scale], axis=1).astype(np.float32)
    share = np.exp(weight) / np.exp(weight).sum(axis=1, keepdims=True)
    return parameters, share, scipy.stats.logistic(mean, np.exp(log_scale - 4.0))


def test_the_mixture_is_that_of_scipy():
    rng, coding = np.random.default_rng(0), Logistics()
    parameters, share, logistics = _mixture(rng, 400)
    samples = coding.encode(rng.uniform(-1, 1, 400)).numpy()
    samples[:2] = -1.0, 1.0 - STEP
    x = samples[:, None].astype(float)
    upper = np.where(x > 1 - 1.5 * STEP, 1.0, logistics.cdf(x + STEP / 2))
    mass = (share * (upper - np.where(x < -1 + STEP / 2, 0.0, logistics.cdf(x - STEP / 2)))).sum(axis=1)
    sure = mass > 1e-13  # scipy's difference of numbers that are almost one loses the rest
    np.testing.assert_allclose(coding.nats(parameters, samples)[sure], -np.log(mass[sure]), rtol=2e-3, atol=2e-3)
    assert sure.mean() > 0.5 and np.isfinite(coding.nats(parameters, samples)).all()


def test_the_mixture_is_a_distribution_over_16_bits():
    parameters, _, _ = _mixture(np.random.default_rng(1))
    every = np.arange(-(2**15), 2**15, dtype=np.float32) * np.float32(STEP)
    nats = Logistics().nats(np.repeat(parameters, len(every), axis=0), every).numpy().astype(float)
    assert np.exp(-nats).sum() == pytest.approx(1.0, abs=1e-3)


def test_samples_of_the_mixture_are_distributed_as_it_says():
    rng, coding = np.random.default_rng(2), Logistics()
    parameters, share, logistics = _mixture(rng)
    uniform = rng.random(20_000, dtype=np.float32)
    drawn = coding.sample(np.repeat(parameters, len(uniform), axis=0), uniform, 1.0).numpy()
    np.testing.assert_array_equal(drawn, coding.encode(drawn))
    inside = np.abs(drawn) < 0.99
    found = scipy.stats.kstest(drawn[inside], lambda x: (share * logistics.cdf(np.reshape(x, (-1, 1)))).sum(axis=1))
    assert inside.mean() > 0.98 and found.statistic < 0.02
    cold = coding.sample(np.repeat(parameters, len(uniform), axis=0), uniform, 0.1).numpy()
    assert cold.std() < drawn.std()


def test_16_bits_are_rounded_and_clipped():
    found = Logistics().encode(np.float32([0.4 * STEP, 0.6 * STEP, -3.0, 3.0])).numpy()
    np.testing.assert_array_equal(found, [0.0, STEP, -1.0, 1.0 - STEP])


def test_a_16_bit_sample_has_bits_beyond_its_level():
    loud, soft = np.float32([0.9, -0.9]), np.float32([0.0, 1e-4])
    np.testing.assert_allclose(Levels("linear").finer_bits(loud), np.log2(2.0**16 / 255), atol=0.01)
    assert (Levels("mu-law").finer_bits(loud).numpy() > 9.0).all()
    assert (Levels("mu-law").finer_bits(soft).numpy() < 2.6).all()
    np.testing.assert_array_equal(Logistics().finer_bits(loud), 0.0)


def test_the_coarse_view_of_16_bits_counts_every_step_once():
    every = np.arange(-(2**15), 2**15, dtype=np.float32) * np.float32(STEP)
    cells, bits = (each.numpy() for each in Logistics().coarse(every))
    np.testing.assert_array_equal(cells, Levels("mu-law").encode(every))
    steps = np.bincount(cells, minlength=LEVELS)
    np.testing.assert_allclose(2.0 ** bits[np.searchsorted(cells, np.arange(LEVELS))], steps, atol=1.01)


def test_a_number_is_embedded_linearly():
    layer = Logistics().embedding(3, "number")
    one, two, both = (layer(np.array([x], np.float32)).numpy() - layer.bias.numpy() for x in (0.1, 0.2, 0.3))
    np.testing.assert_allclose(one + two, both, rtol=1e-4)
    assert layer.kernel.shape == (3,) and np.abs(one).max() > 0


@pytest.mark.parametrize("name", ["mu-law", "linear", "mixture"])
def test_noise_moves_a_share_of_the_samples_by_one_or_two_levels(name):
    rng, coding = np.random.default_rng(0), codings.find(name)
    levels = coding if isinstance(coding, Levels) else Levels("mu-law")
    sound = levels.decode(rng.integers(5, 250, 4000))
    uniform = rng.random((4000, 2), dtype=np.float32)
    moved = levels.encode(codings.jittered(coding, sound, 0.3, uniform)).numpy() - levels.encode(sound).numpy()
    np.testing.assert_array_equal(moved != 0, uniform[:, 1] < 0.3)
    assert np.bincount(moved + 2, minlength=5)[[0, 1, 3, 4]].min() > 200 and np.abs(moved).max() == 2
    np.testing.assert_array_equal(codings.jittered(coding, sound, 0.0, uniform), sound)
    loudest = np.float32([-1.0, 1.0])
    assert np.abs(codings.jittered(coding, loudest, 1.0, uniform[:2])).max() <= 1.0
