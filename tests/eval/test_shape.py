import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval import shape
from eval.chunks import Chunk
from tests.eval.simulated_chunks import in_chunks, simulated_wholes

FLOORS = dict.fromkeys(shape.DISTANCES, 0.1)
SILENT = Chunk("silent", 0, 0.0, 60.0, np.zeros((0, 2)), np.array([[1.0, 5.0], [7.0, 20.0]]))
CHUNKS = in_chunks(simulated_wholes(6))
TABLE = shape.EventTable(CHUNKS)


def test_identity_gives_m_of_one():
    found = shape.distance(TABLE.pool(), TABLE.pool())
    assert list(found) == list(shape.DISTANCES)
    assert all(value == pytest.approx(0, abs=1e-12) for value in found.values())
    assert shape.shape_score(found, FLOORS) == 1


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_fast_comparison_equals_the_plain_distance(seed):
    rng = np.random.default_rng(seed)
    chosen, humans = rng.integers(0, len(CHUNKS), 4), rng.choice(len(CHUNKS), 9, replace=False)
    fast = shape.Comparison(TABLE, TABLE).distance(TABLE.times(chosen), TABLE.times(humans))
    plain = shape.distance(TABLE.pool(chosen), TABLE.pool(humans))
    assert fast == pytest.approx(plain, abs=1e-9)


def test_the_fast_comparison_of_silence_equals_the_plain_one():
    silence = shape.EventTable([SILENT])
    fast = shape.Comparison(silence, TABLE).distance(silence.times(), TABLE.times())
    assert fast == pytest.approx(shape.distance(silence.pool(), TABLE.pool()))


def test_missing_events_take_the_largest_distance():
    found = shape.distance(shape.EventTable([SILENT]).pool(), TABLE.pool())
    assert (found["w1_fto"], found["w1_ipu"], found["w1_pause"], found["js_fto"]) == (8, 10, 5, 1)
    assert all(np.isfinite(value) for value in found.values())
    assert found["speech"] == pytest.approx(TABLE.speech_seconds.sum() / (60 * TABLE.minutes.sum()))


def test_two_events_are_too_few_and_three_are_not():
    for count, expected in ((2, 10.0), (3, pytest.approx(0))):
        own = np.array([[10.0 * i, 10.0 * i + 1] for i in range(count)])
        chunk = Chunk("d", 0, 0.0, 60.0, own, np.zeros((0, 2)))
        sample = shape.EventTable([chunk]).pool()
        assert shape.distance(sample, sample)["w1_ipu"] == expected


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, len(CHUNKS) - 1), min_size=1, max_size=8))
def test_a_silent_chunk_more_lowers_no_rate_distance_of_a_quiet_agent(chosen):
    """An agent that does nothing more than humans do is never brought nearer to them by silence."""
    with_silence = shape.EventTable([*CHUNKS, SILENT])
    humans = shape.EventTable([*CHUNKS, *(_doubled(chunk) for chunk in CHUNKS)]).pool()
    without = shape.distance(with_silence.pool(np.array(chosen)), humans)
    added = shape.distance(with_silence.pool(np.array([*chosen, len(CHUNKS)])), humans)
    sample, reference = with_silence.pool(np.array(chosen)), humans
    for kind, count in sample.counts().items():
        if count / sample.minutes <= reference.counts()[kind] / reference.minutes:
            assert added[f"rate_{kind}"] >= without[f"rate_{kind}"] - 1e-12
    if sample.speech_seconds / sample.minutes <= reference.speech_seconds / reference.minutes:
        assert added["speech"] >= without["speech"] - 1e-12
    for name in ("w1_fto", "js_fto", "w1_ipu", "w1_pause"):
        assert added[name] == pytest.approx(without[name])


def test_a_draw_that_repeats_a_chunk_counts_it_twice():
    once, twice = TABLE.pool(np.array([3])), TABLE.pool(np.array([3, 3]))
    assert twice.counts() == {kind: 2 * count for kind, count in once.counts().items()}
    assert twice.minutes == 2 * once.minutes


def test_only_the_own_events_are_counted():
    chunk = Chunk("d", 0, 0.0, 60.0, np.array([[0, 1], [2, 3], [10, 11]]), np.array([[4, 5], [6, 8.5], [20, 21]]))
    sample = shape.EventTable([chunk]).pool()
    # Into the own channel there is one transfer, 8.5 -> 10; the own pause is 1 -> 2.
    np.testing.assert_allclose(sample.durations["fto"], [1.5])
    np.testing.assert_allclose(sample.durations["pause"], [1.0])
    np.testing.assert_allclose(sample.durations["ipu"], [1, 1, 1])
    assert sample.counts() == {"fto": 1, "ipu": 3, "pause": 1, "backchannel": 1}
    assert sample.speech_seconds == pytest.approx(3)


def test_durations_are_clipped():
    chunk = Chunk("d", 0, 0.0, 60.0, np.array([[20.0, 40.0]]), np.array([[0.0, 5.0]]))
    sample = shape.EventTable([chunk]).pool()
    assert (sample.durations["fto"][0], sample.durations["ipu"][0]) == (5, 10)


def test_m_averages_the_ratios_and_caps_them():
    found = dict.fromkeys(shape.DISTANCES, 0.05)
    assert shape.shape_score(found, FLOORS) == 1
    assert shape.shape_score(found | {"speech": 0.3}, FLOORS) == pytest.approx(1 / ((8 + 3) / 9))
    assert shape.shape_score(found | {"speech": 1e9}, FLOORS) == pytest.approx(1 / ((8 + 20) / 9))
    # A floor of nothing: what does not exceed it is at it, what does is as far as can be.
    bare = FLOORS | {"speech": 0.0}
    assert shape.shape_score(found | {"speech": 0.0}, bare) == 1
    assert shape.shape_score(found | {"speech": 0.001}, bare) == pytest.approx(1 / ((8 + 20) / 9))


def _doubled(chunk):
    """The same chunk at half the pace again: more events a minute, so that humans are livelier than any draw."""
    return dataclasses.replace(
        chunk, seconds=chunk.seconds / 2, own_ipus=chunk.own_ipus / 2, partner_ipus=chunk.partner_ipus / 2
    )
