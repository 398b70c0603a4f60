"""Weights of 16 bits, two to a word of 32, and a vector times them as XLA compiles it for a CPU.

One sample waits for the other, and both for the weights to be read: these are half the bytes. The low half of a word is
a weight of the first half of the rows as a bfloat16; the high half is one of the other rows, rounded so that the whole
word, read as a float32, is nearest. So the one costs a shift and the other nothing. Vectors and sums stay float32.
"""

import tensorflow as tf

from datasets.errors import InputError

try:
    from tensorflow.compiler.tf2xla.python.xla import optimization_barrier
except ImportError:
    optimization_barrier = None

# Of a vector register; and how many sums are under way at once, as each waits for its last addition.
LANES, _SUMS = 8, 8
_SIGN, _HIGH, _HALF = tf.int32.min, -(2**16), 2**15


def check(flag: str) -> None:
    """Refuses, by the name of a flag, what cannot be compiled here."""
    if optimization_barrier is None or not tf.test.is_built_with_xla():
        raise InputError(f"{flag}: needs XLA with its optimization barrier, which this TensorFlow does not have")
    if tf.config.functions_run_eagerly():
        raise InputError(f"{flag}: is compiled by XLA; leave out tf.config.run_functions_eagerly")


def of_bits(weights: tf.Tensor, bits: int) -> tf.Tensor:
    """Weights [rows, columns] as `product` takes them: as they are for 32 bits, words for 16."""
    return pack(weights) if bits == 16 else weights


def pack(weights: tf.Tensor) -> tf.Tensor:
    """float32 [rows, columns] -> uint32 [columns, slices, LANES]; rows are filled up with zeros."""
    rows, columns = weights.shape
    filled = tf.pad(tf.transpose(weights), [[0, 0], [0, -rows % (2 * LANES)]])
    first, second = tf.split(filled, 2, axis=1)
    low = tf.cast(tf.bitcast(tf.cast(first, tf.bfloat16), tf.uint16), tf.int32)
    bits = tf.bitcast(second, tf.int32)
    sign = tf.bitwise.bitwise_and(bits, _SIGN)
    # Of a number that is less than what stands in the low half, only the sign is left.
    rounded = tf.maximum(bits - sign - low + _HALF, 0)
    words = tf.bitwise.bitwise_or(sign, tf.bitwise.bitwise_or(tf.bitwise.bitwise_and(rounded, _HIGH), low))
    return tf.reshape(tf.bitcast(words, tf.uint32), [columns, -1, LANES])


def unpack(words: tf.Tensor, rows: int) -> tf.Tensor:
    """The weights float32 [rows, columns] that `product` multiplies by."""
    flat = tf.reshape(words, [words.shape[0], -1])
    return tf.transpose(tf.concat(_halves(flat), axis=1)[:, :rows])


def product(x: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """x float32 [batch, rows] by weights, float32 [rows, columns] or words: -> float32 [batch, columns].

    By words it has to be compiled by XLA.
    """
    if weights.dtype != tf.uint32:
        return tf.matmul(x, weights)
    slices = weights.shape[1]
    x = tf.pad(x, [[0, 0], [0, 2 * slices * LANES - x.shape[1]]])
    # Words alone do not change in a loop of samples: XLA would unpack them before it, into twice the bytes. Tied to x,
    # which does, they stay words.
    weights, x = optimization_barrier(weights, x)
    x = tf.reshape(x, [-1, 2, slices, 1, LANES])
    terms = []
    for i in range(slices):
        # [batch, columns, LANES] each. A sum over axes would be a loop of its own over all that is to be added.
        terms += [half * x[:, part, i] for part, half in enumerate(_halves(weights[:, i]))]
    sums = [tf.add_n(terms[i::_SUMS]) for i in range(min(_SUMS, len(terms)))]
    return tf.reduce_sum(tf.add_n(sums), axis=2)


def _halves(words: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The weights in the low and in the high halves, each of the shape of the words."""
    low = tf.bitwise.left_shift(words, tf.constant(16, tf.uint32))
    return tf.bitcast(low, tf.float32), tf.bitcast(words, tf.float32)
