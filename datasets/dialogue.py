"""A dialogue: two channels on one clock, and the intervals and 50 Hz activity in which its timing is counted.

One record serves every corpus. Times are seconds from the common start of both channels; audio is float32 in
[-1, 1]. Silence is part of a dialogue and nothing here removes any.

Intervals are float64 [n, 2] of (start, end) in seconds. An IPU, inter-pausal unit, is speech of one speaker with
the own silences shorter than 0.200 s bridged (Nguyen et al. 2022, dGSLM, section 4).
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from datasets.errors import InputError

FRAMES_PER_SECOND = 50
BRIDGE_SECONDS = 0.200
SPLITS = ("train", "validation", "test")
# Names of channel 0 and channel 1: of a task with roles, of a telephone call, of any other recording.
ROLE_PAIRS = (("giver", "follower"), ("A", "B"), ("left", "right"))

# Far below any annotation's resolution: 1.2 - 1.0 is as long as a bridge of 0.2 s, whatever the last bit says.
_TIE_SECONDS = 1e-6


@dataclasses.dataclass(frozen=True)
class Word:
    """A word and the seconds at which it starts and ends."""

    start: float
    end: float
    text: str


@dataclasses.dataclass(frozen=True, eq=False)
class Dialogue:
    """Two speakers, channel 0 and channel 1.

    Attributes:
        name: unique in its corpus, such as "q4ec1".
        split: "train", "validation" or "test".
        duration_seconds: length of both channels.
        speech: per channel, float64 [n, 2] of (start, end) in seconds, sorted; not yet bridged.
        words: per channel, the words where they are known, else empty.
        roles: per channel, such as ("giver", "follower").
        speakers: per channel, an identity that is stable across dialogues.
        sample_rate: Hz, or None without audio.
        audio: float32 [2, samples] in [-1, 1], or None.
        info: what else the corpus knows (quad, eye contact, ...), JSON values.
    """

    name: str
    split: str
    duration_seconds: float
    speech: tuple[np.ndarray, np.ndarray]
    words: tuple[tuple[Word, ...], tuple[Word, ...]] = ((), ())
    roles: tuple[str, str] = ("giver", "follower")
    speakers: tuple[str, str] = ("", "")
    sample_rate: int | None = None
    audio: np.ndarray | None = None
    info: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def n_frames(self) -> int:
        """Whole 20 ms frames."""
        return seconds_to_frames(self.duration_seconds)

    def ipus(self, channel: int) -> np.ndarray:
        """Inter-pausal units of a channel, [n, 2] seconds."""
        return bridge(self.speech[channel])

    def ipu_activity(self, channel: int) -> np.ndarray:
        """The IPUs of a channel at 50 Hz, bool [n_frames]."""
        return activity(self.ipus(channel), self.n_frames)

    def channel_of(self, role: str) -> int:
        """The channel that has this role; raises `InputError` unless exactly one has."""
        if self.roles.count(role) != 1:
            raise InputError(f"{self.name}: no single {role!r} among the roles {', '.join(self.roles)} of its channels")
        return self.roles.index(role)


def role_index(role: str) -> int:
    """0 or 1: which of a pair a role is (giver, A, left; follower, B, right); `InputError` for any other."""
    for pair in ROLE_PAIRS:
        if role in pair:
            return pair.index(role)
    raise InputError(f"role {role!r}: must be one of {', '.join(role for pair in ROLE_PAIRS for role in pair)}")


def seconds_to_frames(seconds: float) -> int:
    """Whole 20 ms frames in so many seconds."""
    return int(np.floor(seconds * FRAMES_PER_SECOND + _TIE_SECONDS))


def bridge(intervals: np.ndarray, bridge_seconds: float = BRIDGE_SECONDS) -> np.ndarray:
    """Merges what overlaps, touches or leaves a silence shorter than `bridge_seconds`.

    Args:
        intervals: [n, 2] seconds, sorted by start.
        bridge_seconds: a silence of exactly this length stays.

    Returns:
        [m, 2] seconds, sorted, disjoint.
    """
    intervals = np.asarray(intervals, np.float64).reshape(-1, 2)
    if not len(intervals):
        return intervals
    reached = np.maximum.accumulate(intervals[:, 1])
    silence = intervals[1:, 0] - reached[:-1]
    apart = (silence >= bridge_seconds - _TIE_SECONDS) & (silence > _TIE_SECONDS)
    return np.stack(
        [intervals[np.concatenate([[True], apart]), 0], reached[np.concatenate([apart, [True]])]],
        axis=1,
    )


def cut(intervals: np.ndarray, start: float, end: float) -> np.ndarray:
    """What of the intervals lies between two times, [m, 2] seconds from `start`."""
    intervals = np.clip(np.asarray(intervals, np.float64).reshape(-1, 2), start, end) - start
    return intervals[intervals[:, 1] - intervals[:, 0] > _TIE_SECONDS]


def activity(intervals: np.ndarray, n_frames: int) -> np.ndarray:
    """Speech at 50 Hz: bool [n_frames], whether the midpoint (i + .5) / 50 s of frame i lies in an interval."""
    intervals = np.asarray(intervals, np.float64).reshape(-1, 2)
    # The first frame whose midpoint is at or after a time.
    edges = np.ceil(intervals * FRAMES_PER_SECOND - 0.5 - _TIE_SECONDS).astype(np.int64).clip(0, n_frames)
    steps = np.bincount(edges[:, 0], minlength=n_frames + 1) - np.bincount(edges[:, 1], minlength=n_frames + 1)
    return np.cumsum(steps[:n_frames]) > 0


def intervals_from_activity(frames: np.ndarray) -> np.ndarray:
    """Runs of True in bool [n_frames], as [n, 2] seconds at frame edges."""
    edges = np.flatnonzero(np.diff(np.asarray(frames, np.int8), prepend=0, append=0))
    return edges.reshape(-1, 2) / FRAMES_PER_SECOND


def validate_intervals(intervals: np.ndarray, duration_seconds: float, what: str) -> np.ndarray:
    """The intervals as float64 [n, 2]; raises `InputError` unless they are sorted, disjoint and inside the recording.

    Args:
        intervals: [n, 2] of (start, end) in seconds; touching is allowed.
        duration_seconds: of the channel.
        what: names the intervals in the error, such as "q4ec1, channel 0".
    """
    try:
        values = np.asarray(intervals, np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{what}: intervals must be numbers, (start, end) in seconds ({error})") from error
    if values.size == 0:
        return np.zeros((0, 2))
    if values.ndim != 2 or values.shape[1] != 2:
        raise InputError(f"{what}: intervals must have shape [n, 2], (start, end) in seconds, not {values.shape}")
    starts, ends = values.T

    def refuse(bad: np.ndarray, rule: str) -> None:
        if bad.any():
            i = int(np.flatnonzero(bad)[0])
            raise InputError(f"{what}: interval {i} is ({starts[i]:g}, {ends[i]:g}); {rule}")

    refuse(~np.isfinite(values).all(axis=1), "times must be finite")
    refuse(starts < 0, "times must not be negative")
    refuse(ends <= starts, "an interval must end after it starts")
    latest = ends.max()
    if latest > duration_seconds + _TIE_SECONDS:
        unit = "milliseconds" if latest > 200 * duration_seconds else "frames"
        hint = f"; did you pass {unit}?" if latest > 5 * duration_seconds else ""
        refuse(ends > duration_seconds + _TIE_SECONDS, f"the recording ends at {duration_seconds:g} s{hint}")
    refuse(np.diff(starts, prepend=0) < 0, "intervals must be sorted by start")
    refuse(starts < np.concatenate([[0], ends[:-1]]) - _TIE_SECONDS, "intervals of one channel must not overlap")
    return values
