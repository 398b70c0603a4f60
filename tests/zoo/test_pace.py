"""The pace of a dialogue against counting by hand."""

import numpy as np
import tensorflow as tf

from zoo import pace


def by_hand(gate: np.ndarray, hazard: np.ndarray) -> np.ndarray:
    """Frame after frame: log((prior + observed) / (prior + expected)) of the state before."""
    found = np.zeros(gate.shape)
    for row in range(len(gate)):
        observed, expected = np.zeros(2), np.zeros(2)
        for t in range(gate.shape[1]):
            if t:
                before = int(gate[row, t - 1])
                observed[before] += gate[row, t] != gate[row, t - 1]
                expected[before] += hazard[row, t - 1]
            state = int(gate[row, t])
            found[row, t] = np.log((pace.PRIOR_TOGGLES + observed[state]) / (pace.PRIOR_TOGGLES + expected[state]))
    return found


def dialogue(rng, rows=3, frames=400, rate=0.1):
    gate = (np.cumsum(rng.random((rows, frames)) < rate, axis=1) % 2).astype(np.float32)
    return gate, rng.uniform(0.01, 0.2, gate.shape).astype(np.float32)


def test_it_is_what_counting_by_hand_gives():
    gate, hazard = dialogue(np.random.default_rng(0))
    found, _ = pace.log_pace(tf.constant(gate), tf.constant(hazard), pace.initial_state(len(gate)))
    np.testing.assert_allclose(found, by_hand(gate, hazard), atol=1e-5)


def test_in_pieces_it_is_the_same():
    gate, hazard = dialogue(np.random.default_rng(1))
    whole, end = pace.log_pace(tf.constant(gate), tf.constant(hazard), pace.initial_state(len(gate)))
    state, parts = pace.initial_state(len(gate)), []
    for a, b in ((0, 1), (1, 2), (2, 150), (150, 400)):
        part, state = pace.log_pace(tf.constant(gate[:, a:b]), tf.constant(hazard[:, a:b]), state)
        parts.append(part)
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, atol=1e-5)
    tf.nest.map_structure(lambda one, two: np.testing.assert_allclose(one, two, atol=1e-3), state, end)


def test_a_lively_dialogue_is_expected_to_stay_lively():
    gate, hazard = dialogue(np.random.default_rng(2), rows=1, frames=5000, rate=0.1)
    halved, _ = pace.log_pace(tf.constant(gate), tf.fill(gate.shape, 0.05), pace.initial_state(1))
    just, _ = pace.log_pace(tf.constant(gate), tf.fill(gate.shape, 0.1), pace.initial_state(1))
    assert np.abs(halved[0, -100:] - np.log(2.0)).max() < 0.15
    assert np.abs(just[0, -100:]).max() < 0.15
