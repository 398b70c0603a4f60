"""Distances between samples of real numbers: Wasserstein-1, Kolmogorov-Smirnov, Jensen-Shannon, log rate ratio."""

import numpy as np


def wasserstein(a: np.ndarray, b: np.ndarray) -> float:
    """Wasserstein-1 distance of two samples [n], [m], in their own unit: the area between their distributions."""
    values, below_a, below_b = _distributions(a, b)
    return float(np.abs(below_a - below_b)[:-1] @ np.diff(values))


def weighted_wasserstein(steps: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
    """Wasserstein-1 distance of two weightings of the same values.

    Args:
        steps: [n - 1] from each value to the next, in ascending order.
        a, b: weights [n], at least 0, neither all 0; they need not add up to 1.
    """
    below = np.cumsum(a / a.sum() - b / b.sum())
    return float(np.abs(below[:-1]) @ steps)


def kolmogorov_smirnov(a: np.ndarray, b: np.ndarray) -> float:
    """Largest difference of the two samples' distributions, in [0, 1]."""
    _, below_a, below_b = _distributions(a, b)
    return float(np.abs(below_a - below_b).max())


def jensen_shannon(a: np.ndarray, b: np.ndarray, edges: np.ndarray) -> float:
    """Jensen-Shannon divergence of two samples in bits, in [0, 1].

    Args:
        a, b: samples [n], [m], neither empty.
        edges: [k] ascending; the bins are those between the edges and one beyond each end.
    """
    counts = [np.bincount(np.searchsorted(edges, x, "right"), minlength=len(edges) + 1) for x in (a, b)]
    return histogram_jensen_shannon(*counts)


def histogram_jensen_shannon(a: np.ndarray, b: np.ndarray) -> float:
    """Jensen-Shannon divergence of two histograms [bins] in bits; neither may be empty."""
    p, q = a / a.sum(), b / b.sum()
    logs = [np.log2(x, out=np.zeros(len(x)), where=x > 0) for x in (p, q, (p + q) / 2)]
    return float(p @ (logs[0] - logs[2]) + q @ (logs[1] - logs[2])) / 2


def log_rate_ratio(count: float, minutes: float, reference_count: float, reference_minutes: float) -> float:
    """Absolute natural logarithm of the ratio of two rates per minute, each with half an event added."""
    return float(abs(np.log((count / minutes + 0.5) / (reference_count / reference_minutes + 0.5))))


def _distributions(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All values in order and the shares of each sample at or below them."""
    # The stable sort takes linear time on what is sorted already, as the samples of a draw are.
    a, b = np.sort(a, kind="stable"), np.sort(b, kind="stable")
    if not len(a) or not len(b):
        raise ValueError("a distance needs at least one value on each side")
    values = np.sort(np.concatenate([a, b]), kind="stable")
    return values, np.searchsorted(a, values, "right") / len(a), np.searchsorted(b, values, "right") / len(b)
