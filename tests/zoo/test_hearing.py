import numpy as np
import pytest
import tensorflow as tf

from datasets import dialogue, hazard
from zoo import hearing

RATE, HOP, BANDS = 8000, 160, 24


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def sound(rng):
    return (0.1 * rng.standard_normal((2, 12 * HOP))).astype(np.float32)


@pytest.fixture
def speech(rng):
    """Runs of both states, some shorter and some longer than the bridge."""
    lengths = rng.integers(1, 25, (3, 40))
    states = np.arange(40) % 2 == 1
    return np.stack([np.repeat(states, row)[:250] for row in lengths])


def _silence():
    return tf.zeros([2, HOP])


def test_level_is_the_rms_of_each_frame(sound):
    sound[0, :HOP] = 0.0
    wanted = 10 * np.log10((sound.reshape(2, 12, HOP) ** 2).mean(axis=-1) + 1e-8)
    np.testing.assert_allclose(hearing.level_db(sound, RATE), wanted, rtol=1e-5)
    assert hearing.level_db(np.ones((1, HOP), np.float32), RATE).numpy() == pytest.approx(0.0, abs=1e-5)


def test_frames_since(speech):
    before = np.array([0, 7, hearing.LONG_AGO_FRAMES], np.int32)
    wanted = np.zeros(speech.shape, int)
    for row, count in enumerate(before):
        for t, event in enumerate(speech[row]):
            count = 0 if event else count + 1
            wanted[row, t] = count
    np.testing.assert_array_equal(hearing.frames_since(speech, before), wanted)


def test_own_ages(speech):
    gate_before, age_before = np.array([0, 1, 0], np.float32), np.array([1, 9, 40], np.int32)
    found = hearing.own_ages(tf.constant(speech, tf.float32), gate_before, age_before)
    np.testing.assert_array_equal(found, _own_ages(speech, gate_before, age_before))


def test_partner_ages(speech):
    quiet_before, spurt_before = np.array([0, 4, 300], np.int32), np.array([3, 20, 400], np.int32)
    quiet, spurt = hearing.partner_ages(speech, quiet_before, spurt_before)
    for row in range(3):
        silent, since_onset = quiet_before[row], spurt_before[row]
        for t, speaks in enumerate(speech[row]):
            since_onset = 0 if speaks and silent >= 10 else since_onset + 1
            silent = 0 if speaks else silent + 1
            assert (quiet[row, t], spurt[row, t]) == (silent, since_onset)


def test_bridged_gate_is_the_activity_of_the_ipus(speech):
    for length in (250, 249, 30):
        found = hearing.bridged_gate(tf.constant(speech[:, :length])).numpy()
        for row in range(3):
            ipus = dialogue.bridge(dialogue.intervals_from_activity(speech[row, :length]))
            np.testing.assert_array_equal(found[row], dialogue.activity(ipus, length))


def test_own_cells_are_those_of_the_hazard_table(rng):
    gate = np.repeat(np.arange(60) % 2 == 1, rng.integers(1, 80, 60))[None]
    # The first frame has age 1 there: as if the state before had age 0.
    age = hearing.own_ages(tf.constant(gate, tf.float32), tf.constant(gate[:, 0], tf.float32), tf.zeros([1], tf.int32))
    np.testing.assert_array_equal(hearing.cell(gate, age), gate * hazard.N_AGES + hazard.ages(gate))


def test_cells_change_at_the_edges_of_the_age_bins():
    long = np.zeros((1, 600), bool)
    age = np.arange(1, 601)[None]
    np.testing.assert_array_equal(hearing.cell(long, tf.constant(age)), hazard.ages(long))
    np.testing.assert_array_equal(hearing.cell(~long, tf.constant(age)), hazard.N_AGES + hazard.ages(long))


def test_partner_cells_are_those_of_the_hazard_table_where_silences_are_longer_than_the_bridge(speech):
    bridged = hearing.bridged_gate(tf.constant(speech)).numpy() > 0
    bridged[:, :1] = False
    long_ago = tf.fill([3], hearing.LONG_AGO_FRAMES)
    quiet, spurt = hearing.partner_ages(bridged, long_ago, long_ago)
    found = hearing.partner_cell(quiet, spurt).numpy()
    wanted = bridged * hazard.N_AGES + hazard.ages(bridged)
    for row in range(3):
        first = np.argmax(bridged[row])
        assert first and bridged[row].any()
        np.testing.assert_array_equal(found[row, first:], wanted[row, first:])
        assert (found[row, :first] == hazard.N_AGES - 1).all()


def _own_ages(gate, gate_before, age_before):
    wanted = np.zeros(gate.shape, int)
    for row in range(len(gate)):
        state, age = gate_before[row], age_before[row]
        for t, now in enumerate(gate[row]):
            age = age + 1 if now == state else 1
            state = now
            wanted[row, t] = age
    return wanted
