"""How lively this dialogue is, against those that a model learned from.

Speakers differ: where a model expects ten toggles one makes eight and another twelve. If a dialogue's own rate is the
model's times a factor, and factors are spread as a Gamma(k, k), what has been seen so far gives the factor's mean as
(k + observed) / (k + expected): a Gamma-Poisson estimate, one for starts and one for stops. Drawing toggles from it is
drawing one factor a dialogue, so an agent that hears itself does not run away.
"""

import tensorflow as tf

PRIOR_TOGGLES = 8.0


def initial_state(batch) -> dict:
    """Before anything was expected."""
    return {
        "gate": tf.zeros([batch]),
        "hazard": tf.zeros([batch]),
        "observed": tf.zeros([batch, 2]),
        "expected": tf.zeros([batch, 2]),
    }


def log_pace(gate: tf.Tensor, hazard: tf.Tensor, state: dict) -> tuple[tf.Tensor, dict]:
    """The logarithm of the factor in each frame, from the frames before it.

    Args:
        gate: float32 [batch, frames], the own gate in the frame before each.
        hazard: float32 [batch, frames], the probability of a toggle in each, at the pace of the corpus.
        state: as `initial_state` gives and as returned.

    Returns:
        float32 [batch, frames], state.
    """
    hazard = tf.stop_gradient(hazard)
    was = tf.concat([state["gate"][:, None], gate[:, :-1]], axis=1)
    expected = tf.concat([state["hazard"][:, None], hazard[:, :-1]], axis=1)
    # Before the first frame nothing was expected, so nothing can have come of it.
    toggled = tf.cast(tf.logical_and(tf.not_equal(gate, was), expected > 0), tf.float32)
    of_state = _by_state(was)
    observed = state["observed"][:, None] + tf.cumsum(toggled[..., None] * of_state, axis=1)
    expected = state["expected"][:, None] + tf.cumsum(expected[..., None] * of_state, axis=1)
    factors = tf.math.log((PRIOR_TOGGLES + observed) / (PRIOR_TOGGLES + expected))
    after = {"gate": gate[:, -1], "hazard": hazard[:, -1], "observed": observed[:, -1], "expected": expected[:, -1]}
    return tf.reduce_sum(factors * _by_state(gate), axis=-1), after


def _by_state(gate):
    return tf.stack([1.0 - gate, gate], axis=-1)
