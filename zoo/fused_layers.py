"""Layers of the dialogue tier for one frame at a time, compiled; and the random numbers of TensorFlow.

At 50 Hz an encoder is little arithmetic: as a graph nearly all of its time is that of calling small operations. Here a
layer keeps its past in a ring, in place.
"""

import numpy as np

from zoo.compiling import compiled, part
from zoo.fused import add, fill, pass_gates, rectify, sigmoid, tanh
from zoo.layers import GatedStack
from zoo.products import add_nth_product, add_product, array
from zoo.recurrent import RecurrentStack

# Of Philox 4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", section 3.3).
_ROUNDS = 10
_FACTORS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_WEYL = np.uint32(0x9E3779B9), np.uint32(0xBB67AE85)
# The key with which TensorFlow stirs a seed before it is one.
_STIR = np.uint32(0x3EC8F720), np.uint32(0x02461E29)
_HALF = np.uint64(32)
_MANTISSA, _EXPONENT_OF_ONE = np.uint32(0x7FFFFF), np.uint32(0x3F800000)
_ACTIVATIONS = ("", "relu", "tanh")


def product(x: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """float32 [batch, n] by [n, m], on this thread alone; what numpy calls would take all cores."""
    y = np.empty((len(x), matrix.shape[1]), np.float32)
    _affine_rows(y, np.ascontiguousarray(x), matrix, np.zeros(matrix.shape[1], np.float32), 0)
    return y


class Linear:
    """A dense layer: x float32 [batch, inputs] -> [batch, outputs].

    Args:
        layer: of Keras, or one with `kernel` and `bias`.
        activation: "", "relu" or "tanh"; that of the layer is not looked at.

    Attributes:
        outputs: int.
    """

    def __init__(self, layer, activation: str = ""):
        self._weights = array(layer.kernel), array(layer.bias)
        self._activation, self.outputs = _ACTIVATIONS.index(activation), len(self._weights[1])

    def __call__(self, x: np.ndarray) -> np.ndarray:
        y = np.empty((len(x), self.outputs), np.float32)
        _affine_rows(y, np.ascontiguousarray(x), *self._weights, self._activation)
        return y


class Stack:
    """A `zoo.layers.GatedStack` without conditioning.

    Args:
        stack: the layer.
        state: its histories, [batch, steps, channels] each.
    """

    def __init__(self, stack: GatedStack, state: list):
        layers, self._skips, self._frame = stack.stack, stack.width, 0
        taps = layers[0].conv.kernel_size
        steps = [history.shape[1] for history in state]
        self._rings = np.concatenate([np.asarray(history) for history in state], axis=1)
        kernel = np.stack([array(layer.conv.kernel).reshape(taps, -1, 2 * stack.channels) for layer in layers])
        bias = np.stack([array(layer.conv.bias) for layer in layers])
        out = np.stack([array(layer.out.kernel) for layer in layers])
        out_bias = np.stack([array(layer.out.bias) for layer in layers])
        starts, dilations = np.cumsum([0, *steps[:-1]]), np.array([layer.conv.dilation for layer in layers])
        self._weights = starts, dilations, kernel, bias, out, out_bias
        # What a layer is given, before and after its gates; and what it hands on, for the layer above and as a skip.
        n = stack.channels
        x, pre, passed, y = (np.empty(size, np.float32) for size in (n, 2 * n, n, out.shape[-1]))
        self._scratch = x, pre, passed, y, y[:n], y[n:]

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """[batch, channels] -> the sum of skips [batch, skip_channels]."""
        skips = np.zeros((len(x), self._skips), np.float32)
        _stack_rows(skips, x, self._rings, self._frame, *self._weights, *self._scratch)
        self._frame += 1
        return skips


class Recurrent:
    """A `zoo.recurrent.RecurrentStack`.

    Args:
        stack: the layer.
        state: [batch, s] a layer.
    """

    def __init__(self, stack: RecurrentStack, state: list):
        # An LSTM carries its cell beside its output.
        self._lstm = state[0].shape[1] > stack.width
        self._states = [np.array(each) for each in state]
        self._products = [(Linear(layer.given), Linear(layer.recalled)) for layer in stack.stack]
        self._width = stack.width

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """[batch, inputs] -> [batch, units]."""
        for state, (given, recalled) in zip(self._states, self._products, strict=True):
            _recur_rows(state, given(x), recalled(state[:, : self._width]), self._lstm)
            x = state[:, : self._width]
        return x


ENCODERS = {GatedStack: Stack, RecurrentStack: Recurrent}


def uniforms(seed: int, number: int, shape: tuple[int, ...]) -> np.ndarray:
    """What `tf.random.stateless_uniform(shape, [seed, number])` gives: float32 in [0, 1)."""
    drawn = np.empty(shape, np.float32)
    _fill_uniform(drawn.reshape(-1), seed, number)
    return drawn


@part
def _philox(a, b, c, d, key, other):
    for _ in range(_ROUNDS):
        one, two = np.uint64(a) * _FACTORS[0], np.uint64(c) * _FACTORS[1]
        a, b, c, d = (
            np.uint32((two >> _HALF) ^ b ^ key),
            np.uint32(two),
            np.uint32((one >> _HALF) ^ d ^ other),
            np.uint32(one),
        )
        key, other = np.uint32(key + _WEYL[0]), np.uint32(other + _WEYL[1])
    return a, b, c, d


@part
def _unit(bits):
    return np.uint32((bits & _MANTISSA) | _EXPONENT_OF_ONE).view(np.float32) - np.float32(1.0)


@compiled
def _fill_uniform(drawn, seed, number):
    key, other, c, d = _philox(
        np.uint32(seed), np.uint32(seed >> 32), np.uint32(number), np.uint32(number >> 32), *_STIR
    )
    for i in range(0, len(drawn), 4):
        four = _philox(np.uint32(i // 4), np.uint32(0), c, d, key, other)
        for j in range(min(4, len(drawn) - i)):
            drawn[i + j] = _unit(four[j])


@compiled
def _affine_rows(y, x, kernel, bias, activation):
    for row in range(len(x)):
        fill(y[row], bias)
        add_product(y[row], x[row], kernel)
        if activation == 1:
            rectify(y[row])
        elif activation == 2:
            for i in range(y.shape[1]):
                y[row, i] = tanh(y[row, i])


@compiled
def _stack_rows(
    skips, inputs, rings, frame, starts, dilations, kernel, bias, out, out_bias, x, pre, passed, y, residual, skip
):
    """One step of each row; of a layer the ring holds the last (taps - 1) * dilation inputs."""
    taps = kernel.shape[1]
    for row in range(len(inputs)):
        fill(x, inputs[row])
        for layer in range(len(starts)):
            steps = (taps - 1) * dilations[layer]
            fill(pre, bias[layer])
            for tap in range(taps):
                # One product in the source, which is compiled once.
                at = starts[layer] + (frame + tap * dilations[layer]) % steps
                add_product(pre, rings[row, at] if tap < taps - 1 else x, kernel[layer, tap])
            fill(rings[row, starts[layer] + frame % steps], x)
            pass_gates(passed, pre)
            fill(y, out_bias[layer])
            add_nth_product(y, passed, out, layer)
            add(x, residual)
            add(skips[row], skip)


@compiled
def _recur_rows(states, given, recalled, lstm):
    """As `zoo.recurrent.gru` and `lstm`, in place."""
    for row in range(len(states)):
        state, a, b = states[row], given[row], recalled[row]
        n = len(state) // 2 if lstm else len(state)
        for i in range(n):
            one, two = sigmoid(a[i] + b[i]), sigmoid(a[n + i] + b[n + i])
            if lstm:
                candidate, leave = tanh(a[2 * n + i] + b[2 * n + i]), sigmoid(a[3 * n + i] + b[3 * n + i])
                state[n + i] = two * state[n + i] + one * candidate
                state[i] = leave * tanh(state[n + i])
            else:
                candidate = tanh(a[2 * n + i] + two * b[2 * n + i])
                state[i] = one * state[i] + (np.float32(1.0) - one) * candidate
