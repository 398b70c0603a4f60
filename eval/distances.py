"""Distances between samples of real numbers: Wasserstein-1, Kolmogorov-Smirnov, Jensen-Shannon, log rate ratio."""

import numpy as np


def wasserstein(a: np.ndarray, b: np.ndarray) -> float:
    """Wasserstein-1 distance of two samples [n], [m], in their own unit: the area between their distributions."""
    values, below_a, below_b = _distributions(a, b)
    return float(np.abs(below_a - below_b)[:-1] @ np.diff(values))


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
    p, q = (np.bincount(np.searchsorted(edges, x, "right"), minlength=len(edges) + 1) / len(x) for x in (a, b))
    mixture = (p + q) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = [np.where(x > 0, x * np.log2(x / mixture), 0) for x in (p, q)]
    return float(np.sum(terms) / 2)


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
