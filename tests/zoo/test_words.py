"""Two weights in a word are two weights, and a product by words is one by what they are."""

import numpy as np
import pytest
import tensorflow as tf

from datasets.errors import InputError
from zoo import words


def _weights(rows, columns):
    weights = np.random.default_rng(rows).standard_normal((rows, columns)).astype(np.float32)
    # Nothing beside something negative, and small beside large.
    weights[rows // 2 :, 0], weights[:, 1] = 0.0, weights[:, 1] * 10.0 ** -np.arange(rows)
    return weights


@pytest.mark.parametrize("rows", [1, 7, 16, 40])
def test_a_weight_is_rounded_to_eight_bits_of_mantissa(rows):
    weights = _weights(rows, 5)
    packed = words.pack(tf.constant(weights))
    assert packed.dtype == tf.uint32 and packed.shape == (5, -(-rows // 16), words.LANES)
    found = words.unpack(packed, rows).numpy()
    np.testing.assert_allclose(found, weights, rtol=2.0**-8, atol=1e-36)
    assert rows == 1 or (found != weights).any()


def test_the_low_half_is_a_bfloat16_and_the_whole_word_is_nearest():
    weights = _weights(16, 5)
    packed, steps = words.pack(tf.constant(weights)).numpy().reshape(5, 8).T, np.arange(-1, 2)
    np.testing.assert_array_equal((packed << 16).view(np.float32), tf.cast(weights[:8], tf.bfloat16).numpy())
    others = (packed[..., None] + (steps << 16).astype(np.uint32)).view(np.float32)
    large = np.abs(weights[8:]) > 1e-30
    assert (np.abs(others - weights[8:, :, None]).argmin(axis=-1) == 1)[large].all() and large.sum() > 20


@pytest.mark.parametrize("compiled_for", [1, 3, None])
@pytest.mark.parametrize(("rows", "columns"), [(5, 3), (16, 20), (150, 33)])
def test_a_product_is_that_of_the_unpacked_weights(rows, columns, compiled_for):
    weights = words.pack(tf.constant(_weights(rows, columns)))
    x = np.random.default_rng(0).standard_normal((compiled_for or 2, rows)).astype(np.float32)
    signature = [tf.TensorSpec([compiled_for, rows]), tf.TensorSpec(weights.shape, tf.uint32)]
    found = tf.function(words.product, jit_compile=True, input_signature=signature)(x, weights)
    np.testing.assert_allclose(found, x @ words.unpack(weights, rows).numpy(), rtol=1e-4, atol=1e-4)


def test_weights_of_32_bits_stay_as_they_are():
    weights = tf.constant(_weights(5, 3))
    assert words.of_bits(weights, 32) is weights
    np.testing.assert_array_equal(words.product(tf.eye(5), weights), weights)


def test_what_cannot_be_compiled_is_refused(monkeypatch):
    words.check("--engine=graph16")
    monkeypatch.setattr(words, "optimization_barrier", None)
    with pytest.raises(InputError, match="--engine=graph16: needs XLA with its optimization barrier"):
        words.check("--engine=graph16")
    monkeypatch.undo()
    monkeypatch.setattr(tf.config, "functions_run_eagerly", lambda: True)
    with pytest.raises(InputError, match="--engine=graph16: is compiled by XLA; leave out"):
        words.check("--engine=graph16")
