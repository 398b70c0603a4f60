"""Recurrent layers that carry their state explicitly: GRU and LSTM, stacked, with learned initial states.

All that is parallel over time is one matrix product; only the state goes step by step, in a loop that XLA compiles and
whose gradient is a second loop over what the first one left. TensorFlow's own gradient of such a loop is four to
twelve times slower on a CPU.
"""

import math
from collections.abc import Callable

import keras
import tensorflow as tf

from zoo import words
from zoo.layers import NormalisedDense

Gates = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]


def gru(given: tf.Tensor, recalled: tf.Tensor, state: tf.Tensor) -> tf.Tensor:
    """The element-wise part of a GRU whose reset gate acts after the product, as cuDNN's and Keras's do.

    Args:
        given, recalled: [batch, 3 n], products of the input and of the state; update, reset, candidate.
        state: [batch, n].
    """
    n = state.shape[-1]
    update, reset = tf.split(tf.sigmoid(given[:, : 2 * n] + recalled[:, : 2 * n]), 2, axis=-1)
    return update * state + (1.0 - update) * tf.tanh(given[:, 2 * n :] + reset * recalled[:, 2 * n :])


def lstm(given: tf.Tensor, recalled: tf.Tensor, state: tf.Tensor) -> tf.Tensor:
    """The element-wise part of an LSTM.

    Args:
        given, recalled: [batch, 4 n], products of the input and of the output; input, forget, candidate, output.
        state: [batch, 2 n], output and cell.
    """
    enter, forget, candidate, leave = tf.split(given + recalled, 4, axis=-1)
    cell = tf.sigmoid(forget) * state[:, state.shape[-1] // 2 :] + tf.sigmoid(enter) * tf.tanh(candidate)
    return tf.concat([tf.sigmoid(leave) * tf.tanh(cell), cell], axis=-1)


# The element-wise part, the number of products, and the number of vectors in a state.
CELLS: dict[str, tuple[Gates, int, int]] = {"gru": (gru, 3, 1), "lstm": (lstm, 4, 2)}


def unroll(gates: Gates, given, state, kernel, bias, running, initial, truncate: int | None = None) -> tf.Tensor:
    """Runs a cell over time.

    Args:
        gates: `gru` or `lstm`.
        given: [time, batch, k n], products of the inputs.
        state: [batch, s], before the first step; its first n numbers are the output.
        kernel, bias: [n, k n] and [k n], of the product of the output.
        running: [time, batch, 1]; after a step where it is 0 the state is `initial` again.
        initial: [s].
        truncate: the gradient passes from no multiple of so many steps to the step before it.

    Returns:
        The state after each step, [time, batch, s].
    """
    if given.shape[0] == 1:
        return _step(gates, given[0], state, kernel, bias, running[0], initial)[None]

    @tf.custom_gradient
    def run(given, state, kernel, bias, initial):
        # Out of sight of an eager tape, which would ask XLA for its own gradient.
        seen = [tf.stop_gradient(each) for each in (given, state, kernel, bias, running, initial)]
        states = _forward(gates, *seen)

        def gradient(upstream):
            return _backward(gates, given, state, kernel, bias, running, states, upstream, truncate)

        return states, gradient

    return run(given, state, kernel, bias, initial)


class Recurrent(keras.layers.Layer):
    """One GRU or LSTM.

    Args:
        units: int. Width of the output.
        cell: "gru" or "lstm".
        weight_norm: bool. Of both products.
        truncate: int or None. Steps that a gradient passes back at most (truncated back-propagation through time).
    """

    def __init__(self, units: int, cell: str, weight_norm: bool, truncate: int | None = None, **kwargs):
        super().__init__(**kwargs)
        self._gates, products, self._vectors = CELLS[cell]
        self.units, self._truncate = units, truncate
        self.given = NormalisedDense(products * units, weight_norm, name="given")
        # The bias of the second product matters where a gate acts on it, which is in the GRU.
        self.recalled = NormalisedDense(
            products * units, weight_norm, use_bias=cell == "gru", initializer="orthogonal", name="recalled"
        )

    def build(self, input_shape):
        self.given.build(input_shape)
        self.recalled.build((None, self.units))
        self.initial = self.add_weight(shape=(self._vectors * self.units,), initializer="zeros", name="initial")

    def initial_state(self, batch) -> tf.Tensor:
        return tf.tile(self.initial[None], [batch, 1])

    def call(self, x, state, running):
        """x [batch, time, n], state [batch, s], running [time, batch, 1] -> y [batch, time, units], state."""
        given = tf.transpose(self.given(x), [1, 0, 2])
        kernel, bias, initial = self.recalled.kernel, self.recalled.bias, tf.convert_to_tensor(self.initial)
        states = unroll(self._gates, given, state, kernel, bias, running, initial, self._truncate)
        return tf.transpose(states[..., : self.units], [1, 0, 2]), states[-1]

    def prepared(self, bits: int = 32) -> dict:
        """The present weights, as `advance` reads them, of 32 or of 16 bits (`zoo.words`)."""
        return {
            "given": (words.of_bits(self.given.kernel, bits), self.given.bias),
            "recalled": (words.of_bits(self.recalled.kernel, bits), self.recalled.bias),
        }

    def advance(self, prepared: dict, given, state) -> tf.Tensor:
        """A step for use in a loop: given [batch, k n], the product of the input; state -> state."""
        kernel, bias = prepared["recalled"]
        return self._gates(given, words.product(state[:, : self.units], kernel) + bias, state)


class RecurrentStack(keras.layers.Layer):
    """GRUs or LSTMs on top of each other; an encoder of the dialogue and acoustic tiers.

    Args:
        units, layers: int. Width and number.
        cell, weight_norm, truncate: as of `Recurrent`.
    """

    receptive_steps = math.inf

    def __init__(self, units: int, layers: int, cell: str, weight_norm: bool, truncate: int | None = None, **kwargs):
        super().__init__(**kwargs)
        self.stack = [Recurrent(units, cell, weight_norm, truncate, name=f"layer{i}") for i in range(layers)]
        self.width = units

    def build(self, input_shape):
        for layer in self.stack:
            layer.build(input_shape)
            input_shape = (None, None, self.width)

    def initial_state(self, batch) -> list[tf.Tensor]:
        return [layer.initial_state(batch) for layer in self.stack]

    def call(self, x, state, running=None):
        """x [batch, time, n], states, running [batch, time] or None -> y [batch, time, width], states."""
        shape = tf.shape(x)
        running = tf.ones([shape[1], shape[0], 1]) if running is None else tf.transpose(running)[..., None]
        after = []
        for layer, before in zip(self.stack, state, strict=True):
            x, now = layer(x, before, running)
            after.append(now)
        return x, after

    def prepared(self, bits: int = 32) -> list[dict]:
        return [layer.prepared(bits) for layer in self.stack]

    def advance(self, prepared: list[dict], given, states):
        """As of `Recurrent`, from the product of the first layer's input: -> y [batch, width], states."""
        after = []
        for layer, weights, state in zip(self.stack, prepared, states, strict=True):
            if after:
                kernel, bias = weights["given"]
                given = words.product(after[-1][:, : self.width], kernel) + bias
            after.append(layer.advance(weights, given, state))
        return after[-1][:, : self.width], after


def _step(gates, given, state, kernel, bias, running, initial):
    after = gates(given, tf.matmul(state[:, : kernel.shape[0]], kernel) + bias, state)
    return running * after + (1.0 - running) * initial


@tf.function(jit_compile=True, autograph=False)
def _forward(gates, given, state, kernel, bias, running, initial):
    steps = tf.shape(given)[0]

    def body(t, state, states):
        state = _step(gates, tf.gather(given, t), state, kernel, bias, tf.gather(running, t), initial)
        return t + 1, state, states.write(t, state)

    states = tf.TensorArray(tf.float32, steps, element_shape=state.shape)
    return tf.while_loop(lambda t, *_: t < steps, body, [tf.constant(0), state, states])[2].stack()


@tf.function(jit_compile=True, autograph=False)
def _backward(gates, given, state, kernel, bias, running, states, upstream, truncate):
    """Gradients by the arguments of `run`; the products of all steps are made again at once, not kept."""
    steps, n = tf.shape(given)[0], kernel.shape[0]
    before = tf.concat([state[None], states[:-1]], axis=0)
    heard = tf.reshape(before[..., :n], [-1, n])
    recalled = tf.reshape(tf.matmul(heard, kernel) + bias, tf.shape(given))

    def body(t, later, totals, by_given, by_recalled):
        total = later + tf.gather(upstream, t)
        at = [tf.gather(each, t) for each in (given, recalled, before)]
        with tf.GradientTape() as tape:
            tape.watch(at)
            after = gates(*at)
        # A cell without gates has no use for the state itself.
        by = {"unconnected_gradients": tf.UnconnectedGradients.ZERO}
        one_given, one_recalled, earlier = tape.gradient(after, at, total * tf.gather(running, t), **by)
        by_output = tf.matmul(one_recalled, kernel, transpose_b=True)
        earlier += tf.pad(by_output, [[0, 0], [0, earlier.shape[-1] - n]])
        if truncate:
            earlier *= tf.cast((t % truncate > 0) | (t == 0), tf.float32)
        rows = totals.write(t, total), by_given.write(t, one_given), by_recalled.write(t, one_recalled)
        return t - 1, earlier, *rows

    arrays = [tf.TensorArray(tf.float32, steps, element_shape=x.shape[1:]) for x in (upstream, given, given)]
    begin = [steps - 1, tf.zeros_like(state), *arrays]
    _, by_state, totals, by_given, by_recalled = tf.while_loop(lambda t, *_: t >= 0, body, begin)
    rows = tf.reshape(by_recalled.stack(), [-1, kernel.shape[1]])
    by_initial = tf.reduce_sum(totals.stack() * (1.0 - running), axis=[0, 1])
    return by_given.stack(), by_state, tf.matmul(heard, rows, transpose_a=True), tf.reduce_sum(rows, 0), by_initial
