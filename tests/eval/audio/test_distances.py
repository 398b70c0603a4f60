"""Frechet and kernel distances against their definitions and an outside square root."""

import numpy as np
import pytest
import scipy.linalg

from datasets.errors import InputError
from eval.audio import distances
from eval.audio.distances import Moments


def gaussians(d, rng):
    """Means and covariances of two Gaussians, and their Frechet distance by scipy's matrix square root."""
    means = rng.normal(size=(2, d))
    roots = [np.eye(d) + 0.5 * rng.normal(size=(d, d)) / np.sqrt(d) for _ in range(2)]
    covariances = [root @ root.T * scale for root, scale in zip(roots, (1.0, 3.0), strict=True)]
    cross = scipy.linalg.sqrtm(covariances[0] @ covariances[1]).real
    known = np.sum((means[0] - means[1]) ** 2) + np.trace(covariances[0] + covariances[1] - 2 * cross)
    return means, covariances, float(known)


def test_frechet_is_the_known_distance_of_gaussians():
    rng = np.random.default_rng(0)
    means, covariances, known = gaussians(64, rng)
    exact = [Moments(1, *pair) for pair in zip(means, covariances, strict=True)]
    assert distances.frechet(*exact) == pytest.approx(known, rel=1e-6)
    samples = [
        rng.multivariate_normal(mean, covariance, 10000) for mean, covariance in zip(means, covariances, strict=True)
    ]
    assert distances.frechet_of(*samples) == pytest.approx(known, rel=0.02)


def test_frechet_is_biased_at_small_sizes_and_the_kernel_is_not():
    """Between samples of one distribution: the one falls as 1 / n, the other is 0 but for chance."""
    rng = np.random.default_rng(1)
    frechet, kernel = {}, {}
    for n in (100, 400, 1600):
        pairs = [rng.standard_normal((2, n, 16)) for _ in range(10)]
        frechet[n] = np.mean([distances.frechet_of(*pair) for pair in pairs])
        found = [distances.kernel(*pair) for pair in pairs]
        kernel[n] = np.mean(found) / (np.std(found) / np.sqrt(len(found)))
    assert frechet[100] > 3.4 * frechet[400] > 9 * frechet[1600] > 0
    assert all(abs(error) < 3.5 for error in kernel.values())


def test_kernel_is_its_definition():
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(7, 3)), rng.normal(0.5, 1, size=(5, 3))

    def k(x, y):
        return (x @ y / 3 + 1) ** 3

    within_a = np.mean([k(a[i], a[j]) for i in range(7) for j in range(7) if i != j])
    within_b = np.mean([k(b[i], b[j]) for i in range(5) for j in range(5) if i != j])
    between = np.mean([k(x, y) for x in a for y in b])
    assert distances.kernel(a, b) == pytest.approx(within_a + within_b - 2 * between)


def test_identity_and_order():
    rng = np.random.default_rng(3)
    a = rng.normal(size=(500, 8))
    assert distances.frechet_of(a, a) == pytest.approx(0, abs=1e-6)
    near, far = (rng.normal(shift, 1, size=(500, 8)) for shift in (0.3, 1.0))
    assert distances.frechet_of(a, near) < distances.frechet_of(a, far)
    assert distances.kernel(a, near) < distances.kernel(a, far)
    assert distances.kernel_error(a, near) > 0


def test_sums_give_the_same_moments():
    vectors = np.random.default_rng(4).normal(3, 2, size=(50, 5))
    moments = Moments.of(vectors)
    np.testing.assert_allclose(moments.mean, vectors.mean(axis=0))
    np.testing.assert_allclose(moments.covariance, np.cov(vectors.T), atol=1e-9)


@pytest.mark.parametrize("bad", [np.zeros((1, 4)), np.zeros(4), np.full((3, 4), np.nan)])
def test_malformed_is_refused(bad):
    good = np.random.default_rng(0).normal(size=(10, 4))
    for function in (distances.frechet_of, distances.kernel):
        with pytest.raises(InputError):
            function(good, bad)
        with pytest.raises(InputError, match="no distance"):
            function(good, good[:, :3])
