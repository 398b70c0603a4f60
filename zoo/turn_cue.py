"""Who speaks next, by how the partner's last words were said.

In a silence of both, the counted table knows how many silences like it the own speaker ended: the *share* of a cell. A
small network on the partner's prosody, `zoo.prosody`, says how this one differs; what is known of who comes next
scales the hazard of starting,

    P(start now | said how) = P(start now) P(own next | said how) / P(own next),

so that an agent which hears nothing in the prosody keeps the rates of the table.
"""

import keras
import tensorflow as tf

from zoo import hearing, prosody

N_FEATURES = prosody.N_FEATURES + 4


class TurnCue(keras.layers.Layer):
    """The network and the counted shares.

    Args:
        channels: int. Width of both hidden layers.
    """

    def __init__(self, channels: int, **kwargs):
        super().__init__(**kwargs)
        self.hidden = [keras.layers.Dense(channels, activation="tanh", name=f"hidden{i}") for i in range(2)]
        self.out = keras.layers.Dense(1, kernel_initializer="zeros", name="out")

    def build(self, input_shape=None):
        cells = (2, hearing.N_CELLS, hearing.N_CELLS)
        self.share = self.add_weight(shape=cells, initializer="zeros", trainable=False, name="share")
        width = N_FEATURES
        for layer in self.hidden:
            layer.build((None, width))
            width = layer.units
        self.out.build((None, width))

    def call(self, before, own, partner, role):
        """What the cue adds to the logarithm of the hazard, float32 [batch, frames]; 0 where somebody speaks.

        Args:
            before: what was known of the frame before each frame, as of `zoo.dialogue_tier.CountedTier`.
            own, partner: int32 [batch, frames], its cells.
            role: int32 [batch].
        """
        share = tf.gather_nd(self.share, tf.stack([by_frame(role, own), own, partner], axis=-1))
        change = tf.math.log_sigmoid(share + self.heard(features(before, role))) - tf.math.log_sigmoid(share)
        return tf.where(silence(before), change, 0.0)

    def heard(self, x):
        """The network: what the features [..., n] of a silence add to the log odds that the own speaker ends it."""
        for layer in self.hidden:
            x = layer(x)
        return self.out(x)[..., 0]


def features(before, role) -> tf.Tensor:
    """What the cue hears in each frame: the partner's prosody, how long it spoke, the own age and the role."""
    spoke = tf.cast(tf.maximum(before["spurt"] - before["quiet"], 0), tf.float32)
    ages = [tf.math.log1p(age) / 4.0 for age in (spoke, tf.cast(before["own_age"], tf.float32))]
    roles = tf.one_hot(by_frame(role, spoke), 2)
    return tf.concat([before["prosody"], tf.stack(ages, axis=-1), roles], axis=-1)


def by_frame(role, frames) -> tf.Tensor:
    """role [batch] for each of `frames` [batch, frames]."""
    return tf.broadcast_to(role[:, None], tf.shape(frames))


def silence(before) -> tf.Tensor:
    """Whether neither speaks, bool [batch, frames]."""
    return tf.logical_and(before["gate"] <= 0, before["quiet"] > 0)
