import itertools
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets import corpora, dialogue
from datasets.corpora import maptask
from datasets.errors import InputError
from eval import coordination, timing
from eval.chunks import dialogue_chunks, whole_dialogues

DURATION = 12.0


@st.composite
def ipus(draw):
    """IPUs of one speaker, in whole milliseconds."""
    edges = sorted(draw(st.lists(st.integers(0, 12_000), max_size=16, unique=True)))
    return dialogue.bridge(np.array(edges[: len(edges) // 2 * 2], float).reshape(-1, 2) / 1000)


def plain_events(a, b, duration):
    """Heldner & Edlund by looking at every millisecond."""
    speaking = np.zeros((2, round(duration * 1000)), int)
    for channel, intervals in enumerate((a, b)):
        for start, end in np.round(intervals * 1000).astype(int):
            speaking[channel, start:end] = 1
    floor = [(state, len(list(run))) for state, run in itertools.groupby(speaking[0] + 2 * speaking[1])]
    found = {"pauses": [], "gaps": [], "within_overlaps": [], "between_overlaps": []}
    ambiguous = 0
    for (before, _), (now, n), (after, _) in zip(floor, floor[1:], floor[2:], strict=False):
        if now not in (0, 3):
            continue
        if before not in (1, 2) or after not in (1, 2):
            ambiguous += 1
            continue
        same = before == after
        kind = ("pauses" if same else "gaps") if now == 0 else ("within_overlaps" if same else "between_overlaps")
        found[kind].append((n / 1000, int(after) - 1))
    return found, ambiguous


def table(happened):
    kinds = ("pauses", "gaps", "within_overlaps", "between_overlaps")
    return {
        kind: [
            (round(float(seconds), 6), int(owner))
            for seconds, owner in zip(getattr(happened, kind).durations(), getattr(happened, kind).owner, strict=True)
        ]
        for kind in kinds
    }


@given(ipus(), ipus())
def test_events_equal_the_plain_reference(a, b):
    happened = timing.events(a, b, DURATION)
    expected, ambiguous = plain_events(a, b, DURATION)
    assert table(happened) == expected
    assert happened.ambiguous == ambiguous


@given(ipus(), ipus())
def test_swapping_the_channels_mirrors_the_table(a, b):
    one, other = timing.events(a, b, DURATION), timing.events(b, a, DURATION)
    mirrored = {kind: [(seconds, 1 - owner) for seconds, owner in rows] for kind, rows in table(other).items()}
    assert table(one) == mirrored
    np.testing.assert_array_equal(one.ftos(0), other.ftos(1))
    np.testing.assert_array_equal(one.backchannels(0), other.backchannels(1))
    np.testing.assert_allclose(one.floor_seconds()[[0, 2, 1, 3]], other.floor_seconds())


@given(ipus(), ipus(), st.integers(1, 100_000))
def test_shifting_time_changes_nothing(a, b, milliseconds):
    shift = milliseconds / 1000
    one, other = timing.events(a, b, DURATION), timing.events(a + shift, b + shift, DURATION + shift)
    assert table(one) == table(other)
    np.testing.assert_allclose(one.ftos(), other.ftos(), atol=1e-6)


@given(ipus(), ipus(), st.floats(0.001, 0.199), st.floats(0.01, 0.99))
def test_splitting_speech_by_less_than_the_bridge_changes_nothing(a, b, silence, place):
    if not len(a):
        return
    start, end = a[0]
    if end - start < 0.25:
        return
    cut = start + 0.02 + place * (end - start - silence - 0.04)
    split = np.concatenate([[[start, cut], [cut + silence, end]], a[1:]])
    assert table(timing.events(split, b, DURATION)) == table(timing.events(a, b, DURATION))


@given(ipus(), ipus())
def test_the_floor_adds_up(a, b):
    happened = timing.events(a, b, DURATION)
    seconds = happened.floor_seconds()
    assert seconds.sum() == pytest.approx(DURATION)
    assert seconds[timing.FIRST] + seconds[timing.BOTH] == pytest.approx(np.diff(a).sum(), abs=1e-5)
    assert happened.floor_transitions().sum() == max(len(happened.floor_states) - 1, 0)
    assert np.diag(happened.floor_transitions()).sum() == 0


def test_a_small_dialogue():
    happened = timing.events([[0, 1], [2, 3], [5, 6]], [[3.5, 5.2], [5.4, 5.6]], 8)
    np.testing.assert_allclose(happened.pauses.intervals, [[1, 2]])
    np.testing.assert_allclose(happened.gaps.intervals, [[3, 3.5]])
    np.testing.assert_allclose(happened.between_overlaps.intervals, [[5, 5.2]])
    np.testing.assert_allclose(happened.within_overlaps.intervals, [[5.4, 5.6]])
    np.testing.assert_allclose(happened.ftos(), [0.5, -0.2])
    np.testing.assert_allclose(happened.ftos(1), [0.5])
    np.testing.assert_allclose(happened.transfer_onsets(), [3.5, 5])
    np.testing.assert_allclose(happened.turns(), [1.5])
    assert list(happened.within_overlaps.owner) == [0] and happened.ambiguous == 0


def test_ties_are_ambiguous():
    # Both fall silent at 2, both start at 3.
    happened = timing.events([[0, 2], [3, 4]], [[1, 2], [3, 5]], 6)
    assert happened.ambiguous == 3
    assert not len(happened.ftos()) and not len(happened.pauses)


@pytest.mark.parametrize("a, b", [([], []), ([[0, 10]], []), ([[0, 10]], [[0, 10]]), ([[2, 3]], [])])
def test_silence_only_and_speech_only(a, b):
    happened = timing.events(np.array(a).reshape(-1, 2), np.array(b).reshape(-1, 2), 10)
    assert not len(happened.ftos()) and not len(happened.turns())
    counted = timing.statistics([happened])
    assert counted["fto_n"] == 0 and np.isnan(counted["fto_median"])
    assert counted["nobody"] + counted["only_0"] + counted["only_1"] + counted["both"] == pytest.approx(1)


def test_backchannels_need_silence_on_both_sides_after_filling_pauses():
    a = [[2, 2.5], [5, 5.4], [6.6, 7]]
    # The pause between the last two is filled, and 2 s are too long.
    happened = timing.events(a, [[0, 1], [3, 4], [8.2, 9]], 20)
    np.testing.assert_allclose(happened.backchannels(0), [[2, 2.5]])
    # With the partner between them there is no pause to fill.
    happened = timing.events(a, [[0, 1], [3, 4], [5.6, 6.2], [8.2, 9]], 20)
    np.testing.assert_allclose(happened.backchannels(0), a)
    # Too near to each other.
    happened = timing.events([[5, 5.4], [6.2, 7]], [[3, 4], [5.6, 6], [8.2, 9]], 20)
    assert not len(happened.backchannels(0))


def test_backchannels_next_to_the_ends_of_the_recording():
    assert len(timing.events([[0.5, 1], [9, 9.5]], [], 10).backchannels(0)) == 0
    assert len(timing.events([[1, 1.5], [8, 9]], [[4, 5]], 10).backchannels(0)) == 2


def test_shifts_and_holds_need_a_second_alone_on_both_sides():
    a = [[0, 2], [2.5, 4], [9, 9.5]]
    b = [[5, 7], [7.4, 8.5]]
    shifts, holds = timing.shifts_and_holds(timing.events(a, b, 12))
    np.testing.assert_allclose(shifts.intervals, [[4, 5]])
    assert list(shifts.owner) == [1]
    np.testing.assert_allclose(holds.intervals, [[2, 2.5], [7, 7.4]])
    assert list(holds.owner) == [0, 1]


@pytest.mark.parametrize("bad", [[[0, np.nan]], [[3, 4], [0, 1]], [[0, 2], [1, 3]], [[-1, 1]], [[0, 60_000]]])
def test_malformed_channels_are_refused(bad):
    with pytest.raises(InputError, match="channel 1"):
        timing.events([[0, 1]], bad, 60)


def test_no_dialogue_has_no_statistics():
    with pytest.raises(InputError, match="no dialogue"):
        timing.statistics([])


def test_statistics_pool_the_events():
    one = timing.events([[0, 1], [2, 3]], [[3.5, 5]], 30)
    counted = timing.statistics([one, one])
    assert counted["minutes"] == 1 and counted["dialogues"] == 2
    assert counted["ipu_per_min"] == 6 and counted["pause_per_min"] == 2 and counted["gap_per_min"] == 2
    assert counted["fto_n"] == 2 and counted["fto_median"] == pytest.approx(0.5) and counted["fto_over_200ms"] == 1
    assert counted["speech_0"] == pytest.approx(2 / 30)


def test_events_equal_pympi(maptask_dir):
    elan = pytest.importorskip("pympi", reason="needs pympi-ling, an outside implementation of Heldner & Edlund")
    corpus = maptask.MapTask(corpora.Options(data_dir=maptask_dir))
    for name in corpus.names()[::8]:
        real = corpus.load(name, audio=False)
        milliseconds = [np.round(real.ipus(channel) * 1000).astype(int) for channel in (0, 1)]
        file = elan.Eaf()
        for channel, intervals in enumerate(milliseconds):
            file.add_tier(str(channel))
            for start, end in intervals.tolist():
                file.add_annotation(str(channel), start, end)
        theirs = {}
        for start, end, kind in file.get_gaps_and_overlaps2("0", "1"):
            theirs.setdefault(kind, []).append((end - start) / 1000)
        happened = timing.events(*(each / 1000 for each in milliseconds), real.duration_seconds + 0.001)
        ours = {
            **{f"P{k + 1}": happened.pauses.durations(k) for k in (0, 1)},
            **{f"G{2 - k}{k + 1}": happened.gaps.durations(k) for k in (0, 1)},
            **{f"O{2 - k}{k + 1}": happened.between_overlaps.durations(k) for k in (0, 1)},
            **{f"W{k + 1}{2 - k}": happened.within_overlaps.durations(k) for k in (0, 1)},
        }
        for kind, durations in ours.items():
            np.testing.assert_allclose(np.sort(durations), np.sort(theirs.get(kind, [])), atol=1e-6, err_msg=name)


def test_all_of_map_task_is_counted_in_seconds(maptask_dir):
    corpus = maptask.MapTask(corpora.Options(data_dir=maptask_dir))
    real = [corpus.load(name, audio=False) for name in corpus.names()]
    begun = time.process_time()
    timing.statistics([timing.dialogue_events(each) for each in real])
    for role in ("giver", "follower"):
        wholes = whole_dialogues(real, role)
        coordination.leave_one_out_llr(wholes, coordination.groups_of(real))
        coordination.selectivity(wholes, wholes)
        dialogue_chunks(real, role)
    assert len(real) == 128 and time.process_time() - begun < 5
