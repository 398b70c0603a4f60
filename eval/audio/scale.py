"""From proxies to percentages: where a row stands between gated noise (0 %) and other real speech (100 %).

Distances go on a logarithm, for they span decades: log(d_noise / d_row) / log(d_noise / d_human). Shares, rates and
opinion scores go on a line. What lies beyond an end is put there: nothing is more human than humans, and nothing is
gained by being worse than noise; the distances themselves stay as they are in the files. Where the noise is hardly
farther from speech than speech is, the proxy tells nothing and has no percentage.
"""

import math
from collections.abc import Mapping

LOG, GAP, UPWARDS = "log", "gap", "upwards"
LEAST_RATIO = 1.1  # Of the two ends of a distance.
LEAST_RANGE = 0.1  # Of the two ends of a gap or a score, as a share of the larger.
# The scale of every proxy that has a percentage. A gap is the difference to the other speech, either way.
SCALES = {
    "f0_distance": LOG,
    "modulation_distance": LOG,
    "spectrum_distance": LOG,
    "voiced_share": GAP,
    "hnr": GAP,
    "phone_rate": GAP,
    "phone_entropy": GAP,
    "dnsmos_ovrl": UPWARDS,
    "dnsmos_sig": UPWARDS,
    "dnsmos_bak": UPWARDS,
}
PITCH = ("f0_distance", "voiced_share")
HEADLINE = "babble_quality"


def scale_of(name: str) -> str:
    """Which scale a proxy has."""
    return LOG if name.startswith(("frechet_", "kernel_")) else SCALES[name]


def percent(name: str, row: float, human: float, noise: float) -> float:
    """Percentage of a row, not yet clipped to 0 to 100; NaN where the ends tell nothing.

    Args:
        name: of the proxy.
        row, human, noise: distances or gaps to other real speech, or opinion scores, of equally much sound.
    """
    if not all(map(math.isfinite, (row, human, noise))):
        return math.nan
    if scale_of(name) == LOG:
        if human <= 0 or noise < LEAST_RATIO * human:
            return math.nan
        return 100 * math.log(noise / max(row, 1e-9)) / math.log(noise / human)
    best, worst = (human, noise) if scale_of(name) == UPWARDS else (-human, -noise)
    if best - worst < LEAST_RANGE * max(abs(best), abs(worst), 1e-9):
        return math.nan
    return 100 * ((row if scale_of(name) == UPWARDS else -row) - worst) / (best - worst)


def headline_parts(percents: Mapping[str, float]) -> dict[str, float]:
    """What babble quality is the mean of: the Frechet distances by the speech embedding, by log-mels and by our Deep
    Speech, and pitch (f0 and voiced share); without NaN.

    Args:
        percents: by name of the proxy.
    """
    parts = {name: value for name, value in percents.items() if name.startswith("frechet_")}
    pitch = [percents[name] for name in PITCH if math.isfinite(percents.get(name, math.nan))]
    parts["pitch"] = sum(pitch) / len(pitch) if pitch else math.nan
    return {name: value for name, value in parts.items() if math.isfinite(value)}


def babble_quality(percents: Mapping[str, float]) -> float:
    """The mean of `headline_parts`; NaN without any Frechet distance, for pitch alone is no quality."""
    parts = headline_parts(percents)
    if not any(name.startswith("frechet_") for name in parts):
        return math.nan
    return sum(parts.values()) / len(parts)


def clipped(value: float) -> float:
    """To 0 to 100; NaN stays."""
    return value if math.isnan(value) else min(max(value, 0.0), 100.0)
