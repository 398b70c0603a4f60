"""Time-scale modification along any map of times, by waveform-similarity overlap-add (Verhelst & Roelants 1993).

A whole breath is bent in one go, each of its words by its own factor, with no seam between them. Grains of 24 ms keep
word edges sharp, and unlike a phase vocoder nothing is smeared over silence.
"""

import numpy as np

_HOP_SECONDS = 0.012
_SEARCH_SECONDS = 0.008  # Half the longest period of pitch, so that some lag is always in phase.


def warp(audio: np.ndarray, marks_in: np.ndarray, marks_out: np.ndarray, sample_rate: int) -> np.ndarray:
    """Moves the samples `marks_in` of `audio` to the samples `marks_out` and keeps the pitch.

    Args:
        audio: float32 [samples].
        marks_in: increasing samples of `audio`; what lies outside the first and last is not heard.
        marks_out: as many increasing samples; the first is 0.
        sample_rate: Hz.

    Returns:
        float32 [marks_out[-1]].
    """
    hop = round(_HOP_SECONDS * sample_rate)
    search = round(_SEARCH_SECONDS * sample_rate)
    length = int(marks_out[-1])
    first, last = int(marks_in[0]), int(marks_in[-1])
    # Zeros around the stretch that is heard: grains at its ends must not bring in the neighbours.
    margin = 2 * hop + 2 * search
    source = np.pad(audio[first:last], margin).astype(np.float32)
    energy = np.concatenate([[0.0], np.cumsum(np.square(source, dtype=np.float64))])
    window = np.hanning(2 * hop + 1)[:-1].astype(np.float32)

    centres = np.arange(0, length + hop, hop)
    wanted = np.interp(centres, marks_out, np.asarray(marks_in) - first).round().astype(int) + margin - hop
    result = np.zeros(len(centres) * hop + hop, np.float32)
    place = wanted[0]
    for i, target in enumerate(wanted):
        if i:
            place = _similar(source, energy, place + hop, target, 2 * hop, search)
        result[i * hop : i * hop + 2 * hop] += window * source[place : place + 2 * hop]
    return result[hop : hop + length]


def _similar(source, energy, natural: int, target: int, size: int, search: int) -> int:
    """The place near `target` whose grain looks most like the one that would naturally follow."""
    if natural == target:
        return target
    low = max(target - search, 0)
    high = min(target + search, len(source) - size)
    natural = min(natural, len(source) - size)
    match = np.correlate(source[low : high + size], source[natural : natural + size], "valid")
    norm = energy[low + size : high + size + 1] - energy[low : high + 1]
    return low + int(np.argmax(match / np.sqrt(norm + 1e-6)))
