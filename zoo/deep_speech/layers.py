"""The layers of Deep Speech: what a step sees, and a recurrence in both directions.

Hannun et al. 2014, sections 2 and 4: the activation is min(max(0, x), 20), and the recurrent layer has no gates.
"""

import keras
import tensorflow as tf

from zoo.deep_speech.config import CEILING, STRIDE
from zoo.layers import hashed_uniform
from zoo.recurrent import unroll


def clipped(x: tf.Tensor) -> tf.Tensor:
    """The activation of all layers."""
    return tf.clip_by_value(x, 0.0, CEILING)


def recurrence(given: tf.Tensor, recalled: tf.Tensor, state: tf.Tensor) -> tf.Tensor:
    """The element-wise part of a recurrence without gates, for `zoo.recurrent.unroll`."""
    del state
    return clipped(given + recalled)


def context(spectra: tf.Tensor, frames: int) -> tf.Tensor:
    """Every second frame with those around it.

    Args:
        spectra: [batch, 2 * steps, bands]; what lies outside counts as 0.
        frames: on each side.

    Returns:
        [batch, steps, (2 * frames + 1) * bands], in order of time.
    """
    n = tf.shape(spectra)[1]
    padded = tf.pad(spectra, [[0, 0], [frames, frames], [0, 0]])
    return tf.concat([padded[:, i : i + n : STRIDE] for i in range(2 * frames + 1)], axis=-1)


def dropout(x: tf.Tensor, share: float, seed: tf.Tensor, row: tf.Tensor, stream: int) -> tf.Tensor:
    """Leaves out a share of [batch, steps, n], drawn by the seed, int32 [2], and the number of each row."""
    if not share:
        return x
    places = row[:, None, None], tf.range(tf.shape(x)[1])[:, None], tf.range(x.shape[-1])
    kept = hashed_uniform(seed[0] + (stream << 20), seed[1], *places) >= share
    return x * tf.cast(kept, tf.float32) / (1.0 - share)


class BothWays(keras.layers.Layer):
    """A recurrence ahead and one back, of their own weights and one input product, added up.

    Args:
        units: int.
    """

    def __init__(self, units: int, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.given = keras.layers.Dense(units, kernel_initializer="he_uniform", name="given")

    def build(self, input_shape):
        self.given.build(input_shape)
        make = {"shape": (self.units, self.units), "initializer": "orthogonal"}
        self.ahead, self.back = (self.add_weight(name=name, **make) for name in ("ahead", "back"))

    def call(self, x, n_steps):
        """x [batch, steps, n], n_steps int [batch] -> [batch, steps, units]; beyond a row's end it means nothing."""
        given = self.given(x)
        ahead = self._run(given, self.ahead)
        back = self._run(tf.reverse_sequence(given, n_steps, seq_axis=1), self.back)
        return ahead + tf.reverse_sequence(back, n_steps, seq_axis=1)

    def _run(self, given, kernel):
        given = tf.transpose(given, [1, 0, 2])
        nothing, running = tf.zeros([self.units]), tf.ones_like(given[..., :1])
        kernel = tf.convert_to_tensor(kernel)
        states = unroll(recurrence, given, tf.zeros_like(given[0]), kernel, nothing, running, nothing)
        return tf.transpose(states, [1, 0, 2])
