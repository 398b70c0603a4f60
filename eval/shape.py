"""M, the shape of turn timing: how far the events that an agent caused lie from the human ones, in human units.

PROTOCOL section 5. Every distance d_k is read beside its floor, the 95th percentile of the same distance between a
human draw and all other humans: `M = 1 / mean over k of max(1, d_k / floor_k)`, each ratio capped.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from eval import distances, timing
from eval.chunks import Chunk

DISTANCES = (
    "w1_fto",
    "js_fto",
    "w1_ipu",
    "w1_pause",
    "rate_fto",
    "rate_ipu",
    "rate_pause",
    "rate_backchannel",
    "speech",
)
CLIP_SECONDS = {"fto": (-3.0, 5.0), "ipu": (0.0, 10.0), "pause": (0.0, 5.0)}
FTO_BIN_EDGES_SECONDS = np.linspace(-2, 3, 51)
FEWEST_EVENTS = 3
LARGEST_RATIO = 20.0

_KINDS = ("fto", "ipu", "pause")


@dataclasses.dataclass(frozen=True, eq=False)
class Sample:
    """What an agent did in a number of chunks, pooled.

    Attributes:
        durations: seconds [n] of the FTOs into the agent, of its IPUs and of its pauses, clipped, in order.
        n_backchannels: backchannel-like stretches.
        speech_seconds, minutes: of the agent's speech; of everything.
    """

    durations: Mapping[str, np.ndarray]
    n_backchannels: int
    speech_seconds: float
    minutes: float

    def counts(self) -> dict[str, int]:
        """How many events of each kind there are."""
        return {kind: len(self.durations[kind]) for kind in _KINDS} | {"backchannel": int(self.n_backchannels)}


class EventTable:
    """The events of many chunks, counted once, from which any draw is pooled quickly."""

    def __init__(self, chunks: Sequence[Chunk]):
        happened = [timing.events(chunk.own_ipus, chunk.partner_ipus, chunk.seconds) for chunk in chunks]
        per_chunk = {
            "fto": [each.ftos(0) for each in happened],
            "ipu": [each.ipu_seconds(0) for each in happened],
            "pause": [each.pauses.durations(0) for each in happened],
        }
        self._values, self._owner = {}, {}
        for kind, values in per_chunk.items():
            flat = np.concatenate([np.zeros(0), *values]).clip(*CLIP_SECONDS[kind])
            owner = np.repeat(np.arange(len(chunks)), [len(each) for each in values])
            order = np.argsort(flat, kind="stable")
            self._values[kind], self._owner[kind] = flat[order], owner[order]
        self._backchannels = np.array([len(each.backchannels(0)) for each in happened])
        self._speech_seconds = np.array([each.ipu_seconds(0).sum() for each in happened])
        self._minutes = np.array([chunk.seconds for chunk in chunks]) / 60
        self.n_chunks = len(chunks)

    def pool(self, chosen: np.ndarray | None = None) -> Sample:
        """The events of the chosen chunks: indices [n], or bool [n_chunks]; None takes all."""
        counts = np.ones(self.n_chunks, int)
        if chosen is not None:
            chosen = np.asarray(chosen)
            counts = chosen.astype(int) if chosen.dtype == bool else np.bincount(chosen, minlength=self.n_chunks)
        return Sample(
            durations={kind: np.repeat(self._values[kind], counts[self._owner[kind]]) for kind in _KINDS},
            n_backchannels=int(counts @ self._backchannels),
            speech_seconds=float(counts @ self._speech_seconds),
            minutes=float(counts @ self._minutes),
        )


def distance(sample: Sample, reference: Sample) -> dict[str, float]:
    """All d_k between what an agent did and what humans do.

    Fewer than 3 events on either side are as far away as the clipping range is wide; without any FTO js_fto is 1.
    """
    result = {f"w1_{kind}": _wasserstein(kind, sample, reference) for kind in _KINDS}
    ftos, reference_ftos = sample.durations["fto"], reference.durations["fto"]
    present = len(ftos) and len(reference_ftos)
    result["js_fto"] = distances.jensen_shannon(ftos, reference_ftos, FTO_BIN_EDGES_SECONDS) if present else 1.0
    counts, reference_counts = sample.counts(), reference.counts()
    for kind in counts:
        result[f"rate_{kind}"] = distances.log_rate_ratio(
            counts[kind], sample.minutes, reference_counts[kind], reference.minutes
        )
    fractions = [each.speech_seconds / (60 * each.minutes) for each in (sample, reference)]
    result["speech"] = abs(fractions[0] - fractions[1])
    return {name: result[name] for name in DISTANCES}


def shape_score(distance_by_name: Mapping[str, float], floors: Mapping[str, float]) -> float:
    """M in (0, 1]: 1 where no distance exceeds its floor."""
    found, floor = (np.array([each[name] for name in DISTANCES]) for each in (distance_by_name, floors))
    beyond = found > floor
    ratios = np.divide(found, floor, out=np.where(beyond, np.inf, 1.0), where=beyond & (floor > 0))
    return 1.0 / float(ratios.clip(1.0, LARGEST_RATIO).mean())


def _wasserstein(kind: str, sample: Sample, reference: Sample) -> float:
    a, b = sample.durations[kind], reference.durations[kind]
    if min(len(a), len(b)) < FEWEST_EVENTS:
        low, high = CLIP_SECONDS[kind]
        return high - low
    return distances.wasserstein(a, b)
