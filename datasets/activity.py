"""Voice-activity detection: from sound to intervals of speech.

`detect` gives speech as an annotator would, not yet bridged into IPUs. One detector serves the agent, the human and
the partner alike: a bias of 100 ms in only one of them would pass for a change of timing (PROTOCOL section 4).

    silero        a recurrent network (`datasets.silero`): hears speech in noise; for evaluation
    energy        level: for clean close-talk channels, where it is as good and forty times as fast
    annotations   the corpus's own intervals, for those that have such: nothing is detected
"""

import dataclasses
from collections.abc import Callable

import numpy as np

from datasets import silero as network
from datasets.dialogue import FRAMES_PER_SECOND, activity, bridge, seconds_to_frames
from datasets.errors import InputError

ANNOTATIONS = "annotations"
SILENCE_DB = -120.0
_ROOM_TONE_DB = -55.0  # Nothing below is speech, however quiet the channel.
_BELOW_PEAK_DB = 35.0
_PEAK_PERCENTILE = 95
_STEP_SECONDS = 0.010
_SHORTEST_SECONDS = 0.030  # Clicks are shorter, syllables longer.
_MATCH_SECONDS = 0.250
_SPEECH_PROBABILITY = 0.5


def detect(audio: np.ndarray, sample_rate: int, detector: str = "energy") -> np.ndarray:
    """Intervals of speech in one channel.

    Args:
        audio: float32 [samples].
        sample_rate: Hz.
        detector: one of `DETECTORS` but "annotations", which are not found in sound.

    Returns:
        float64 [n, 2] seconds, sorted, disjoint, not bridged.
    """
    if detector not in DETECTORS:
        raise InputError(f"detector {detector!r}: no such detector; the choices are {', '.join(DETECTORS)}")
    if detector == ANNOTATIONS:
        raise InputError("detector annotations: takes the intervals of a corpus; in sound, speech is found by silero")
    audio = np.asarray(audio, np.float32)
    if audio.ndim != 1:
        raise InputError(f"audio of one channel must have shape [samples], not {audio.shape}")
    return _IN_SOUND[detector](audio, sample_rate)


def energy(audio: np.ndarray, sample_rate: int, hangover_seconds: float = 0.0) -> np.ndarray:
    """Level within 35 dB of the channel's own speech, for close-talk recordings.

    The peak is a percentile over what is louder than room tone, so a channel with one short word is judged like a
    talkative one, and a channel without speech gives nothing.

    Args:
        audio: float32 [samples].
        sample_rate: Hz.
        hangover_seconds: added to the end of every interval.
    """
    step = round(_STEP_SECONDS * sample_rate)
    level = _levels_db(audio, step)
    loud = level[level > _ROOM_TONE_DB]
    if not len(loud):
        return np.zeros((0, 2))
    threshold = max(np.percentile(loud, _PEAK_PERCENTILE) - _BELOW_PEAK_DB, _ROOM_TONE_DB)
    edges = np.flatnonzero(np.diff((level > threshold).astype(np.int8), prepend=0, append=0)).reshape(-1, 2)
    # Speech begins and ends somewhere within the outer steps: on average half a step inside.
    intervals = (edges + np.array([0.5, -0.5])) * step / sample_rate + np.array([0, hangover_seconds])
    intervals = bridge(intervals, _SHORTEST_SECONDS).clip(0, len(audio) / sample_rate)
    return intervals[intervals[:, 1] - intervals[:, 0] >= _SHORTEST_SECONDS]


def silero(audio: np.ndarray, sample_rate: int, hangover_seconds: float = 0.0) -> np.ndarray:
    """Where a network trained on many languages and noises thinks speech likelier than not.

    It goes on hearing speech for some 70 ms after its end. That is left as it is: what is compared goes through the
    same detector, floors and tables are counted with it, and by how much speech ends late depends on the recording.

    Args:
        audio: float32 [samples].
        sample_rate: Hz.
        hangover_seconds: added to the end of every interval.
    """
    duration = len(audio) / sample_rate
    window = network.WINDOW_SAMPLES / network.SAMPLE_RATE
    likely = np.pad(network.speech_probability(audio, sample_rate), 1)
    change = np.flatnonzero(np.diff((likely > _SPEECH_PROBABILITY).astype(np.int8)))
    before, after = likely[change], likely[change + 1]
    # The crossing, on a line between the middles of two windows: finer than the 32 ms of a window.
    crossing = change - 0.5 + (_SPEECH_PROBABILITY - before) / (after - before)
    intervals = crossing.reshape(-1, 2) * window + np.array([0, hangover_seconds])
    intervals = bridge(intervals[intervals[:, 1] > intervals[:, 0]], _SHORTEST_SECONDS).clip(0, duration)
    return intervals[intervals[:, 1] - intervals[:, 0] >= _SHORTEST_SECONDS]


_IN_SOUND: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {"silero": silero, "energy": energy}
DETECTORS = (*_IN_SOUND, ANNOTATIONS)
# Raised with every change of what a detector finds: what was found before is found again.
_VERSIONS = {"silero": 1, "energy": 1, ANNOTATIONS: 1}


def detector_key(detector: str) -> dict[str, str | int]:
    """Everything besides the sound that shapes what a detector finds, as JSON values."""
    key = {"detector": detector, "version": _VERSIONS[detector]}
    return key | network.versions() if detector == "silero" else key


def frame_levels_db(audio: np.ndarray, sample_rate: int) -> np.ndarray:
    """Root mean square of each whole 20 ms frame, dB below full scale: [..., samples] -> float32 [..., n_frames]."""
    return _levels_db(np.asarray(audio, np.float32), sample_rate // FRAMES_PER_SECOND)


def _levels_db(audio: np.ndarray, step: int) -> np.ndarray:
    n_steps = audio.shape[-1] // step
    blocks = audio[..., : n_steps * step].reshape(*audio.shape[:-1], n_steps, step)
    power = np.einsum("...i,...i->...", blocks, blocks) / step
    return 10.0 * np.log10(np.maximum(power, 10 ** (SILENCE_DB / 10)))


@dataclasses.dataclass(frozen=True)
class Calibration:
    """How a detector differs from annotated speech, both as IPUs.

    Attributes:
        onset_bias_ms, offset_bias_ms: median of detected minus true time; NaN where no edge was matched.
        matched_edges: share of true edges with a detected one within 250 ms.
        missed_seconds: speech that was not detected.
        false_alarm_seconds: detected where there is no speech.
        frame_accuracy: share of 20 ms frames that agree.
    """

    onset_bias_ms: float
    offset_bias_ms: float
    matched_edges: float
    missed_seconds: float
    false_alarm_seconds: float
    frame_accuracy: float


def calibrate(detected: np.ndarray, truth: np.ndarray, duration_seconds: float) -> Calibration:
    """Compares detected intervals [n, 2] with true ones [m, 2], in seconds, after bridging both."""
    detected, truth = bridge(detected), bridge(truth)
    biases = [_nearest(detected[:, side], truth[:, side]) for side in (0, 1)]
    onset, offset = (1000 * float(np.median(bias)) if len(bias) else np.nan for bias in biases)
    n_frames = seconds_to_frames(duration_seconds)
    found, real = activity(detected, n_frames), activity(truth, n_frames)
    return Calibration(
        onset_bias_ms=onset,
        offset_bias_ms=offset,
        matched_edges=sum(map(len, biases)) / max(truth.size, 1),
        missed_seconds=float((real & ~found).sum()) / FRAMES_PER_SECOND,
        false_alarm_seconds=float((found & ~real).sum()) / FRAMES_PER_SECOND,
        frame_accuracy=float((found == real).mean()) if n_frames else 1.0,
    )


def _nearest(found: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Difference to the nearest found time, of each real time that has one close by."""
    if not len(found) or not len(real):
        return np.zeros(0)
    right = np.searchsorted(found, real).clip(0, len(found) - 1)
    left = (right - 1).clip(0)
    best = np.where(np.abs(found[left] - real) < np.abs(found[right] - real), found[left], found[right])
    difference = best - real
    return difference[np.abs(difference) <= _MATCH_SECONDS]
