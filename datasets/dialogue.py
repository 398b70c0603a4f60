"""A dialogue: two channels on one clock.

One record serves every corpus. Times are seconds from the common start of both channels; audio is float32 in
[-1, 1]. Silence is part of a dialogue and nothing here removes any.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

FRAMES_PER_SECOND = 50
SPLITS = ("train", "validation", "test")


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
