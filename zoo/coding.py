"""What a sample is to a model: 256 levels on a curve and a softmax over them.

A *token* is what the samples before are handed back as, and what is predicted.
"""

import numpy as np
import tensorflow as tf

from datasets.errors import InputError
from zoo.layers import LEVELS, sample_categorical

_MU = 255.0
_A = 87.6


class Levels:
    """256 levels, evenly spaced on a curve.

    Args:
        curve: "mu-law" or "a-law" (ITU-T G.711's curves, as formulas), or "linear".

    Attributes:
        parameters: int. Numbers that are predicted for each sample.
    """

    parameters = LEVELS

    def __init__(self, curve: str):
        if curve not in _CURVES:
            raise InputError(f"--set=levels={curve}: no such curve; the choices are {', '.join(_CURVES)}")
        self._compress, self._expand = _CURVES[curve]

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

    def _at(self, place: tf.Tensor) -> tf.Tensor:
        return tf.clip_by_value(self._expand(2.0 * place / (LEVELS - 1) - 1.0), -1.0, 1.0)


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


_CURVES = {
    "mu-law": (_mu_compress, _mu_expand),
    "a-law": (_a_compress, _a_expand),
    "linear": (tf.identity, tf.identity),
}
