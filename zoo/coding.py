"""What a sample is to a model: one of 256 levels, drawn from a softmax, or a number, drawn from logistics.

A *token* is what the samples before are handed back as, and what is predicted: a level, or a 16-bit sample.
"""

import math

import keras
import numpy as np
import tensorflow as tf

from datasets.errors import InputError
from zoo.layers import LEVELS, SmoothLevels, running_sum, sample_categorical

_MU = 255.0
_A = 87.6
STEP = 2.0**-15
COMPONENTS = 10
# Half a step of 16 bits is e^-11; sharper logistics all mean one step.
SHARPEST = -12.0
# What a fresh network's zeros stand for: e^-4 is the loudness of soft speech.
LOG_SCALE = -4.0


def find(name: str) -> "Levels | Logistics":
    """By its name: "mu-law", "a-law", "linear" (256 levels on that curve) or "mixture" (of logistics)."""
    if name == "mixture":
        return Logistics()
    if name not in CURVES:
        raise InputError(f"--set=coding={name}: no such coding; the choices are {', '.join(CURVES)}, mixture")
    return Levels(name)


class Levels:
    """256 levels, evenly spaced on a curve, and a softmax over them (van den Oord et al. 2016, section 2.2).

    Args:
        curve: "mu-law" or "a-law" (ITU-T G.711's curves, as formulas), or "linear".

    Attributes:
        parameters: int. Numbers that are predicted for each sample.
        dtype: of tokens.
    """

    parameters = LEVELS
    dtype = tf.int32
    initializer = SmoothLevels(0.1)

    def __init__(self, curve: str):
        self._compress, self._expand = CURVES[curve]

    def encode(self, audio: tf.Tensor) -> tf.Tensor:
        """float [-1, 1] to int32 [0, 255]; what is beyond counts as full scale."""
        place = self._compress(tf.clip_by_value(audio, -1.0, 1.0))
        return tf.cast(tf.floor((place + 1.0) / 2.0 * (LEVELS - 1) + 0.5), tf.int32)

    def decode(self, levels: tf.Tensor) -> tf.Tensor:
        """int [0, 255] to float32 [-1, 1], the inverse of `encode` at its grid points."""
        return self._at(tf.cast(levels, tf.float32))

    def edges(self) -> tf.Tensor:
        """Where one level ends and the next begins, float32 [255]: `numpy.searchsorted` in it encodes."""
        return self._at(tf.range(LEVELS - 1, dtype=tf.float32) + 0.5)

    def nats(self, logits: tf.Tensor, levels: tf.Tensor) -> tf.Tensor:
        """-log P(level): logits [..., 256], levels [...] -> [...]."""
        return tf.nn.sparse_softmax_cross_entropy_with_logits(levels, logits)

    def sample(self, logits: tf.Tensor, uniform: tf.Tensor, temperature) -> tf.Tensor:
        """logits [..., 256], uniform [...] in [0, 1) -> levels [...]."""
        return sample_categorical(logits / temperature, uniform)

    def embedding(self, channels: int, name: str) -> keras.layers.Layer:
        """A layer from tokens [...] to [..., channels], built."""
        layer = keras.layers.Embedding(LEVELS, channels, SmoothLevels(0.5), name=name)
        layer.build()
        return layer

    def coarse(self, audio: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """One of 256 cells, and the bits of a sample's place in it where all are alike: two [...]."""
        levels = self.encode(audio)
        return levels, tf.zeros(tf.shape(levels))

    def finer_bits(self, audio: tf.Tensor) -> tf.Tensor:
        """Bits of a 16-bit sample beyond its level, in which all are alike: [...]."""
        edges = tf.concat([[-1.0], self.edges(), [1.0]], axis=0)
        return tf.math.log(tf.gather((edges[1:] - edges[:-1]) / STEP, self.encode(audio))) / math.log(2.0)

    def _at(self, place: tf.Tensor) -> tf.Tensor:
        return tf.clip_by_value(self._expand(2.0 * place / (LEVELS - 1) - 1.0), -1.0, 1.0)


class Logistics:
    """16-bit samples, and a mixture of ten logistics cut into their steps (Salimans et al. 2017, section 2.1).

    Of the 30 numbers that are predicted, ten are the components' logits, ten the means, ten the logarithms of scale.
    """

    parameters = 3 * COMPONENTS
    dtype = tf.float32
    initializer = "glorot_uniform"

    def encode(self, audio: tf.Tensor) -> tf.Tensor:
        """float [-1, 1] to the nearest 16-bit step, float32; what is beyond counts as full scale."""
        return tf.clip_by_value(tf.round(audio / STEP) * STEP, -1.0, 1.0 - STEP)

    def decode(self, samples: tf.Tensor) -> tf.Tensor:
        return samples

    def nats(self, parameters: tf.Tensor, samples: tf.Tensor) -> tf.Tensor:
        """-log P(16-bit sample): parameters [..., 30], samples [...] -> [...]."""
        weight, mean, log_scale = self._split(parameters)
        sharp, x = tf.exp(-log_scale), samples[..., None]
        above, below = (x + STEP / 2 - mean) * sharp, (x - STEP / 2 - mean) * sharp
        middle = (x - mean) * sharp
        share = tf.sigmoid(above) - tf.sigmoid(below)
        # In the tails, where two numbers that are almost one are subtracted, the density in the middle of the step.
        density = middle - log_scale - 2.0 * tf.nn.softplus(middle) + math.log(STEP)
        inside = tf.where(share > 1e-4, tf.math.log(tf.maximum(share, 1e-12)), density)
        first, last = x < -1.0 + STEP / 2, x > 1.0 - 1.5 * STEP
        each = tf.where(first, -tf.nn.softplus(-above), tf.where(last, -tf.nn.softplus(below), inside))
        return -tf.reduce_logsumexp(tf.nn.log_softmax(weight) + each, axis=-1)

    def sample(self, parameters: tf.Tensor, uniform: tf.Tensor, temperature) -> tf.Tensor:
        """parameters [..., 30], uniform [...] in [0, 1) -> samples [...].

        One random number does for both draws: where it lies among the components chooses one, and where it lies in
        that one's share is uniform again. `temperature` divides the logits and multiplies the scales.
        """
        weight, mean, log_scale = self._split(parameters)
        share = tf.nn.softmax(weight / temperature)
        chosen = sample_categorical(weight / temperature, uniform)
        pick = tf.one_hot(chosen, COMPONENTS)
        mean, log_scale, share, until = (
            tf.reduce_sum(pick * each, axis=-1) for each in (mean, log_scale, share, running_sum(share))
        )
        within = tf.clip_by_value(1.0 - (until - uniform) / share, 1e-5, 1.0 - 1e-5)
        return self.encode(mean + temperature * tf.exp(log_scale) * (tf.math.log(within) - tf.math.log1p(-within)))

    def embedding(self, channels: int, name: str) -> keras.layers.Layer:
        """A layer from tokens [...] to [..., channels], built."""
        layer = _OfNumber(channels, name=name)
        layer.build()
        return layer

    def coarse(self, audio: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """One of 256 mu-law cells, and the bits of a sample's place in it where all are alike: two [...]."""
        curve = Levels("mu-law")
        return curve.encode(audio), curve.finer_bits(audio)

    def finer_bits(self, audio: tf.Tensor) -> tf.Tensor:
        """Bits of a 16-bit sample beyond its token: none."""
        return tf.zeros_like(audio)

    def _split(self, parameters):
        weight, mean, log_scale = tf.split(parameters, 3, axis=-1)
        return weight, mean, tf.maximum(log_scale + LOG_SCALE, SHARPEST)


def jittered(coding: "Levels | Logistics", audio: tf.Tensor, share: float, uniform: tf.Tensor) -> tf.Tensor:
    """Sound with a share of its samples moved by one or two levels, up or down; 16-bit samples by those of mu-law.

    Args:
        coding: of the samples.
        audio: float32 [...].
        share: of the samples that are moved.
        uniform: float32 [..., 2] in [0, 1).
    """
    curve = coding if isinstance(coding, Levels) else Levels("mu-law")
    steps = tf.gather(tf.constant([-2, -1, 1, 2]), tf.cast(4.0 * uniform[..., 0], tf.int32))
    moved = curve.decode(tf.clip_by_value(curve.encode(audio) + steps, 0, LEVELS - 1))
    return tf.where(uniform[..., 1] < share, moved, audio)


class _OfNumber(keras.layers.Layer):
    """A linear layer of one number."""

    def __init__(self, channels: int, **kwargs):
        super().__init__(**kwargs)
        self.channels = channels

    def build(self, input_shape=None):
        self.kernel = self.add_weight(
            shape=(self.channels,), initializer=keras.initializers.RandomNormal(stddev=1.0), name="kernel"
        )
        self.bias = self.add_weight(shape=(self.channels,), initializer="zeros", name="bias")

    def call(self, x):
        return x[..., None] * self.kernel + self.bias


def _mu_compress(x):
    return tf.sign(x) * tf.math.log1p(_MU * tf.abs(x)) / np.log1p(_MU)


def _mu_expand(y):
    return tf.sign(y) / _MU * (tf.math.exp(tf.abs(y) * np.float32(np.log1p(_MU))) - 1.0)


def _a_compress(x):
    size = _A * tf.abs(x)
    return tf.sign(x) * tf.where(size < 1.0, size, 1.0 + tf.math.log(tf.maximum(size, 1.0))) / (1.0 + np.log(_A))


def _a_expand(y):
    size = tf.abs(y) * np.float32(1.0 + np.log(_A))
    return tf.sign(y) * tf.where(size < 1.0, size, tf.math.exp(size - 1.0)) / _A


CURVES = {
    "mu-law": (_mu_compress, _mu_expand),
    "a-law": (_a_compress, _a_expand),
    "linear": (tf.identity, tf.identity),
}
