"""Turn timing of two speakers: pauses, gaps, overlaps, floor transfers, turns, backchannels, and their statistics.

At any instant nobody, one speaker alone, or both hold the floor. Silence and overlap are named by who was alone just
before and just after (Heldner & Edlund 2010, Journal of Phonetics 38, section 2):

    ==============  ===================  ========================
    floor           the same speaker     the other speaker after
    ==============  ===================  ========================
    nobody speaks   pause                gap
    both speak      within-overlap       between-overlap
    ==============  ===================  ========================

The floor-transfer offset, FTO, is the length of a gap or minus the length of a between-overlap (Levinson & Torreira
2015, Frontiers in Psychology 6:731); it belongs to the incoming speaker. A turn is the stretch from one floor
transfer to the next, from onset to onset of the incoming speakers (Nguyen et al. 2022, dGSLM).

All functions are pure. Intervals are IPUs, float64 [n, 2] of (start, end) in seconds on one clock, sorted, as
`datasets.dialogue.bridge` makes them; speakers are 0 and 1.
"""

import dataclasses
import functools
import re
from collections.abc import Mapping, Sequence

import numpy as np

from datasets import dialogue as dialogue_lib
from datasets.errors import InputError

NOBODY, FIRST, SECOND, BOTH = range(4)
_STATES = ("nobody", "only_0", "only_1", "both")
BACKCHANNEL_SECONDS = 1.0
BACKCHANNEL_SILENCE_SECONDS = 1.0
SOLE_SECONDS = 1.0

_TIE_SECONDS = 1e-6


@dataclasses.dataclass(frozen=True, eq=False)
class Owned:
    """Events of one kind, in order of time: intervals [n, 2] in seconds and owner [n], 0 or 1.

    The owner is the speaker who is alone afterwards: of a pause and a within-overlap the one who goes on, of a gap and
    a between-overlap the incoming one.
    """

    intervals: np.ndarray
    owner: np.ndarray

    def __len__(self) -> int:
        return len(self.owner)

    def durations(self, owner: int | None = None) -> np.ndarray:
        """Seconds [n], of one owner or of both."""
        intervals = self.intervals if owner is None else self.intervals[self.owner == owner]
        return intervals[:, 1] - intervals[:, 0]


@dataclasses.dataclass(frozen=True, eq=False)
class Events:
    """Everything that happened on the floor of one dialogue.

    Attributes:
        duration_seconds: of the dialogue.
        ipus: the speech of both, each [n, 2].
        floor_starts, floor_states: the states of the floor (NOBODY, FIRST, SECOND, BOTH) and when they begin, [m].
        pauses, gaps, between_overlaps, within_overlaps: what Heldner & Edlund call so.
        ambiguous: silences and overlaps next to a state in which nobody was alone, by an exact tie; never classified.
    """

    duration_seconds: float
    ipus: tuple[np.ndarray, np.ndarray]
    floor_starts: np.ndarray
    floor_states: np.ndarray
    pauses: Owned
    gaps: Owned
    between_overlaps: Owned
    within_overlaps: Owned
    ambiguous: int

    @functools.cached_property
    def _transfers(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Onset, offset and owner of the floor transfers, each [n], in order of time."""
        onsets = np.concatenate([self.gaps.intervals[:, 1], self.between_overlaps.intervals[:, 0]])
        offsets = np.concatenate([self.gaps.durations(), -self.between_overlaps.durations()])
        owners = np.concatenate([self.gaps.owner, self.between_overlaps.owner])
        order = np.argsort(onsets, kind="stable")
        return onsets[order], offsets[order], owners[order]

    def transfer_onsets(self, owner: int | None = None) -> np.ndarray:
        """When the incoming speaker starts, seconds [n]."""
        onsets, _, owners = self._transfers
        return onsets if owner is None else onsets[owners == owner]

    def ftos(self, owner: int | None = None) -> np.ndarray:
        """Floor-transfer offsets in seconds [n], of one incoming speaker or of both; negative in overlap."""
        _, offsets, owners = self._transfers
        return offsets if owner is None else offsets[owners == owner]

    def turns(self) -> np.ndarray:
        """Seconds from each floor transfer to the next, [n - 1]."""
        return np.diff(self._transfers[0])

    def ipu_seconds(self, channel: int | None = None) -> np.ndarray:
        """Lengths of the IPUs [n], of one speaker or of both."""
        chosen = self.ipus if channel is None else (self.ipus[channel],)
        return np.concatenate([ipus[:, 1] - ipus[:, 0] for ipus in chosen])

    def backchannels(self, channel: int) -> np.ndarray:
        """Backchannel-like speech [n, 2]: at most 1.0 s, with at least 1.0 s of own silence on both sides.

        Pauses are filled first; the ends of the recording end a silence (after Ekstedt & Skantze 2022, VAP, section
        3.2).
        """
        pauses = self.pauses.intervals[self.pauses.owner == channel]
        filled = np.concatenate([self.ipus[channel], pauses])
        filled = dialogue_lib.bridge(filled[np.argsort(filled[:, 0], kind="stable")], 0)
        before = filled[:, 0] - np.concatenate([[0.0], filled[:-1, 1]])[: len(filled)]
        after = np.concatenate([filled[1:, 0], [self.duration_seconds]])[: len(filled)] - filled[:, 1]
        short = filled[:, 1] - filled[:, 0] <= BACKCHANNEL_SECONDS
        return filled[short & (np.minimum(before, after) >= BACKCHANNEL_SILENCE_SECONDS)]

    def floor_seconds(self) -> np.ndarray:
        """Seconds of nobody, the first alone, the second alone, both: [4]."""
        lengths = np.diff(self.floor_starts, append=self.duration_seconds)
        return np.bincount(self.floor_states, weights=lengths, minlength=4)

    def floor_dwells(self, state: int) -> np.ndarray:
        """How long the floor stayed in a state (NOBODY, FIRST, SECOND, BOTH) each time, seconds [n], in order."""
        return np.diff(self.floor_starts, append=self.duration_seconds)[self.floor_states == state]

    def floor_transitions(self) -> np.ndarray:
        """How often each state of the floor followed each other one: int [4 before, 4 after]."""
        pairs = self.floor_states[:-1] * 4 + self.floor_states[1:]
        return np.bincount(pairs, minlength=16).reshape(4, 4)


def events(ipus_a: np.ndarray, ipus_b: np.ndarray, duration_seconds: float) -> Events:
    """Classifies the floor of a dialogue.

    Args:
        ipus_a, ipus_b: speech of the two speakers, [n, 2] seconds; silences below 0.200 s are bridged if they are not.
        duration_seconds: of the dialogue.

    Raises:
        InputError: for intervals that are not numbers, not sorted, overlapping or outside the dialogue.
    """
    ipus = tuple(
        dialogue_lib.bridge(dialogue_lib.validate_intervals(intervals, duration_seconds, f"channel {channel}"))
        for channel, intervals in enumerate((ipus_a, ipus_b))
    )
    starts, states = _floor(*ipus, duration_seconds)
    ends = np.append(starts[1:], duration_seconds)[1:-1]
    before, now, after = states[:-2], states[1:-1], states[2:]
    inner = np.stack([starts[1:-1], ends], axis=1)
    contested = (now == NOBODY) | (now == BOTH)
    sole = _is_sole(before) & _is_sole(after)

    def select(state: int, kept: bool) -> Owned:
        chosen = sole & (now == state) & ((before == after) == kept)
        return Owned(inner[chosen], after[chosen] - FIRST)

    return Events(
        duration_seconds=float(duration_seconds),
        ipus=ipus,
        floor_starts=starts,
        floor_states=states,
        pauses=select(NOBODY, True),
        gaps=select(NOBODY, False),
        within_overlaps=select(BOTH, True),
        between_overlaps=select(BOTH, False),
        ambiguous=int((contested & ~sole).sum()),
    )


def dialogue_events(dialogue: dialogue_lib.Dialogue) -> Events:
    """The events of a dialogue's annotated speech; speaker 0 is channel 0."""
    return events(*dialogue.speech, dialogue.duration_seconds)


def shifts_and_holds(happened: Events) -> tuple[Owned, Owned]:
    """Mutual silences with at least 1 s of one speaker alone before and 1 s of one alone after.

    A shift if the other speaks after, a hold if the same (Ekstedt & Skantze 2022, VAP, section 3.2).
    """
    starts = np.append(happened.floor_starts, happened.duration_seconds)
    states = happened.floor_states
    long_sole = _is_sole(states) & (np.diff(starts) >= SOLE_SECONDS)
    silent = np.flatnonzero((states[1:-1] == NOBODY) & long_sole[:-2] & long_sole[2:]) + 1
    intervals = np.stack([starts[silent], starts[silent + 1]], axis=1)
    owner, kept = states[silent + 1] - FIRST, states[silent - 1] == states[silent + 1]
    return Owned(intervals[~kept], owner[~kept]), Owned(intervals[kept], owner[kept])


def statistics(happened: Sequence[Events]) -> dict[str, float]:
    """Counts per minute, fractions of time, lengths in seconds, and what follows what, of all the dialogues together.

    The events are pooled, then measured once; a mean or median of nothing is NaN.
    """
    if not happened:
        raise InputError("no dialogue to count")
    minutes = sum(each.duration_seconds for each in happened) / 60
    floor = np.sum([each.floor_seconds() for each in happened], axis=0) / (60 * minutes)
    lengths = {
        "ipu": np.concatenate([each.ipu_seconds() for each in happened]),
        "pause": np.concatenate([each.pauses.durations() for each in happened]),
        "gap": np.concatenate([each.gaps.durations() for each in happened]),
        "between_overlap": np.concatenate([each.between_overlaps.durations() for each in happened]),
        "within_overlap": np.concatenate([each.within_overlaps.durations() for each in happened]),
        "turn": np.concatenate([each.turns() for each in happened]),
    }
    ftos = np.concatenate([each.ftos() for each in happened])
    backchannels = sum(len(each.backchannels(channel)) for each in happened for channel in (0, 1))
    result = {
        "dialogues": len(happened),
        "minutes": minutes,
        "speech_0": floor[FIRST] + floor[BOTH],
        "speech_1": floor[SECOND] + floor[BOTH],
        "nobody": floor[NOBODY],
        "only_0": floor[FIRST],
        "only_1": floor[SECOND],
        "both": floor[BOTH],
        "fto_n": len(ftos),
        **_mean_and_median("fto", ftos),
        "fto_overlapping": _share(ftos < 0),
        "fto_over_200ms": _share(ftos > 0.2),
        "fto_over_1s": _share(ftos > 1.0),
        "backchannel_per_min": backchannels / minutes,
        "ambiguous": sum(each.ambiguous for each in happened),
    }
    for state, name in enumerate(_STATES):
        result |= _mean_and_median(f"{name}_dwell", np.concatenate([each.floor_dwells(state) for each in happened]))
    result |= _transition_shares(sum(each.floor_transitions() for each in happened))
    for name, seconds in lengths.items():
        result |= {f"{name}_per_min": len(seconds) / minutes, **_mean_and_median(name, seconds)}
    return {name: float(value) for name, value in result.items()}


def statistics_text(
    found: Mapping[str, float], names: tuple[str, str] = ("channel 0", "channel 1")
) -> list[tuple[str, str]]:
    """The statistics as the lines of a table: (title, numbers), a dash where there are none."""
    first, second = names
    return [
        (title.format(first=first, second=second), re.sub("nan%?", "-", text.format(**found))) for title, text in _LINES
    ]


_LINES = (
    ("speech of {first} / {second}, share of the time", "{speech_0:.3f} / {speech_1:.3f}"),
    ("nobody / {first} / {second} / both", "{nobody:.3f} / {only_0:.3f} / {only_1:.3f} / {both:.3f}"),
    (
        "stay of each, median, s",
        "{nobody_dwell_median:.2f} / {only_0_dwell_median:.2f} / {only_1_dwell_median:.2f} / {both_dwell_median:.2f}",
    ),
    (
        "after {first} alone: nobody / {second} / both",
        "{only_0_to_nobody:.2f} / {only_0_to_only_1:.2f} / {only_0_to_both:.2f}",
    ),
    (
        "after {second} alone: nobody / {first} / both",
        "{only_1_to_nobody:.2f} / {only_1_to_only_0:.2f} / {only_1_to_both:.2f}",
    ),
    ("IPU per min; mean; median, s", "{ipu_per_min:.1f}; {ipu_mean:.2f}; {ipu_median:.2f}"),
    ("pause per min; mean; median, s", "{pause_per_min:.1f}; {pause_mean:.2f}; {pause_median:.2f}"),
    ("gap per min; mean; median, s", "{gap_per_min:.1f}; {gap_mean:.2f}; {gap_median:.2f}"),
    ("between-overlap per min; median, s", "{between_overlap_per_min:.2f}; {between_overlap_median:.2f}"),
    ("within-overlap per min; median, s", "{within_overlap_per_min:.2f}; {within_overlap_median:.2f}"),
    ("FTO n; mean / median, s", "{fto_n:.0f}; {fto_mean:.3f} / {fto_median:.3f}"),
    (
        "FTO overlapping / over 200 ms / over 1 s",
        "{fto_overlapping:.1%} / {fto_over_200ms:.1%} / {fto_over_1s:.1%}",
    ),
    ("turn mean / median, s", "{turn_mean:.2f} / {turn_median:.2f}"),
    ("backchannel-like per min", "{backchannel_per_min:.2f}"),
)


def _floor(a: np.ndarray, b: np.ndarray, duration_seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """States of the floor and when they begin, from 0 s, without states of no length."""
    times = np.concatenate([[0.0], a[:, 0], a[:, 1], b[:, 0], b[:, 1]])
    steps = np.repeat([0, FIRST, -FIRST, SECOND, -SECOND], [1, len(a), len(a), len(b), len(b)])
    order = np.argsort(times, kind="stable")
    times, states = times[order], np.cumsum(steps[order])
    lasting = np.diff(times, append=duration_seconds) > _TIE_SECONDS
    times, states = times[lasting], states[lasting]
    changed = np.diff(states, prepend=-1) != 0
    return times[changed], states[changed]


def _is_sole(states: np.ndarray) -> np.ndarray:
    return (states == FIRST) | (states == SECOND)


def _transition_shares(counts: np.ndarray) -> dict[str, float]:
    """Of all ends of a state of the floor, the share after which each other one followed; counts [4, 4]."""
    return {
        f"{before}_to_{after}": counts[i, j] / counts[i].sum() if counts[i].any() else np.nan
        for i, before in enumerate(_STATES)
        for j, after in enumerate(_STATES)
        if i != j
    }


def _mean_and_median(name: str, values: np.ndarray) -> dict[str, float]:
    if not len(values):
        return {f"{name}_mean": np.nan, f"{name}_median": np.nan}
    return {f"{name}_mean": values.mean(), f"{name}_median": np.median(values)}


def _share(chosen: np.ndarray) -> float:
    return chosen.mean() if len(chosen) else np.nan
