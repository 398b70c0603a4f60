"""What is added up over dialogues, and the proxies that are counted from the sums.

Every proxy but the kernel distance is a function of sums, so that a bootstrap over dialogues adds up again instead of
measuring again.
"""

from collections.abc import Sequence

import numpy as np

from eval import distances as timing_distances
from eval.audio import dnsmos, phones, pitch, spectra
from eval.audio.distances import Moments, frechet
from eval.audio.features import GUARDS, Features

# f0 is counted in tenths of a semitone.
BINS_PER_SEMITONE = 10
SEMITONES = 12 * np.log2(pitch.HIGHEST_HZ / pitch.LOWEST_HZ)
N_BINS = int(np.ceil(SEMITONES * BINS_PER_SEMITONE))
_STEPS = np.full(N_BINS - 1, 1 / BINS_PER_SEMITONE)
Sums = dict[str, np.ndarray]
EMBEDDING = "embedding/"


def thinned(vectors: np.ndarray, share: float) -> np.ndarray:
    """So large a share of the vectors [n, d], evenly spread."""
    steps = np.floor(np.arange(len(vectors) + 1) * min(share, 1.0) + 1e-9)
    return vectors[np.diff(steps) > 0]


def sums_of(features: Features, share: float = 1.0) -> Sums:
    """What one clip adds; of its vectors only a share, where two rows are to have equally many."""
    result: Sums = {"seconds": features["seconds"].astype(np.float64)}
    if not result["seconds"]:
        return result
    for name in (name for name in features if name.startswith(EMBEDDING)):
        vectors = thinned(features[name], share).astype(np.float64)
        result |= {f"{name}/n": np.array(float(len(vectors))), f"{name}/sum": vectors.sum(axis=0)}
        result[f"{name}/products"] = vectors.T @ vectors
    voiced = features["f0"][np.isfinite(features["f0"])]
    semitones = 12 * np.log2(voiced / pitch.LOWEST_HZ)
    place = (semitones * BINS_PER_SEMITONE).astype(int).clip(0, N_BINS - 1)
    result["f0"] = np.bincount(place, minlength=N_BINS).astype(np.float64)
    result["frames"] = np.array(float(len(features["f0"])))
    result["hnr"] = np.array(float(np.nansum(features["hnr"])))
    for name in ("phones", "spectrum", "modulation", "modulation_windows"):
        if name in features:
            result[name] = features[name].astype(np.float64)
    if "dnsmos" in features:
        result["dnsmos"] = features["dnsmos"].sum(axis=0)
        result["dnsmos_windows"] = np.array(float(len(features["dnsmos"])))
    result["guards"] = features["guards"] * result["seconds"]
    return result


def add(sums: Sequence[Sums], weights: Sequence[float] | None = None) -> Sums:
    """The weighted sum; what a clip without speech lacks counts as nothing."""
    weights = [1.0] * len(sums) if weights is None else weights
    total: Sums = {}
    for each, weight in zip(sums, weights, strict=True):
        if weight:
            for name, value in each.items():
                total[name] = total.get(name, 0.0) + weight * value
    return total


def values(total: Sums) -> dict[str, float]:
    """What a row is by itself; NaN where it has no speech.

    f0_median (Hz), f0_spread (semitones, from the 10th to the 90th percentile), voiced_share (of 10 ms frames), hnr
    (dB, mean of voiced frames), phone_rate (a second), phone_entropy (bits), dnsmos_... (1 to 5), and the guards.
    """
    result = {}
    voiced = float(total["f0"].sum()) if "f0" in total else 0.0
    low, middle, high = _quantiles(total["f0"], (0.1, 0.5, 0.9)) if voiced else 3 * (np.nan,)
    result["f0_median"] = float(pitch.LOWEST_HZ * 2 ** (middle / 12))
    result["f0_spread"] = float(high - low)
    result["voiced_share"] = voiced / float(total["frames"]) if total.get("frames") else np.nan
    result["hnr"] = float(total["hnr"]) / voiced if voiced else np.nan
    if "phones" in total:
        result["phone_rate"] = float(total["phones"].sum() / total["seconds"])
        result["phone_entropy"] = phones.entropy_bits(total["phones"])
    if total.get("dnsmos_windows"):
        mean = total["dnsmos"] / total["dnsmos_windows"]
        result |= {f"dnsmos_{kind}": float(value) for kind, value in zip(dnsmos.KINDS, mean, strict=True)}
    found = total["guards"] / total["seconds"] if "guards" in total else np.full(len(GUARDS), np.nan)
    return result | {name: float(value) for name, value in zip(GUARDS, found, strict=True)}


def distances(total: Sums, reference: Sums) -> dict[str, float]:
    """How far a row is from real speech: frechet_<embedding>, f0_distance (semitones), spectrum_distance and
    modulation_distance (dB), and of the values with a gap the difference.

    A row without voice is as far from any f0 as the tracker reaches; embeddings of fewer vectors than twice their size
    have no distance.
    """
    result = {}
    for name in (name.removesuffix("/n") for name in reference if name.startswith(EMBEDDING) and name.endswith("/n")):
        sides = [_moments(each, name) for each in (reference, total)]
        result[f"frechet_{name.removeprefix(EMBEDDING)}"] = np.nan if None in sides else frechet(*sides)
    if "f0" not in total:
        return result
    voiced = total["f0"].sum() > 0 and reference["f0"].sum() > 0
    result["f0_distance"] = (
        timing_distances.weighted_wasserstein(_STEPS, total["f0"], reference["f0"]) if voiced else float(SEMITONES)
    )
    result["spectrum_distance"] = spectra.spectrum_distance(total["spectrum"], reference["spectrum"])
    if total["modulation_windows"] and reference["modulation_windows"]:
        means = [each["modulation"] / each["modulation_windows"] for each in (total, reference)]
        result["modulation_distance"] = spectra.modulation_distance(*means)
    own, real = values(total), values(reference)
    for name in ("voiced_share", "hnr", "phone_rate", "phone_entropy"):
        # Without a voice there is no ratio to compare; it is then as bad as no harmonics at all.
        nothing = 0.0 if name == "hnr" else np.nan
        if name in own:
            result[name] = abs((nothing if np.isnan(own[name]) else own[name]) - real[name])
    return result


def _moments(total: Sums, name: str) -> Moments | None:
    n = float(total.get(f"{name}/n", 0.0))
    if n < 2 * len(total.get(f"{name}/sum", ())) or n < 2:
        return None
    return Moments.of_sums(n, total[f"{name}/sum"], total[f"{name}/products"])


def _quantiles(histogram: np.ndarray, shares: Sequence[float]) -> list[float]:
    """In semitones above the lowest f0."""
    below = np.concatenate([[0.0], np.cumsum(histogram)]) / histogram.sum()
    return [float(np.interp(share, below, np.arange(len(below)) / BINS_PER_SEMITONE)) for share in shares]
