"""Predictors of turn taking, which speak in probabilities: shifts, backchannels, and the next frame.

For models like VAP (Ekstedt & Skantze 2022, Interspeech, section 3.2), which hear the real dialogue of two others.
Probabilities are float [n_frames] at 50 Hz, that of frame t from both channels up to t - 1. Balanced accuracy is the
mean of the shares of right answers in either class, so that always saying "hold" gets one half.

A folder of answers (`eval.recordings`) may hold, for each chunk, a header and a line a frame with any of

    takes_floor     P(the speaker of the role, and not the partner, is the next to speak alone)
    backchannel     P(the speaker of the role begins a backchannel within half a second)
    speaks          P(the speaker of the role speaks in this frame)
"""

import csv
import os
import pathlib
from collections.abc import Sequence

import numpy as np

from datasets import turns
from datasets.dialogue import FRAMES_PER_SECOND
from datasets.errors import InputError
from eval.chunks import Chunk

COLUMNS = ("takes_floor", "backchannel", "speaks")
# VAP looks at the probabilities from 50 ms to 250 ms into a mutual silence.
SILENCE_FRAMES = (3, 13)
BACKCHANNEL_FRAMES = FRAMES_PER_SECOND // 2
DECISION = 0.5
_LEAST_PROBABILITY = 1e-7


def shift_hold(probability: np.ndarray, happened: turns.Events) -> tuple[np.ndarray, np.ndarray]:
    """At every shift and hold: whether speaker 0 speaks next, and whether that was predicted; bool [n] each.

    Args:
        probability: that speaker 0 is the next to speak alone, [n_frames].
        happened: the dialogue; silences shorter than what is looked at are looked at to their end.
    """
    real, predicted = [], []
    for silences in turns.shifts_and_holds(happened):
        for (start, end), owner in zip(silences.intervals, silences.owner, strict=True):
            first = int(np.ceil(start * FRAMES_PER_SECOND))
            last = min(first + SILENCE_FRAMES[1], int(end * FRAMES_PER_SECOND), len(probability))
            looked_at = probability[min(first + SILENCE_FRAMES[0], last - 1) : last]
            if len(looked_at):
                real.append(owner == 0)
                predicted.append(looked_at.mean() > DECISION)
    return np.array(real, bool), np.array(predicted, bool)


def backchannel(probability: np.ndarray, happened: turns.Events) -> tuple[np.ndarray, np.ndarray]:
    """In every frame in which speaker 0 is silent: whether a backchannel begins within half a second, and the guess."""
    n_frames = len(probability)
    begins = np.zeros(n_frames, bool)
    for start in happened.backchannels(0)[:, 0]:
        frame = int(start * FRAMES_PER_SECOND)
        begins[max(frame - BACKCHANNEL_FRAMES, 0) : frame] = True
    silent = np.ones(n_frames, bool)
    for start, end in happened.ipus[0]:
        silent[int(start * FRAMES_PER_SECOND) : int(np.ceil(end * FRAMES_PER_SECOND))] = False
    return begins[silent], (probability > DECISION)[silent]


def balanced_accuracy(real: np.ndarray, predicted: np.ndarray) -> float:
    """Mean of the shares of right answers among the true and among the false, bool [n]; NaN without one of each."""
    if real.all() or not real.any():
        return float("nan")
    return float((predicted[real].mean() + (~predicted[~real]).mean()) / 2)


def frame_bits(probability: np.ndarray, active: np.ndarray) -> float:
    """Mean -log2 P of what was done, bits a frame: `probability` that it is active, and whether it was, [n_frames]."""
    p = np.clip(np.asarray(probability, np.float64), _LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)
    return float(-np.log2(np.where(active, p, 1 - p)).mean())


def prediction_scores(probabilities: Sequence[dict[str, np.ndarray]], chunks: Sequence[Chunk]) -> dict[str, float]:
    """All that the probabilities allow, over all chunks together.

    Args:
        probabilities: of each chunk, by name as in `COLUMNS`, [n_frames]; a name counts if every chunk has it.
        chunks: the real dialogues; speaker 0 is whom the probabilities are about.

    Returns:
        shift_hold_accuracy, backchannel_accuracy (balanced, 0 to 1), frame_bits.
    """
    names = set.intersection(*(set(each) for each in probabilities)) if probabilities else set()
    happened = [turns.events(chunk.own_ipus, chunk.partner_ipus, chunk.seconds) for chunk in chunks]
    result = {}
    for name, key, judge in (
        ("takes_floor", "shift_hold_accuracy", shift_hold),
        ("backchannel", "backchannel_accuracy", backchannel),
    ):
        if name in names:
            judged = [judge(each[name], events) for each, events in zip(probabilities, happened, strict=True)]
            result[key] = balanced_accuracy(*(np.concatenate(side) for side in zip(*judged, strict=True)))
    if "speaks" in names:
        said = np.concatenate([each["speaks"] for each in probabilities])
        result["frame_bits"] = frame_bits(said, np.concatenate([chunk.activity()[0] for chunk in chunks]))
    return result


def read_probabilities(path: str | os.PathLike, n_frames: int) -> dict[str, np.ndarray]:
    """The columns of a file, each [n_frames]; `InputError` for other columns or lengths, or what is no probability."""
    path = pathlib.Path(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = list(csv.reader(file))
        names = [name.strip() for name in lines[0]] if lines else []
        values = np.array([[float(cell) for cell in line] for line in lines[1:] if line], np.float64)
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{path}: not a table of probabilities ({error})") from error
    unknown = [name for name in names if name not in COLUMNS]
    if unknown or not names:
        raise InputError(f"{path}: its columns are {', '.join(names) or 'none'}; they may be {', '.join(COLUMNS)}")
    if values.shape != (n_frames, len(names)):
        raise InputError(
            f"{path}: {len(values)} lines of {len(names)} columns; wanted is one a frame of 20 ms, {n_frames}"
        )
    if not ((values >= 0) & (values <= 1)).all():
        raise InputError(f"{path}: probabilities must lie between 0 and 1; did you write logits?")
    return dict(zip(names, values.T, strict=True))
