import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets import dialogue as D
from datasets.errors import InputError

# Whole milliseconds, so that no silence is a rounding error away from the bridge.
milliseconds = st.lists(st.integers(0, 20_000), min_size=0, max_size=30, unique=True)


def to_intervals(edges):
    edges = sorted(edges)[: len(edges) // 2 * 2]
    return np.array(edges, float).reshape(-1, 2) / 1000


def make_dialogue(**changes):
    speech = (np.array([[0.0, 1.0], [1.1, 2.0]]), np.array([[1.5, 2.5]]))
    return dataclasses.replace(D.Dialogue("d", "test", 3.019, speech), **changes)


def test_bridge_merges_silences_shorter_than_the_bridge_only():
    intervals = [[0, 1], [1.199, 2], [2.2, 3], [3, 4], [3.5, 3.7]]
    np.testing.assert_allclose(D.bridge(intervals), [[0, 2], [2.2, 4]])


def test_bridge_of_a_silence_as_long_as_the_bridge_does_not_depend_on_the_last_bit():
    for start in (1.2, 2.2, 64.2, 1000.2):
        assert len(D.bridge([[0, start - 0.2], [start, start + 1]])) == 2


def test_bridge_zero_merges_what_touches():
    np.testing.assert_allclose(D.bridge([[0, 1], [1, 2], [2.0001, 3]], 0), [[0, 2], [2.0001, 3]])


def test_bridge_looks_past_an_interval_inside_another():
    np.testing.assert_allclose(D.bridge([[0, 10], [1, 2], [10.1, 11]]), [[0, 11]])


def test_nothing_stays_nothing():
    assert D.bridge([]).shape == (0, 2)
    assert D.cut([], 0, 1).shape == (0, 2)
    assert not D.activity([], 10).any()
    assert D.intervals_from_activity(np.zeros(10, bool)).shape == (0, 2)


@given(milliseconds)
def test_bridge_is_idempotent_and_leaves_long_silences_only(edges):
    bridged = D.bridge(to_intervals(edges))
    np.testing.assert_array_equal(D.bridge(bridged), bridged)
    assert (bridged[1:, 0] - bridged[:-1, 1] >= D.BRIDGE_SECONDS - 1e-6).all()


@given(milliseconds)
def test_activity_samples_the_midpoints(edges):
    intervals = to_intervals(edges)
    midpoints = (np.arange(1000) + 0.5) / 50
    # A plain reference: is the midpoint in any interval?
    expected = [any(start <= t < end for start, end in intervals) for t in midpoints]
    np.testing.assert_array_equal(D.activity(intervals, 1000), expected)


@given(st.lists(st.booleans(), max_size=200))
def test_activity_of_the_runs_is_the_activity(frames):
    frames = np.array(frames, bool)
    np.testing.assert_array_equal(D.activity(D.intervals_from_activity(frames), len(frames)), frames)


def test_activity_beyond_the_frames_is_left_out():
    np.testing.assert_array_equal(D.activity([[0.02, 99]], 3), [False, True, True])


def test_cut_clips_and_shifts():
    np.testing.assert_allclose(D.cut([[0, 1], [1.5, 4], [5, 6]], 0.5, 5), [[0, 0.5], [1, 3.5]])


def test_frames_are_whole():
    assert make_dialogue().n_frames == 150
    assert D.seconds_to_frames(0.3 - 0.1) == 10


def test_ipus_of_a_dialogue():
    dialogue = make_dialogue()
    np.testing.assert_allclose(dialogue.ipus(0), [[0, 2]])
    assert dialogue.ipu_activity(0).sum() == 100


def test_channel_of_a_role():
    assert make_dialogue(roles=("follower", "giver")).channel_of("giver") == 1
    with pytest.raises(InputError, match="no single 'giver'"):
        make_dialogue(roles=("a", "b")).channel_of("giver")
    with pytest.raises(InputError, match="no single 'giver'"):
        make_dialogue(roles=("giver", "giver")).channel_of("giver")


@pytest.mark.parametrize(
    "intervals, duration, message",
    [
        ([[0, np.nan]], 5, "finite"),
        ([[-1, 2]], 5, "negative"),
        ([[2, 1]], 5, "end after it starts"),
        ([[1, 1]], 5, "end after it starts"),
        ([[3, 4], [0, 1]], 5, "sorted"),
        ([[0, 2], [1, 3]], 5, "overlap"),
        ([[0, 6]], 5, "ends at 5 s"),
        ([[0, 1500], [2000, 4900]], 5, "milliseconds"),
        ([[0, 50], [60, 240]], 5, "frames"),
        ([[0, 1, 2]], 5, r"shape \[n, 2\]"),
        ([0, 1], 5, r"shape \[n, 2\]"),
        ([["a", "b"]], 5, "numbers"),
    ],
)
def test_malformed_intervals_are_refused(intervals, duration, message):
    with pytest.raises(InputError, match=message) as error:
        D.validate_intervals(intervals, duration, "that channel")
    assert str(error.value).startswith("that channel: ")


def test_good_intervals_come_back():
    np.testing.assert_array_equal(D.validate_intervals([[0, 1], [1, 5]], 5, "x"), [[0.0, 1.0], [1.0, 5.0]])
    assert D.validate_intervals([], 5, "x").shape == (0, 2)
