"""M, the shape of turn timing: how far the events that an agent caused lie from the human ones, in human units.

PROTOCOL section 5. Every distance d_k is read beside its floor, the 95th percentile of the same distance between a
human draw and all other humans: `M = 1 / mean over k of max(1, d_k / floor_k)`, each ratio capped.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from datasets import turns
from eval import distances
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

KINDS = ("fto", "ipu", "pause")


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
        return {kind: len(self.durations[kind]) for kind in KINDS} | {"backchannel": int(self.n_backchannels)}


class EventTable:
    """The events of many chunks, counted once, from which any draw is pooled.

    Attributes:
        n_chunks: how many.
        values: per kind ("fto", "ipu", "pause") the clipped durations in seconds of all chunks, ascending, [n].
        owner: per kind the index of the chunk of each value, [n].
        backchannels, speech_seconds, minutes: per chunk, [n_chunks].
    """

    def __init__(self, chunks: Sequence[Chunk], both: bool = False):
        """Counts the events of the own channel, or (`both`) those of either."""
        happened = [turns.events(chunk.own_ipus, chunk.partner_ipus, chunk.seconds) for chunk in chunks]
        speaker, channels = (None, (0, 1)) if both else (0, (0,))
        per_chunk = {
            "fto": [each.ftos(speaker) for each in happened],
            "ipu": [each.ipu_seconds(speaker) for each in happened],
            "pause": [each.pauses.durations(speaker) for each in happened],
        }
        self.values, self.owner = {}, {}
        for kind, values in per_chunk.items():
            flat = np.concatenate([np.zeros(0), *values]).clip(*CLIP_SECONDS[kind])
            owner = np.repeat(np.arange(len(chunks)), [len(each) for each in values])
            order = np.argsort(flat, kind="stable")
            self.values[kind], self.owner[kind] = flat[order], owner[order]
        self.backchannels = np.array([sum(len(each.backchannels(k)) for k in channels) for each in happened], int)
        self.speech_seconds = np.array([each.ipu_seconds(speaker).sum() for each in happened])
        self.minutes = np.array([chunk.seconds for chunk in chunks]) / 60
        self.n_chunks = len(chunks)

    @classmethod
    def of_sample(cls, sample: Sample) -> "EventTable":
        """A table of one chunk: what is known of some humans without the dialogues themselves."""
        table = cls([])
        table.values = {kind: np.sort(sample.durations[kind]) for kind in KINDS}
        table.owner = {kind: np.zeros(len(sample.durations[kind]), int) for kind in KINDS}
        table.backchannels = np.array([sample.n_backchannels])
        table.speech_seconds, table.minutes = np.array([sample.speech_seconds]), np.array([sample.minutes])
        table.n_chunks = 1
        return table

    def times(self, chosen: np.ndarray | None = None) -> np.ndarray:
        """How often each chunk is taken, int [n_chunks], by indices [n]; None takes each once."""
        if chosen is None:
            return np.ones(self.n_chunks, int)
        return np.bincount(chosen, minlength=self.n_chunks)

    def pool(self, chosen: np.ndarray | None = None) -> Sample:
        """The events of the chunks with the indices `chosen` [n]; None takes all."""
        times = self.times(chosen)
        return Sample(
            durations={kind: np.repeat(self.values[kind], times[self.owner[kind]]) for kind in KINDS},
            n_backchannels=int(times @ self.backchannels),
            speech_seconds=float(times @ self.speech_seconds),
            minutes=float(times @ self.minutes),
        )


def distance(sample: Sample, reference: Sample) -> dict[str, float]:
    """All d_k between what an agent did and what humans do.

    Fewer than 3 events on either side are as far away as the clipping range is wide; without any FTO js_fto is 1.
    """
    pairs = {kind: (sample.durations[kind], reference.durations[kind]) for kind in KINDS}
    result = {
        f"w1_{kind}": _wide(kind) if min(map(len, pair)) < FEWEST_EVENTS else distances.wasserstein(*pair)
        for kind, pair in pairs.items()
    }
    present = min(map(len, pairs["fto"])) > 0
    result["js_fto"] = distances.jensen_shannon(*pairs["fto"], FTO_BIN_EDGES_SECONDS) if present else 1.0
    sides = [(each.counts(), each.speech_seconds, each.minutes) for each in (sample, reference)]
    return _in_order(result | _rates(*sides))


class Comparison:
    """`distance` between many draws of two tables, made ready once."""

    def __init__(self, table: EventTable, humans: EventTable):
        self._tables = table, humans
        self._steps, self._owner = {}, {}
        for kind in KINDS:
            values = np.concatenate([table.values[kind], humans.values[kind]])
            owner = np.concatenate([table.owner[kind], humans.owner[kind] + table.n_chunks])
            order = np.argsort(values, kind="stable")
            self._steps[kind], self._owner[kind] = np.diff(values[order]), owner[order]
            if kind == "fto":
                self._bins = np.searchsorted(FTO_BIN_EDGES_SECONDS, values[order], "right")

    def distance(self, times: np.ndarray, human_times: np.ndarray) -> dict[str, float]:
        """All d_k; `times` and `human_times` say how often each chunk of either table is taken."""
        split = [np.concatenate([times, 0 * human_times]), np.concatenate([0 * times, human_times])]
        weights = {kind: [each[self._owner[kind]] for each in split] for kind in KINDS}
        counts = [{kind: int(weights[kind][side].sum()) for kind in KINDS} for side in (0, 1)]
        result = {}
        for kind in KINDS:
            few = min(counts[0][kind], counts[1][kind]) < FEWEST_EVENTS
            result[f"w1_{kind}"] = (
                _wide(kind) if few else distances.weighted_wasserstein(self._steps[kind], *weights[kind])
            )
        result["js_fto"] = 1.0
        if min(counts[0]["fto"], counts[1]["fto"]) > 0:
            n_bins = len(FTO_BIN_EDGES_SECONDS) + 1
            histograms = [np.bincount(self._bins, each, n_bins) for each in weights["fto"]]
            result["js_fto"] = distances.histogram_jensen_shannon(*histograms)
        sides = [
            (count | {"backchannel": each @ table.backchannels}, each @ table.speech_seconds, each @ table.minutes)
            for count, each, table in zip(counts, (times, human_times), self._tables, strict=True)
        ]
        return _in_order(result | _rates(*sides))


def shape_score(distance_by_name: Mapping[str, float], floors: Mapping[str, float]) -> float:
    """M in (0, 1]: 1 where no distance exceeds its floor."""
    found, floor = (np.array([each[name] for name in DISTANCES]) for each in (distance_by_name, floors))
    beyond = found > floor
    ratios = np.divide(found, floor, out=np.where(beyond, np.inf, 1.0), where=beyond & (floor > 0))
    return 1.0 / float(ratios.clip(1.0, LARGEST_RATIO).mean())


def _rates(own: tuple[Mapping, float, float], humans: tuple[Mapping, float, float]) -> dict[str, float]:
    """The distances of rates and of the share of speech; each side has counts, seconds of speech and minutes."""
    (counts, speech, minutes), (human_counts, human_speech, human_minutes) = own, humans
    return {
        f"rate_{kind}": distances.log_rate_ratio(counts[kind], minutes, human_counts[kind], human_minutes)
        for kind in counts
    } | {"speech": abs(float(speech / minutes - human_speech / human_minutes)) / 60}


def _wide(kind: str) -> float:
    low, high = CLIP_SECONDS[kind]
    return high - low


def _in_order(result: Mapping[str, float]) -> dict[str, float]:
    return {name: result[name] for name in DISTANCES}
