"""Frechet and kernel distances between two samples of vectors.

The Frechet distance of two Gaussians (Dowson & Landau 1982; for images Heusel et al. 2017, for audio Kilgour et al.
2019) sees means and covariances alone and grows as samples shrink: compare samples of one size only. The kernel
distance (Binkowski et al. 2018, section 3: squared maximum mean discrepancy, kernel (x y / d + 1)^3) sees skew too and
is unbiased at any size, so that it may be below 0 for samples of one distribution. Both are blind to the order in time
of the vectors; a distance to speech of another domain says more about the domain than about the quality.
"""

import dataclasses

import numpy as np

from datasets.errors import InputError


@dataclasses.dataclass(frozen=True, eq=False)
class Moments:
    """Mean [d] and covariance [d, d] of `n` vectors."""

    n: float
    mean: np.ndarray
    covariance: np.ndarray

    @classmethod
    def of(cls, vectors: np.ndarray) -> "Moments":
        """Of vectors [n, d]."""
        vectors = validate(vectors)
        return cls.of_sums(len(vectors), vectors.sum(axis=0), vectors.T @ vectors)

    @classmethod
    def of_sums(cls, n: float, total: np.ndarray, products: np.ndarray) -> "Moments":
        """Of the number of vectors, their sum [d] and the sum of their outer products [d, d], all float64."""
        mean = total / n
        return cls(n, mean, (products - n * np.outer(mean, mean)) / (n - 1))


def validate(vectors: np.ndarray) -> np.ndarray:
    """float64 [n, d]; `InputError` unless there are two of them and all is finite."""
    vectors = np.asarray(vectors, np.float64)
    if vectors.ndim != 2 or len(vectors) < 2:
        raise InputError(f"a distance needs at least two vectors [n, d] on each side, not an array {vectors.shape}")
    if not np.isfinite(vectors).all():
        raise InputError("a distance needs finite vectors, and some hold NaN or infinity")
    return vectors


def frechet(a: Moments, b: Moments) -> float:
    """Frechet distance |m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)), at least 0."""
    if a.mean.shape != b.mean.shape:
        raise InputError(f"vectors of {len(a.mean)} and of {len(b.mean)} numbers have no distance")
    root = _root(a.covariance)
    # The trace of (C_a C_b)^(1/2) is that of the symmetric (C_a^(1/2) C_b C_a^(1/2))^(1/2).
    cross = np.sqrt(np.linalg.eigvalsh(root @ b.covariance @ root).clip(0)).sum()
    difference = a.mean - b.mean
    return max(float(difference @ difference + np.trace(a.covariance) + np.trace(b.covariance) - 2 * cross), 0.0)


def frechet_of(a: np.ndarray, b: np.ndarray) -> float:
    """`frechet` of two samples [n, d], [m, d]."""
    return frechet(Moments.of(a), Moments.of(b))


def kernel(a: np.ndarray, b: np.ndarray) -> float:
    """Unbiased squared maximum mean discrepancy of two samples [n, d], [m, d] under a cubic kernel."""
    a, b = validate(a), validate(b)
    if a.shape[1] != b.shape[1]:
        raise InputError(f"vectors of {a.shape[1]} and of {b.shape[1]} numbers have no distance")
    within = [_off_diagonal(x) for x in (a, b)]
    return float(within[0] + within[1] - 2 * _cubic(a, b).mean())


def kernel_error(a: np.ndarray, b: np.ndarray, blocks: int = 4) -> float:
    """Standard error of `kernel`, from so many blocks of both samples."""
    pairs = zip(*(np.array_split(validate(x), blocks) for x in (a, b)), strict=True)
    return float(np.std([kernel(*pair) for pair in pairs], ddof=1) / np.sqrt(blocks))


def _cubic(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    gram = a @ b.T / a.shape[1] + 1
    return gram * gram * gram


def _root(matrix: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(values.clip(0))) @ vectors.T


def _off_diagonal(vectors: np.ndarray) -> float:
    """Mean kernel of two different vectors."""
    gram = _cubic(vectors, vectors)
    return float((gram.sum() - np.trace(gram)) / (len(vectors) * (len(vectors) - 1)))
