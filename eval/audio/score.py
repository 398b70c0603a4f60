"""Scores rows of clips beside real speech: values, distances, percentages, babble quality, intervals by dialogue.

The dialogues are split into two halves without a speaker in common where that can be. Each row's clips of one half are
measured beside the real speech of the other, and the other way round; the two are averaged. So real speech is measured
beside other real speech, as every other row is, and its percentages are 100 by definition. A row that speaks more than
the humans has its vectors thinned to as many; one that speaks less is read between ends that are thinned to its own.
"""

import dataclasses
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from datasets.errors import InputError
from eval.audio import distances, guards, scale, statistics
from eval.audio.features import Features

DRAWS = 100
INTERVAL_PERCENTILES = (2.5, 97.5)
MOST_KERNEL_VECTORS = 2000
HUMAN, NOISE = "human", "noise"


@dataclasses.dataclass(frozen=True, eq=False)
class Measured:
    """The clips of a row as they were measured.

    Attributes:
        dialogues: of each clip, the name of its dialogue.
        features: of each clip.
        seconds: of all chunks together, silence included.
        replayed: share of its seconds that are in the training audio, or None where that was not looked for.
    """

    dialogues: Sequence[str]
    features: Sequence[Features]
    seconds: float
    replayed: float | None = None

    @property
    def speech_seconds(self) -> float:
        return float(sum(each["seconds"] for each in self.features))


def halves_of(dialogues: Sequence[str], groups: Mapping[str, Hashable]) -> dict[str, int]:
    """0 or 1 for each dialogue: halves of about one size, without a group of speakers in common where there are two.

    Args:
        dialogues: of each clip.
        groups: of each dialogue, what no two halves should share.
    """
    names = list(dict.fromkeys(dialogues))
    if len(names) < 2:
        raise InputError("audio: real speech is measured beside that of other dialogues, and there is only one")
    members: dict[Hashable, list[str]] = {}
    for name in names:
        members.setdefault(groups[name], []).append(name)
    if len(members) < 2:
        return {name: i % 2 for i, name in enumerate(names)}
    result, sizes = {}, [0, 0]
    for part in sorted(members.values(), key=len, reverse=True):
        side = int(sizes[1] < sizes[0])
        sizes[side] += len(part)
        result |= {name: side for name in part}
    return result


class Scorer:
    """The two ends, by which every row is read."""

    def __init__(self, human: Measured, noise: Measured, halves: Mapping[str, int], draws: int = DRAWS, seed: int = 0):
        """See the class.

        Args:
            human: the real speech.
            noise: speech-shaped noise in its places.
            halves: of `halves_of`.
            draws: of dialogues, for the intervals.
            seed: of the draws.
        """
        self._human, self._noise, self._halves = human, noise, dict(halves)
        self._draws, self._seed = draws, seed
        self._reference = [statistics.add(_sums(human, self._halves, half)) for half in (1, 0)]
        if not all(each.get("seconds") for each in self._reference):
            raise InputError("audio: real speech is measured beside that of other dialogues, and one half has none")
        self._human_values = self._values(human)
        self._known_ends: dict[float, tuple] = {}

    def score(self, row: Measured) -> dict[str, Any]:
        """Scores a row.

        Returns:
            speech_seconds, speech_share; the values of `statistics.values`; the distances of `statistics.distances`
            and kernel_<embedding>, the gaps under <name>_gap; <name>_percent of each that has one; pitch_percent;
            babble_quality with _low and _high, the 95 % interval over draws of dialogues; headline, the list of its
            parts; flags, a list of texts; per_dialogue.
        """
        result = self._values(row)
        result["flags"] = guards.flags(result, self._human_values)
        if not row.speech_seconds:
            return result | {scale.HEADLINE: np.nan, "headline": [], "per_dialogue": []}
        ratio = self._human.speech_seconds / row.speech_seconds
        ends, errors = self._ends(min(1 / ratio, 1.0))
        sums = [_sums(row, self._halves, half, min(ratio, 1.0)) for half in (0, 1)]
        found = self._distances([statistics.add(half) for half in sums])
        found |= _at_least(self._kernels(row, min(ratio, 1.0)), errors)
        percents = _percents(found | _opinions(result), ends)
        for name, value in found.items():
            result[f"{name}_gap" if name in result else name] = value
        result |= {f"{name}_percent": scale.clipped(value) for name, value in percents.items()}
        clipped = {name: scale.clipped(value) for name, value in percents.items()}
        parts = scale.headline_parts(clipped)
        result["pitch_percent"] = parts.get("pitch", np.nan)
        result |= {scale.HEADLINE: scale.babble_quality(clipped), "headline": list(parts)}
        result |= self._interval(sums, ends, result[scale.HEADLINE])
        result["per_dialogue"] = _per_dialogue(row)
        return result

    def _values(self, row: Measured) -> dict[str, Any]:
        result = {"speech_seconds": row.speech_seconds, "speech_share": row.speech_seconds / max(row.seconds, 1e-9)}
        if row.replayed is not None:
            result["replayed"] = row.replayed
        sums = _by_dialogue(row)
        spreads = [statistics.values(each)["f0_spread"] for each in sums.values()]
        spreads = [spread for spread in spreads if np.isfinite(spread)]
        # Within dialogues: the voices of different people are no intonation.
        result["f0_spread"] = float(np.mean(spreads)) if spreads else np.nan
        return statistics.values(statistics.add(list(sums.values()))) | result

    def _ends(self, share: float) -> tuple[dict[str, dict[str, float]], dict[str, float]]:
        """All proxies of the real speech and of the noise, thinned to a share, and the errors of kernel distances."""
        if share not in self._known_ends:
            errors, ends = self._kernel_errors(share), {}
            for name, row in ((HUMAN, self._human), (NOISE, self._noise)):
                halves = [statistics.add(_sums(row, self._halves, half, share)) for half in (0, 1)]
                # Unbiased, the kernel distance of real speech may be 0 or less: it counts as its error at least.
                kernels = _at_least(self._kernels(row, share), errors)
                ends[name] = self._distances(halves) | kernels | _opinions(self._values(row))
            self._known_ends[share] = ends, errors
        return self._known_ends[share]

    def _distances(self, halves: Sequence[statistics.Sums]) -> dict[str, float]:
        found = [
            statistics.distances(*each) for each in zip(halves, self._reference, strict=True) if each[0].get("seconds")
        ]
        return {name: float(np.mean([each.get(name, np.nan) for each in found])) for name in found[0]}

    def _kernels(self, row: Measured, share: float) -> dict[str, float]:
        result = {}
        for name in _embeddings(self._human):
            pairs = self._pairs(row, name, share)
            key = name.replace(statistics.EMBEDDING, "kernel_")
            result[key] = float(np.mean([distances.kernel(*pair) for pair in pairs])) if pairs else np.nan
        return result

    def _kernel_errors(self, share: float) -> dict[str, float]:
        result = {}
        for name in _embeddings(self._human):
            if pairs := self._pairs(self._human, name, share):
                error = np.mean([distances.kernel_error(*pair) for pair in pairs])
                result[name.replace(statistics.EMBEDDING, "kernel_")] = float(error)
        return result

    def _pairs(self, row: Measured, name: str, share: float) -> list[tuple[np.ndarray, np.ndarray]]:
        """Vectors of the row in one half and of real speech in the other, where there are enough of both."""
        pairs = []
        for half in (0, 1):
            own = _vectors(row, self._halves, half, name, share)
            real = _vectors(self._human, self._halves, 1 - half, name, 1.0)
            if min(len(own), len(real)) >= 2 * real.shape[1]:
                pairs.append((own, real))
        return pairs

    def _interval(self, sums: Sequence[Sequence[statistics.Sums]], ends: Mapping, estimate: float) -> dict[str, float]:
        """Of babble quality, over dialogues; a draw with repetitions lies too far away, so its mean is put right."""
        rng, drawn = np.random.default_rng(self._seed), []
        for _ in range(self._draws if np.isfinite(estimate) else 0):
            weights = [rng.multinomial(len(half), np.full(len(half), 1 / len(half))) for half in sums if len(half)]
            halves = [
                statistics.add(half, weight) for half, weight in zip((h for h in sums if len(h)), weights, strict=True)
            ]
            if all(half.get("seconds") for half in halves) and len(halves) == 2:
                drawn.append(scale.babble_quality(_percents(self._distances(halves), ends)))
        drawn = np.array(drawn)[np.isfinite(drawn)] if len(drawn) else np.zeros(0)
        if not len(drawn):
            return {}
        low, high = np.percentile(drawn, INTERVAL_PERCENTILES) - drawn.mean() + estimate
        return {
            f"{scale.HEADLINE}_low": scale.clipped(float(low)),
            f"{scale.HEADLINE}_high": scale.clipped(float(high)),
        }


def _opinions(values: Mapping[str, Any]) -> dict[str, float]:
    return {name: values[name] for name in values if name.startswith("dnsmos_")}


def _at_least(found: Mapping[str, float], least: Mapping[str, float]) -> dict[str, float]:
    return {name: max(value, least[name]) if name in least else value for name, value in found.items()}


def _percents(row: Mapping[str, float], ends: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    pairs = {name: (ends[HUMAN].get(name, np.nan), ends[NOISE].get(name, np.nan)) for name in row}
    return {name: scale.percent(name, row[name], *pairs[name]) for name in row}


def _embeddings(row: Measured) -> list[str]:
    return sorted({name for each in row.features for name in each if name.startswith(statistics.EMBEDDING)})


def _of_half(row: Measured, halves: Mapping[str, int], half: int) -> list[tuple[str, Features]]:
    pairs = zip(row.dialogues, row.features, strict=True)
    return [(dialogue, each) for dialogue, each in pairs if halves[dialogue] == half]


def _sums(row: Measured, halves: Mapping[str, int], half: int, share: float = 1.0) -> list[statistics.Sums]:
    """Of each dialogue of one half."""
    by_dialogue: dict[str, list[statistics.Sums]] = {}
    for dialogue, features in _of_half(row, halves, half):
        by_dialogue.setdefault(dialogue, []).append(statistics.sums_of(features, share))
    return [statistics.add(each) for each in by_dialogue.values()]


def _vectors(row: Measured, halves: Mapping[str, int], half: int, name: str, share: float) -> np.ndarray:
    """Vectors of an embedding, of one half of the dialogues, at most so many as a kernel distance can take."""
    found = [each[name] for _, each in _of_half(row, halves, half) if name in each]
    if not found:
        return np.zeros((0, 1))
    vectors = statistics.thinned(np.concatenate(found), share)
    return statistics.thinned(vectors, MOST_KERNEL_VECTORS / max(len(vectors), 1))


def _by_dialogue(row: Measured) -> dict[str, statistics.Sums]:
    sums: dict[str, list[statistics.Sums]] = {}
    for dialogue, features in zip(row.dialogues, row.features, strict=True):
        sums.setdefault(dialogue, []).append(statistics.sums_of(features))
    return {name: statistics.add(each) for name, each in sums.items()}


def _per_dialogue(row: Measured) -> list[dict[str, Any]]:
    return [
        {"dialogue": name, "speech_seconds": float(total["seconds"])} | statistics.values(total)
        for name, total in _by_dialogue(row).items()
    ]
