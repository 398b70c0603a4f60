import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from zoo import layers


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def _noise(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def _shaken(layer, rng):
    """Weights, biases among them, that are all away from zero."""
    for weight in layer.weights:
        weight.assign(0.4 * _noise(rng, *weight.shape))
    return layer


def test_sample_categorical_inverts_the_cumulative_distribution(rng):
    probabilities = np.array([0.1, 0.0, 0.2, 0.7], np.float32)
    logits = np.broadcast_to(np.log(probabilities + 1e-30), (6, 4))
    drawn = layers.sample_categorical(tf.constant(logits), tf.constant([0.0, 0.05, 0.15, 0.29, 0.31, 0.9999999]))
    np.testing.assert_array_equal(drawn, [0, 0, 2, 2, 3, 3])


def test_sample_categorical_draws_at_the_frequencies_of_the_softmax(rng):
    logits = 2.0 * _noise(rng, 5)
    uniform = rng.random(40_000, dtype=np.float32)
    drawn = layers.sample_categorical(tf.constant(np.tile(logits, (len(uniform), 1))), tf.constant(uniform))
    wanted = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_allclose(np.bincount(drawn, minlength=5) / len(uniform), wanted, atol=0.01)


def test_hashed_numbers_are_uniform_independent_and_the_same_under_xla():
    places = (np.arange(50)[:, None, None], 7, np.arange(40)[:, None], np.arange(30))
    drawn = layers.hashed_uniform(*places).numpy()
    assert drawn.shape == (50, 40, 30) and 0.0 <= drawn.min() and drawn.max() < 1.0
    assert scipy.stats.kstest(drawn.ravel(), "uniform").statistic < 0.01
    for axis in range(3):
        ahead, behind = (
            np.take(drawn, index, axis) for index in (range(1, drawn.shape[axis]), range(drawn.shape[axis] - 1))
        )
        assert abs(np.corrcoef(ahead.ravel(), behind.ravel())[0, 1]) < 0.02
    compiled = tf.function(layers.hashed_uniform, jit_compile=True)
    np.testing.assert_array_equal(compiled(*map(tf.constant, places)), drawn)


@pytest.mark.parametrize("weight_norm", [True, False])
def test_normalised_dense_is_a_plain_layer_whose_columns_have_lengths_of_their_own(rng, weight_norm):
    dense = layers.NormalisedDense(3, weight_norm)
    dense.build((None, 5))
    x, start = _noise(rng, 4, 5), dense.kernel.numpy()
    np.testing.assert_allclose(start, dense.direction, rtol=1e-5)
    _shaken(dense, rng)
    direction = dense.direction.numpy()
    kernel = direction / np.linalg.norm(direction, axis=0) * dense.length.numpy() if weight_norm else direction
    np.testing.assert_allclose(dense(x), x @ kernel + dense.offset.numpy(), rtol=1e-4, atol=1e-5)
    assert len(dense.weights) == 2 + weight_norm


def test_a_layer_without_a_bias_has_none(rng):
    dense = layers.NormalisedDense(3, weight_norm=False, use_bias=False)
    dense.build((None, 5))
    assert len(dense.weights) == 1 and not dense.bias.numpy().any()


@pytest.mark.parametrize(("kernel_size", "dilation"), [(2, 1), (2, 8), (3, 4)])
def test_causal_conv_is_a_plain_convolution(rng, kernel_size, dilation):
    conv = layers.CausalConv(5, kernel_size, dilation)
    conv.build((None, None, 3))
    _shaken(conv, rng)
    x, history = _noise(rng, 2, 11, 3), _noise(rng, 2, conv.history_steps, 3)
    y, after = conv(x, history)
    np.testing.assert_allclose(y, _convolved(conv, x, history), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(after, np.concatenate([history, x], axis=1)[:, 11:])


def test_gated_stack_is_the_formula_of_the_paper(rng):
    stack = _stack(rng)
    x, state = _noise(rng, 2, 12, 4), [_noise(rng, *h.shape) for h in stack.initial_state(2)]
    condition = _noise(rng, 3, 2, 4, 8)
    running = np.array([[1, 1, 0, 1], [0, 1, 1, 1]], np.float32)
    skips, after = stack(x, state, condition, running)
    held, wanted = np.repeat(running, 3, axis=1)[..., None], 0.0
    for i, layer in enumerate(stack.stack):
        x = x * held
        pre = _convolved(layer.conv, x, state[i]) + np.repeat(condition[i], 3, axis=1)
        gated = np.tanh(pre[..., :4]) / (1 + np.exp(-pre[..., 4:]))
        y = gated @ layer.out.kernel.numpy() + layer.out.bias.numpy()
        np.testing.assert_allclose(after[i], np.concatenate([state[i], x], axis=1)[:, 12:], rtol=1e-4, atol=1e-5)
        x, wanted = x + y[..., :4], wanted + y[..., 4:]
    np.testing.assert_allclose(skips, wanted, rtol=1e-4, atol=1e-5)


def test_gated_stack_in_pieces_is_the_whole(rng):
    stack = _stack(rng)
    x, condition = _noise(rng, 2, 20, 4), _noise(rng, 3, 2, 20, 8)
    whole, end = stack(x, stack.initial_state(2), condition)
    state, parts = stack.initial_state(2), []
    for a, b in ((0, 1), (1, 3), (3, 11), (11, 20)):
        part, state = stack(x[:, a:b], state, condition[:, :, a:b])
        parts.append(part)
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, rtol=1e-4, atol=1e-5)
    for ours, wanted in zip(state, end, strict=True):
        np.testing.assert_allclose(ours, wanted, rtol=1e-4, atol=1e-5)


def test_gated_stack_sees_its_receptive_field_and_no_further(rng):
    stack = _stack(rng)
    assert stack.receptive_steps == 1 + 1 + 2 + 4
    x = _noise(rng, 1, 30, 4)
    other = x.copy()
    other[:, 10] += 1.0
    one, two = (stack(signal, stack.initial_state(1))[0].numpy() for signal in (x, other))
    differs = np.abs(one - two).max(axis=(0, 2)) > 1e-6
    np.testing.assert_array_equal(np.flatnonzero(differs), np.arange(10, 10 + stack.receptive_steps))


@pytest.mark.parametrize("n", [1, 7, 48, 256])
def test_running_sum(rng, n):
    x = _noise(rng, 2, 3, n)
    np.testing.assert_allclose(layers.running_sum(x), np.cumsum(x, axis=-1), rtol=1e-5, atol=1e-5)
    assert layers.running_sum(x).shape == x.shape


@pytest.mark.parametrize("known", [True, False])
def test_running_max(rng, known):
    x = rng.integers(-50, 50, (3, 37)).astype(np.int32)
    spec = tf.TensorSpec([None, 37 if known else None], tf.int32)
    found = tf.function(layers.running_max, input_signature=[spec])(x)
    np.testing.assert_array_equal(found, np.maximum.accumulate(x, axis=1))


def test_held_frames(rng):
    x, frames = _noise(rng, 2, 12, 3), _noise(rng, 2, 4, 3)
    held = np.repeat(frames, 3, axis=1)
    np.testing.assert_allclose(layers.add_held(x, frames), x + held, rtol=1e-6)
    np.testing.assert_allclose(layers.multiply_held(x, frames), x * held, rtol=1e-6)
    np.testing.assert_allclose(layers.multiply_held(x, frames[..., :1]), x * held[..., :1], rtol=1e-6)


@pytest.mark.parametrize("shape", [(256, 7), (7, 256)])
def test_smooth_levels_start_neighbours_alike(shape):
    table = layers.SmoothLevels(0.5)(shape).numpy()
    assert table.shape == shape
    levels = table if shape[0] == 256 else table.T
    assert np.abs(np.diff(levels, axis=0)).max() < 0.5 * np.pi * 7 / 256
    np.testing.assert_allclose(levels.T @ levels / 256, np.diag([0.25] + [0.125] * 6), atol=1e-5)


def _stack(rng):
    stack = layers.GatedStack(4, 5, 2, (1, 2, 4))
    stack.build((None, None, 4))
    return _shaken(stack, rng)


def _convolved(conv, x, history):
    """Tap by tap, step by step."""
    padded = np.concatenate([history, x], axis=1)
    kernel = conv.kernel.numpy().reshape(conv.kernel_size, x.shape[-1], conv.channels)
    y = np.zeros((*x.shape[:2], conv.channels))
    for t in range(x.shape[1]):
        for k in range(conv.kernel_size):
            y[:, t] += padded[:, t + k * conv.dilation] @ kernel[k]
    return y + conv.bias.numpy()
