"""The loops of `zoo.recurrent` against Keras's own layers, and their gradients against TensorFlow's."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo import recurrent

BATCH, TIME, INPUTS, UNITS = 3, 17, 5, 4


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(params=["gru", "lstm"])
def stack(request, rng):
    return _stack(request.param, rng)


def _stack(cell, rng, **options):
    stack = recurrent.RecurrentStack(UNITS, 2, cell, weight_norm=True, **options)
    stack.build((None, None, INPUTS))
    for weight in stack.weights:
        weight.assign(0.5 * rng.standard_normal(weight.shape))
    return stack


def _input(rng):
    return tf.constant(rng.standard_normal((BATCH, TIME, INPUTS)).astype(np.float32))


def test_a_gru_is_that_of_keras(rng):
    layer = _stack("gru", rng).stack[0]
    own = keras.layers.GRU(UNITS, return_sequences=True, reset_after=True)
    own.build((None, None, INPUTS))
    own.set_weights([layer.given.kernel, layer.recalled.kernel, np.stack([layer.given.bias, layer.recalled.bias])])
    _same_as_keras(layer, own, _input(rng), lambda state: [state])


def test_an_lstm_is_that_of_keras(rng):
    layer = _stack("lstm", rng).stack[0]
    own = keras.layers.LSTM(UNITS, return_sequences=True)
    own.build((None, None, INPUTS))
    own.set_weights([layer.given.kernel, layer.recalled.kernel, layer.given.bias])
    _same_as_keras(layer, own, _input(rng), lambda state: tf.split(state, 2, axis=-1))


def _same_as_keras(layer, own, x, split):
    start = layer.initial_state(BATCH)
    assert np.ptp(start) > 0, "the initial state is learned"
    y, after = layer(x, start, tf.ones([TIME, BATCH, 1]))
    np.testing.assert_allclose(y, own(x, initial_state=split(start)), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(after[:, :UNITS], y[:, -1])


def test_in_pieces_is_the_whole(stack, rng):
    x, running = _input(rng), rng.integers(0, 2, (BATCH, TIME)).astype(np.float32)
    whole, end = stack(x, stack.initial_state(BATCH), running)
    state, parts = stack.initial_state(BATCH), []
    for a, b in ((0, 1), (1, 3), (3, 16), (16, TIME)):
        part, state = stack(x[:, a:b], state, running[:, a:b])
        parts.append(part)
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, rtol=1e-5, atol=1e-6)
    for found, wanted in zip(state, end, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def test_after_a_step_that_does_not_run_the_state_is_the_initial_one(stack, rng):
    running = np.ones((BATCH, TIME), np.float32)
    running[:, 9] = 0.0
    x = _input(rng)
    y, _ = stack(x, stack.initial_state(BATCH), running)
    again, _ = stack(x[:, 10:], stack.initial_state(BATCH))
    np.testing.assert_allclose(y[:, 10:], again, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("truncate", [None, 5])
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_the_gradient_is_that_of_a_plain_loop(rng, cell, truncate):
    stack, x = _stack(cell, rng, truncate=truncate), _input(rng)
    running = tf.constant(rng.integers(0, 4, (BATCH, TIME)) > 0, tf.float32)
    weight = rng.standard_normal((BATCH, TIME, UNITS)).astype(np.float32)

    def plain():
        prepared, start, y = stack.prepared(), stack.initial_state(BATCH), []
        kernel, bias = prepared[0]["given"]
        state = start
        for t in range(TIME):
            if truncate and t and t % truncate == 0:
                state = [tf.stop_gradient(each) for each in state]
            _, state = stack.advance(prepared, tf.matmul(x[:, t], kernel) + bias, state)
            state = [tf.where(running[:, t, None] > 0, now, then) for now, then in zip(state, start, strict=True)]
            y.append(state[-1][:, :UNITS])
        return tf.stack(y, axis=1)

    found, wanted = [], []
    for function, into in ((lambda: stack(x, stack.initial_state(BATCH), running)[0], found), (plain, wanted)):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function()
            loss = tf.reduce_sum(y * weight * running[..., None])
        into += [y * running[..., None], *tape.gradient(loss, [x, *stack.trainable_variables])]
    assert all(np.abs(each).max() > 1e-3 for each in wanted)
    for one, two in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-3, atol=1e-5)
