import numpy as np
import pytest
import scipy.spatial.distance
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from eval import distances

samples = st.lists(st.floats(-10, 10), min_size=1, max_size=40).map(np.array)


@pytest.mark.filterwarnings("ignore::RuntimeWarning:scipy")
@given(samples, samples)
def test_wasserstein_and_ks_equal_scipy(a, b):
    assert distances.wasserstein(a, b) == pytest.approx(scipy.stats.wasserstein_distance(a, b), abs=1e-9)
    assert distances.kolmogorov_smirnov(a, b) == pytest.approx(
        scipy.stats.ks_2samp(a, b, method="asymp").statistic, abs=1e-9
    )


@given(samples, samples)
def test_jensen_shannon_equals_scipy(a, b):
    edges = np.linspace(-2, 3, 51)
    bounds = np.concatenate([[-np.inf], edges, [np.inf]])
    p, q = (np.histogram(x, bounds)[0] / len(x) for x in (a, b))
    # scipy gives the square root of the divergence.
    expected = scipy.spatial.distance.jensenshannon(p, q, base=2) ** 2
    assert distances.jensen_shannon(a, b, edges) == pytest.approx(expected, abs=1e-9)


@given(samples, st.integers(0, 2**32 - 1))
def test_weights_stand_for_repeats(values, seed):
    rng, values = np.random.default_rng(seed), np.sort(values)
    a, b = rng.integers(0, 4, (2, len(values))) + np.eye(2, len(values), dtype=int)
    a[0] += a.sum() == 0
    b[-1] += b.sum() == 0
    expected = distances.wasserstein(np.repeat(values, a), np.repeat(values, b))
    assert distances.weighted_wasserstein(np.diff(values), a, b) == pytest.approx(expected, abs=1e-9)


def test_identity_is_no_distance():
    sample = np.array([0.1, -0.4, 2.0])
    assert distances.wasserstein(sample, sample) == 0
    assert distances.kolmogorov_smirnov(sample, sample) == 0
    assert distances.jensen_shannon(sample, sample, np.linspace(-2, 3, 51)) == pytest.approx(0)
    assert distances.log_rate_ratio(7, 2, 14, 4) == 0


def test_far_apart_is_one_bit():
    assert distances.jensen_shannon(np.array([-9.0]), np.array([9.0]), np.linspace(-2, 3, 51)) == pytest.approx(1)


def test_rates_have_half_an_event_added():
    assert distances.log_rate_ratio(0, 10, 20, 10) == pytest.approx(np.log(2.5 / 0.5))


def test_nothing_has_no_distance():
    with pytest.raises(ValueError, match="at least one"):
        distances.wasserstein(np.array([]), np.array([1.0]))
