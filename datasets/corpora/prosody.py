"""Intonation of a breath group, from the dialogue move that it belongs to.

The contour at the end of a breath tells a listener whether there is more to come: it falls where a move is complete,
rises after a question that wants yes or no, and stays level in the middle of a move or after one that opens another
(Local, Kelly & Wells 1986; Koiso et al. 1998; Gravano & Hirschberg 2011, section 4). Pitch declines from the first
breath of a move to its last, and a fall is soft at its end. Moves are those of Carletta et al. 1997.
"""

import bisect
import dataclasses
from collections.abc import Sequence

import numpy as np

from datasets.dialogue import Word

RISING = frozenset({"query_yn", "check", "align"})
# These open what is to come: who says "okay" or "right" mostly goes on himself.
LEVEL = frozenset({"ready", "acknowledge", "uncodable"})
_DECLINATION = 12  # From the first breath of a move to its last, on the scale of a voice's pitch.
_FLATTER, _WIDER = -25, 20  # Pitch range of what goes on, and of what asks.
_FALL_DB = 6.0
_FALL_OCTAVES, _RISE_OCTAVES = -0.35, 0.45
_GLIDE_SECONDS = 0.3
_SAME_SECONDS = 0.02  # Words that overlap the next are cut.


@dataclasses.dataclass(frozen=True)
class Move:
    """A dialogue act and the seconds in which its words lie, such as an instruction or an acknowledgement."""

    start: float
    end: float
    label: str


@dataclasses.dataclass(frozen=True)
class Intonation:
    """How a breath is said.

    Attributes:
        mark: punctuation behind its last word: "." falls, "," stays level, "?" rises.
        pitch, pitch_range: added to the voice's own.
        fall_db: by how much the last syllable fades.
        glide_octaves: by how much the pitch of the last syllable rises.
    """

    mark: str = ""
    pitch: int = 0
    pitch_range: int = 0
    fall_db: float = 0.0
    glide_octaves: float = 0.0


class Intonations:
    """Intonation of the breaths of one speaker.

    Args:
        moves: of the speaker, sorted; without any, every breath is said plainly.
    """

    def __init__(self, moves: Sequence[Move] = ()):
        self._moves = sorted(moves, key=lambda move: move.start)
        self._starts = [move.start for move in self._moves]

    def of(self, breath: Sequence[Word]) -> Intonation:
        """That of a breath; words in no move are said plainly."""
        move = self._around(breath[-1])
        if move is None:
            return Intonation()
        share = (breath[0].start - move.start) / max(move.end - move.start, 1e-9)
        pitch = round(_DECLINATION * (0.5 - min(max(share, 0.0), 1.0)))
        if move.label in LEVEL or move.end > breath[-1].end + _SAME_SECONDS:
            return Intonation(",", pitch, _FLATTER)
        if move.label in RISING:
            return Intonation("?", pitch, _WIDER, glide_octaves=_RISE_OCTAVES)
        return Intonation(".", pitch, fall_db=_FALL_DB, glide_octaves=_FALL_OCTAVES)

    def _around(self, word: Word) -> Move | None:
        """The last move that has begun at the middle of the word and has not ended by then."""
        middle = (word.start + word.end) / 2
        i = bisect.bisect_right(self._starts, middle) - 1
        return self._moves[i] if i >= 0 and middle <= self._moves[i].end else None


def glide(audio: np.ndarray, marks: np.ndarray, octaves: float, sample_rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Bends the pitch at the end of a sound along a straight line in octaves, by playing that faster or slower.

    The end of a question rises, that of a statement falls, by some semitones over the last syllable (Ladd 2008).
    Formants move with it.

    Args:
        audio: float32 [samples].
        marks: int [n], places in it, ascending; the sound ends at the last.
        octaves: reached at the end, up or down.
        sample_rate: Hz.

    Returns:
        audio [samples] up to the last mark, of another length, and the marks in it.
    """
    end = int(marks[-1])
    n = min(round(_GLIDE_SECONDS * sample_rate), end - int(marks[0]))
    start = end - n
    pace = 2.0 ** (octaves * np.linspace(0.0, 1.0, n))
    places = start + np.append(0.0, np.cumsum(1.0 / pace))
    bent = np.interp(np.arange(start, int(places[-1])), places[:-1], audio[start:end]).astype(np.float32)
    moved = np.where(marks > start, np.interp(marks, np.arange(start, end + 1), places), marks)
    return np.concatenate([audio[:start], bent]), np.minimum(moved.astype(int), start + len(bent))
