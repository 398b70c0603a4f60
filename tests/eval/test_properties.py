"""What no dialogue may change, and what no input may get past."""

import dataclasses
import time

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from datasets import corpora, dialogue, hazard, turns
from datasets.corpora import maptask
from datasets.errors import InputError
from eval import coordination, peers, protocol, shape, timing
from eval.chunks import Chunk, dialogue_chunks, mirrored, whole_dialogues
from tests.eval.simulated_chunks import in_chunks, simulated_wholes

SECONDS = 60.0
HUMANS = in_chunks(simulated_wholes(6))
TABLE = shape.EventTable(HUMANS)
TABLES = hazard.maptask_tables()["follower"]
NOTHING = np.zeros((0, 2))


@st.composite
def ipus(draw, longest=59_000):
    """IPUs of one speaker, in whole milliseconds."""
    edges = sorted(draw(st.lists(st.integers(0, longest), max_size=24, unique=True)))
    return dialogue.bridge(np.array(edges[: len(edges) // 2 * 2], float).reshape(-1, 2) / 1000)


def chunk(own, partner, seconds=SECONDS, name="d"):
    return Chunk(name, 0, 0.0, seconds, own, partner)


def measured(one):
    """Everything that is counted on a chunk."""
    sample = shape.EventTable([one]).pool()
    return {
        **shape.distance(sample, TABLE.pool()),
        **{f"n_{kind}": count for kind, count in sample.counts().items()},
        **peers.peers_scores([one]),
        "llr": coordination.llr_per_chunk(TABLES, [one])[0],
    }


@settings(max_examples=40, deadline=None)
@given(ipus(), ipus())
def test_swapping_the_channels_mirrors_everything(a, b):
    (there,), (back,) = mirrored([chunk(a, b)]), mirrored(mirrored([chunk(a, b)]))
    one, other = turns.events(a, b, SECONDS), turns.events(there.own_ipus, there.partner_ipus, SECONDS)
    for kind in ("pauses", "gaps", "between_overlaps", "within_overlaps"):
        for owner in (0, 1):
            ours, theirs = getattr(one, kind).durations(owner), getattr(other, kind).durations(1 - owner)
            np.testing.assert_array_equal(ours, theirs)
    order = [turns.NOBODY, turns.SECOND, turns.FIRST, turns.BOTH]
    np.testing.assert_array_equal(one.floor_transitions(), other.floor_transitions()[np.ix_(order, order)])
    assert measured(back) == pytest.approx(measured(chunk(a, b)), nan_ok=True)
    joint = [shape.EventTable([each], both=True).pool() for each in (chunk(a, b), there)]
    assert shape.distance(joint[0], TABLE.pool()) == pytest.approx(shape.distance(joint[1], TABLE.pool()))


@settings(max_examples=40, deadline=None)
@given(ipus(longest=50_000), ipus(longest=50_000), st.integers(1, 450))
def test_shifting_time_changes_no_event(a, b, frames):
    """By whole frames, with silence before it as there was after it."""
    moved = [each + frames / 50 for each in (a, b)]
    ours, theirs = (turns.events(*each, SECONDS) for each in ((a, b), moved))
    for kind in ("pauses", "gaps", "between_overlaps", "within_overlaps"):
        np.testing.assert_allclose(getattr(ours, kind).durations(), getattr(theirs, kind).durations(), atol=1e-9)
        np.testing.assert_array_equal(getattr(ours, kind).owner, getattr(theirs, kind).owner)
    np.testing.assert_allclose(ours.ftos(), theirs.ftos(), atol=1e-9)
    np.testing.assert_allclose(ours.turns(), theirs.turns(), atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(ipus(), ipus(), st.floats(0, 1), st.integers(1, 199))
def test_splitting_by_less_than_the_bridge_changes_nothing(a, b, where, milliseconds):
    lengths = a[:, 1] - a[:, 0]
    assume(len(a) and lengths.max() > 0.21)
    i = int(lengths.argmax())
    start, end = a[i]
    silence = milliseconds / 1000
    cut = start + 0.001 + where * (end - start - silence - 0.002)
    split = np.concatenate([a[:i], [[start, cut], [cut + silence, end]], a[i + 1 :]])
    assert measured(chunk(split, b)) == pytest.approx(measured(chunk(a, b)), nan_ok=True)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, len(HUMANS) - 1), min_size=1, max_size=12))
def test_a_dialogue_in_which_the_agent_is_silent_lowers_no_distance(chosen):
    """An agent that does no more than the human is never brought nearer by saying nothing: as much again of silence."""
    quiet = [dataclasses.replace(HUMANS[i], own_ipus=HUMANS[i].own_ipus[::2]) for i in chosen]
    silent = [dataclasses.replace(each, own_ipus=NOTHING) for each in quiet]
    humans = shape.EventTable([HUMANS[i] for i in chosen]).pool()
    before, after = (shape.distance(shape.EventTable(each).pool(), humans) for each in (quiet, quiet + silent))
    more_than_humans = {
        f"rate_{kind}"
        for kind, count in shape.EventTable(quiet).pool().counts().items()
        if count > humans.counts()[kind]
    }
    for name in shape.DISTANCES:
        if name not in more_than_humans:
            assert after[name] >= before[name] - 1e-9, name


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, len(HUMANS) - 1), min_size=3, max_size=12), ipus(), ipus())
def test_identity_gives_m_of_one(chosen, a, b):
    table = shape.EventTable([*(HUMANS[i] for i in chosen), chunk(a, b)])
    found = shape.Comparison(table, table).distance(table.times(), table.times())
    assert shape.shape_score(found, dict.fromkeys(shape.DISTANCES, 1e-9)) == 1


MALFORMED = [
    ([[0.0, np.nan]], "times must be finite"),
    ([[0.0, np.inf]], "times must be finite"),
    ([[-0.5, 1.0]], "must not be negative"),
    ([[0.0, 2.0], [1.0, 3.0]], "must not overlap"),
    ([[3.0, 4.0], [0.0, 1.0]], "must be sorted by start"),
    ([[2.0, 1.0]], "must end after it starts"),
    ([[1_200.0, 58_000.0]], "ends at 60 s; did you pass milliseconds"),
    ([[60.0, 2_900.0]], "ends at 60 s; did you pass frames"),
    ([1.0, 2.0, 3.0], "must have shape"),
    ("speech", "must be numbers"),
]


@pytest.mark.parametrize("bad, said", MALFORMED)
@pytest.mark.parametrize("side", [0, 1])
def test_malformed_intervals_are_refused_in_one_line(bad, said, side):
    pair = [[[0.0, 1.0]], bad] if side else [bad, [[0.0, 1.0]]]
    for count in (lambda: timing.events(*pair, SECONDS), lambda: chunk(*pair)):
        with pytest.raises(InputError, match=said) as caught:
            count()
        assert "\n" not in str(caught.value) and ("channel" in str(caught.value) or "chunk" in str(caught.value))


def test_activities_of_different_length_are_refused():
    with pytest.raises(InputError, match="differ in length"):
        hazard.llr(TABLES, np.zeros(100, bool), np.zeros(99, bool))


@pytest.mark.parametrize("own", [NOTHING, np.array([[0.0, SECONDS]])])
@pytest.mark.parametrize("partner", [NOTHING, np.array([[0.0, SECONDS]])])
def test_silence_only_and_speech_only_are_measured(own, partner):
    one = chunk(own, partner)
    found = measured(one)
    assert all(np.isfinite(found[name]) for name in shape.DISTANCES) and np.isfinite(found["llr"])
    counted = timing.statistics([turns.events(own, partner, SECONDS)])
    assert counted["fto_n"] == 0 and np.isnan(counted["gap_median"])
    stays = [counted[f"{state}_dwell_mean"] for state in ("nobody", "only_0", "only_1", "both")]
    assert sorted(stays, key=np.isnan)[0] == SECONDS and np.isnan(stays).sum() == 3


def test_stays_and_what_follows_them():
    happened = turns.events([[0, 1], [2, 3], [5, 6]], [[3.5, 5.2], [5.4, 5.6]], 8)
    np.testing.assert_allclose(happened.floor_dwells(turns.NOBODY), [1, 0.5, 2])
    np.testing.assert_allclose(happened.floor_dwells(turns.FIRST), [1, 1, 0.2, 0.4])
    np.testing.assert_allclose(happened.floor_dwells(turns.BOTH), [0.2, 0.2])
    assert sum(happened.floor_dwells(state).sum() for state in range(4)) == pytest.approx(8)
    counted = timing.statistics([happened, happened])
    assert counted["nobody_dwell_median"] == pytest.approx(1) and counted["both_dwell_mean"] == pytest.approx(0.2)
    assert counted["nobody_to_only_0"] == counted["nobody_to_only_1"] == 0.5 and counted["both_to_only_0"] == 1
    for state in ("nobody", "only_0", "only_1", "both"):
        assert sum(v for key, v in counted.items() if key.startswith(f"{state}_to_")) == pytest.approx(1)


def test_three_seconds_are_refused():
    three = [chunk([[0.5, 1.0]], [[1.2, 2.0]], seconds=3.0, name=f"d{i}") for i in range(2)]
    with pytest.raises(InputError, match="6 s of dialogue are too short: even ten minutes show no difference"):
        protocol.check_enough(three, protocol.DRAW_CHUNKS, "the system")


def test_all_of_it_on_all_of_map_task_in_seconds(maptask_dir):
    """14.5 hours: statistics, tables, LLR, dLLR, selectivity, onset hazard, shifts and holds, peers, shape."""
    corpus = maptask.MapTask(corpora.Options(data_dir=maptask_dir))
    real = [corpus.load(name, audio=False) for name in corpus.names()]
    begun = time.process_time()
    happened = [turns.dialogue_events(each) for each in real]
    timing.statistics(happened)
    for each in happened:
        turns.shifts_and_holds(each)
    for role in ("giver", "follower"):
        wholes = whole_dialogues(real, role)
        tables = hazard.fit_tables([whole.activity() for whole in wholes])
        coordination.llr_per_chunk(tables, wholes)
        coordination.dllr_per_chunk(tables, wholes, np.random.default_rng(0))
        coordination.selectivity(wholes, wholes)
        coordination.onset_hazard(wholes, np.linspace(0, 2, 41))
    chunks = dialogue_chunks(real, "follower")
    table = shape.EventTable(chunks)
    shape.distance(table.pool(), table.pool())
    peers.dgslm(happened)
    assert len(real) == 128 and time.process_time() - begun < 5
