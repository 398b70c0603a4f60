"""How a row's timing looks: what is drawn of it beside its scores, and how a score file keeps that."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from datasets import turns
from eval import coordination
from eval.chunks import Chunk

# Time since the partner's IPU ended; where few have waited so long, the curve is noise.
ONSET_EDGES_SECONDS = np.linspace(0.0, 2.0, 21)
FLOOR_STATES = ("nobody", "own alone", "partner alone", "both")


def onset_hazard(chunks: Sequence[Chunk]) -> np.ndarray:
    """Onsets a second in each bin of `ONSET_EDGES_SECONDS`, [20]; NaN where nobody has waited so long."""
    return coordination.onset_hazard(chunks, ONSET_EDGES_SECONDS) / np.diff(ONSET_EDGES_SECONDS)


def floor_shares(chunks: Sequence[Chunk]) -> np.ndarray:
    """Share of the time in each of `FLOOR_STATES`, [4]; they sum to 1."""
    seconds = sum(turns.events(each.own_ipus, each.partner_ipus, each.seconds).floor_seconds() for each in chunks)
    return seconds / np.sum(seconds)


def content(ftos: np.ndarray, onsets: np.ndarray | None, floor: np.ndarray | None) -> dict[str, Any] | None:
    """As a score file has it: milliseconds are kept; None of a row without timing."""
    if onsets is None or floor is None:
        return None
    return {
        "ftos": np.round(ftos, 3).tolist(),
        "onset_hazard": [round(float(each), 4) for each in onsets],
        "floor": dict(zip(FLOOR_STATES, np.round(floor, 4).tolist(), strict=True)),
    }


def from_content(found: Mapping[str, Any] | None) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
    """(ftos, onset hazard, floor) of what `content` made; KeyError, TypeError or ValueError for anything else."""
    if found is None:
        return np.zeros(0), None, None
    onsets = np.array([np.nan if each is None else each for each in found["onset_hazard"]], float)
    floor = np.array([found["floor"][state] for state in FLOOR_STATES], float)
    if onsets.shape != (len(ONSET_EDGES_SECONDS) - 1,):
        raise ValueError(f"an onset hazard of {onsets.shape} bins")
    return np.array(found["ftos"], float), onsets, floor
