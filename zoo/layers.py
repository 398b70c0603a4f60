"""Causal layers that carry their past explicitly, and the draw from a softmax.

Every layer with a past takes `(x, history)` and returns `(y, history)`: a signal handed over in pieces gives what it
gives whole. A history is the last inputs in order of time, so one shape serves training, priming and sampling.
"""

import contextlib
import contextvars
import math

import keras
import numpy as np
import tensorflow as tf

LEVELS = 256
_MIXED = contextvars.ContextVar("mixed", default=False)


@contextlib.contextmanager
def mixed_bfloat16(on: bool = True):
    """Within it, what is traced takes `product`s of bfloat16; all else, and every sum, stays float32."""
    token = _MIXED.set(on)
    yield
    _MIXED.reset(token)


def product(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """x [..., inputs] times kernel [inputs, outputs] -> float32; within `mixed_bfloat16` both are rounded to that."""
    if not _MIXED.get():
        return tf.matmul(x, kernel)
    return tf.cast(tf.matmul(tf.cast(x, tf.bfloat16), tf.cast(kernel, tf.bfloat16)), tf.float32)


def sample_categorical(logits: tf.Tensor, uniform: tf.Tensor) -> tf.Tensor:
    """Inverse-CDF draw: `logits` [..., n] and `uniform` [...] in [0, 1) to int32 [...]."""
    # Not divided by their sum, for which XLA makes each power again on a CPU, one by one.
    shares = tf.exp(logits - tf.reduce_max(logits, axis=-1, keepdims=True))
    # Summed in float64: in float32, two ways of adding up would differ in one draw of a hundred thousand.
    cumulative = running_sum(tf.cast(shares, tf.float64))
    threshold = tf.cast(uniform, tf.float64)[..., None] * cumulative[..., -1:]
    below = tf.reduce_sum(tf.cast(cumulative < threshold, tf.int32), axis=-1)
    return tf.minimum(below, logits.shape[-1] - 1)


def hashed_uniform(*places) -> tf.Tensor:
    """Random numbers in [0, 1) that are a function of integers: float32, of the shape that these broadcast to.

    One number after the other is stirred in until each bit depends on all (the finaliser of MurmurHash3, Appleby
    2011). TensorFlow's own generators give other numbers where XLA compiles them.
    """
    bits = tf.zeros([], tf.uint32)
    for place in places:
        bits += tf.cast(place, tf.uint32)
        for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
            bits = tf.bitwise.bitwise_xor(bits, tf.bitwise.right_shift(bits, np.uint32(shift))) * np.uint32(factor)
    return tf.cast(tf.bitwise.right_shift(bits, np.uint32(8)), tf.float32) * 2.0**-24


def running_sum(x: tf.Tensor) -> tf.Tensor:
    """Sums so far along the last axis of [..., n], where n is known; in XLA `tf.cumsum` takes n^2 steps on a CPU."""
    x = tf.convert_to_tensor(x)
    n, kind = x.shape[-1], x.dtype.as_numpy_dtype
    block = math.gcd(n, 16)
    within = tf.matmul(tf.reshape(x, [-1, n // block, block]), np.triu(np.ones((block, block), kind)))
    before = tf.matmul(within[..., -1], np.triu(np.ones((n // block, n // block), kind), k=1))
    return tf.reshape(within + before[..., None], tf.shape(x))


class SmoothLevels(keras.initializers.Initializer):
    """Cosines over the 256 levels, so that neighbouring levels start alike; for a table of levels or its transpose."""

    def __init__(self, scale: float):
        self.scale = scale

    def __call__(self, shape, dtype=None):
        levels_first = shape[0] == LEVELS
        levels, n = shape if levels_first else shape[::-1]
        cosines = np.cos(np.pi * (np.arange(levels)[:, None] + 0.5) * np.arange(n)[None] / levels)
        return tf.constant(self.scale * (cosines if levels_first else cosines.T), dtype or tf.float32)


class NormalisedDense(keras.layers.Layer):
    """A linear layer with weight normalisation (Salimans & Kingma 2016): each column has a length of its own.

    Of an input of no width only the bias is left: so a tier is unconditional.

    Args:
        units: int. Width of the output.
        weight_norm: bool. Without it the layer is plain.
        use_bias: bool.
        initializer: of the kernel.
    """

    def __init__(self, units: int, weight_norm: bool, use_bias: bool = True, initializer="glorot_uniform", **kwargs):
        super().__init__(**kwargs)
        self.units, self._weight_norm, self._use_bias = units, weight_norm, use_bias
        self._initializer = keras.initializers.get(initializer)

    def build(self, input_shape):
        shape = (input_shape[-1], self.units)
        self.direction = self.add_weight(
            shape=shape, initializer=self._initializer, trainable=shape[0] > 0, name="direction"
        )
        if self._weight_norm and shape[0]:
            self.length = self.add_weight(shape=(self.units,), initializer="ones", name="length")
            self.length.assign(tf.norm(tf.convert_to_tensor(self.direction), axis=0))
        if self._use_bias:
            self.offset = self.add_weight(shape=(self.units,), initializer="zeros", name="offset")

    @property
    def kernel(self) -> tf.Tensor:
        """[inputs, units], as it is multiplied with."""
        direction = tf.convert_to_tensor(self.direction)
        return tf.math.l2_normalize(direction, axis=0) * self.length if hasattr(self, "length") else direction

    @property
    def bias(self) -> tf.Tensor:
        """[units]; zeros for a layer without."""
        return tf.convert_to_tensor(self.offset) if self._use_bias else tf.zeros([self.units])

    def call(self, x):
        if not self.direction.shape[0]:  # oneDNN has no product of nothing.
            return tf.tile(self.bias[(None,) * (len(x.shape) - 1)], [*tf.unstack(tf.shape(x)[:-1]), 1])
        return product(x, self.kernel) + self.bias


class Dense(keras.layers.Dense):
    """Keras's layer by `product`; for what is large and is not the last."""

    def call(self, x):
        return self.activation(product(x, tf.convert_to_tensor(self.kernel)) + tf.convert_to_tensor(self.bias))


class CausalConv(keras.layers.Layer):
    """Dilated causal convolution as one matrix product per call.

    Args:
        channels: int. Output channels.
        kernel_size: int. Taps, the last on the current step.
        dilation: int. Steps between taps.
    """

    def __init__(self, channels: int, kernel_size: int, dilation: int, **kwargs):
        super().__init__(**kwargs)
        self.channels = channels
        self.kernel_size = kernel_size
        self.dilation = dilation

    @property
    def history_steps(self) -> int:
        return (self.kernel_size - 1) * self.dilation

    def build(self, input_shape):
        inputs = self.kernel_size * input_shape[-1]
        self.kernel = self.add_weight(shape=(inputs, self.channels), initializer="glorot_uniform", name="kernel")
        self.bias = self.add_weight(shape=(self.channels,), initializer="zeros", name="bias")

    def call(self, x, history):
        """x [batch, time, inputs], history [batch, history_steps, inputs] -> y [batch, time, channels], history."""
        padded = tf.concat([history, x], axis=1)
        steps = tf.shape(x)[1]
        taps = [padded[:, k * self.dilation : k * self.dilation + steps] for k in range(self.kernel_size)]
        after = tf.ensure_shape(padded[:, steps:], history.shape)
        return product(tf.concat(taps, axis=-1), self.kernel) + self.bias, after


class GatedResidual(keras.layers.Layer):
    """One WaveNet layer: tanh * sigmoid of a dilated convolution plus conditioning, residual and skip (section 2.3)."""

    def __init__(self, channels: int, skip_channels: int, kernel_size: int, dilation: int, **kwargs):
        super().__init__(**kwargs)
        self.conv = CausalConv(2 * channels, kernel_size, dilation, name="conv")
        self.out = Dense(channels + skip_channels, name="out")
        self.channels = channels

    @property
    def history_steps(self) -> int:
        return self.conv.history_steps

    def build(self, input_shape):
        self.conv.build(input_shape)
        self.out.build((None, None, self.channels))

    def call(self, x, history, condition=None):
        """condition: [batch, frames, 2 * channels], held over time / frames steps, or None -> x, skip, history."""
        pre, history = self.conv(x, history)
        if condition is not None:
            pre = add_held(pre, condition)
        y = self.out(tf.tanh(pre[..., : self.channels]) * tf.sigmoid(pre[..., self.channels :]))
        return x + y[..., : self.channels], y[..., self.channels :], history


class GatedStack(keras.layers.Layer):
    """A stack of `GatedResidual` layers; the sum of skips comes out.

    Args:
        channels: int. Of the input and of each residual.
        skip_channels, kernel_size: int. Of each layer.
        dilations: ints, one a layer.
    """

    def __init__(self, channels: int, skip_channels: int, kernel_size: int, dilations: tuple[int, ...], **kwargs):
        super().__init__(**kwargs)
        self.stack = [
            GatedResidual(channels, skip_channels, kernel_size, dilation, name=f"layer{i}")
            for i, dilation in enumerate(dilations)
        ]
        self.channels = channels
        self.width = skip_channels

    @property
    def receptive_steps(self) -> int:
        return 1 + sum(layer.history_steps for layer in self.stack)

    def build(self, input_shape):
        for layer in self.stack:
            layer.build((None, None, self.channels))

    def initial_state(self, batch: tf.Tensor) -> list[tf.Tensor]:
        return [tf.zeros([batch, layer.history_steps, self.channels]) for layer in self.stack]

    def call(self, x, state, condition=None, running=None):
        """Runs the stack.

        Args:
            x: [batch, time, channels].
            state: histories, as `initial_state` gives and as returned.
            condition: None, or per layer [batch, frames, 2 * channels].
            running: None, or [batch, frames]; where 0, every layer reads zeros.

        Returns:
            The sum of skips [batch, time, skip_channels], and the state after the last step.
        """
        skips, histories = 0.0, []
        for i, layer in enumerate(self.stack):
            if running is not None:
                x = multiply_held(x, running[..., None])
            x, skip, history = layer(x, state[i], None if condition is None else condition[i])
            skips = skips + skip
            histories.append(history)
        return skips, histories


def add_held(x: tf.Tensor, frames: tf.Tensor) -> tf.Tensor:
    """x [batch, time, n] + frames [batch, n_frames, n], each frame held for time / n_frames steps."""
    return tf.reshape(_by_frame(x, frames) + frames[:, :, None], tf.shape(x))


def multiply_held(x: tf.Tensor, frames: tf.Tensor) -> tf.Tensor:
    """x [batch, time, n] * frames [batch, n_frames, n or 1], each frame held for time / n_frames steps."""
    return tf.reshape(_by_frame(x, frames) * frames[:, :, None], tf.shape(x))


def _by_frame(x: tf.Tensor, frames: tf.Tensor) -> tf.Tensor:
    shape, n_frames = tf.shape(x), tf.shape(frames)[1]
    return tf.reshape(x, [shape[0], n_frames, shape[1] // n_frames, x.shape[-1]])


def split_positions(x, positions: int):
    """[batch, n, positions * width] -> [batch, n * positions, width]."""
    shape = tf.shape(x)
    return tf.reshape(x, [shape[0], shape[1] * positions, x.shape[-1] // positions])


def running_max(x: tf.Tensor) -> tf.Tensor:
    """Largest value so far along axis 1 of [batch, time]; in log2(time) passes where the time is known."""
    if x.shape[1] is None:
        return tf.transpose(tf.scan(tf.maximum, tf.transpose(x)))
    shift = 1
    while shift < x.shape[1]:
        past = tf.pad(x[:, :-shift], [[0, 0], [shift, 0]], constant_values=x.dtype.min)
        x, shift = tf.maximum(x, past), 2 * shift
    return x
