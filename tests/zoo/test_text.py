"""Texts as Tacotron reads them, and the encoders that see them from both ends."""

import numpy as np
import pytest
import tensorflow as tf

from datasets.errors import InputError
from zoo.layers import CausalConv
from zoo.tacotron import noise, text
from zoo.tacotron.tiers import Prenet


def test_letters_are_those_that_are_known_and_the_end():
    plain = text.letters("go left")
    assert plain[-1] == text.END and [text.ALPHABET[n - 2] for n in plain[:-1]] == list("go left")
    assert text.letters("  Go\n LEFT@# ") == plain
    assert text.letters("don\u2019t") == text.letters("don't")
    assert max(text.letters(text.ALPHABET.strip())) == text.N_LETTERS - 1 and 0 not in text.letters(text.ALPHABET)


@pytest.mark.parametrize("nothing", ["", "  ", "123", "\u4f60\u597d", "...!"])
def test_a_text_without_letters_is_refused(nothing):
    with pytest.raises(InputError, match="--text=.*has none of the letters a to z"):
        text.letters(nothing)


def _encoders():
    tacotron2 = text.TextEncoder(8, 2, 5)
    tacotron1 = text.CBHGTextEncoder(6, Prenet((8, 5), 0.5, name="prenet"), text.BothWaysCBHG(5, 4, 2, name="cbhg"))
    for encoder in (tacotron2, tacotron1):
        encoder.build()
        rng = np.random.default_rng(0)
        for weight in encoder.trainable_variables:
            weight.assign_add(0.2 * rng.standard_normal(weight.shape))
    return {"tacotron2": tacotron2, "tacotron1": tacotron1}


@pytest.fixture(scope="module", params=["tacotron2", "tacotron1"])
def encode(request):
    encoder = _encoders()[request.param]
    drawn = noise.reseeded(noise.start(), 3)

    def run(rows: np.ndarray) -> np.ndarray:
        rows = tf.constant(rows, tf.int32)
        return encoder(rows, tf.cast(rows > 0, tf.float32), drawn).numpy()

    return run


def test_encoders_look_both_ways(encode):
    rows = np.array([[5, 6, 7, 8, 9, 10, 11, 1], [5, 6, 7, 8, 9, 10, 11, 1]])
    whole = encode(rows)
    other = rows.copy()
    other[:, 3] = 20
    assert (np.abs(encode(other) - whole).max(axis=(0, 2)) > 1e-6).all()


def test_what_lies_beyond_the_end_of_a_text_is_nothing(encode):
    rows = np.array([[5, 6, 7, 8, 1], [9, 8, 1, 0, 0]])
    short, long = encode(rows), encode(np.pad(rows, [[0, 0], [0, 7]]))
    np.testing.assert_allclose(long[:, :5], short, atol=1e-5)
    assert (long[:, 5:] == 0).all() and (long[1, 3:] == 0).all() and np.abs(short[1, :3]).min() > 0


def test_a_centred_convolution_is_a_plain_one():
    x = np.random.default_rng(0).standard_normal((2, 9, 3)).astype(np.float32)
    for size in (1, 2, 3, 5):
        layer = CausalConv(4, size, 1)
        layer.build((None, None, 3))
        back, ahead = size // 2, (size - 1) // 2
        padded = np.pad(x, [[0, 0], [back, ahead], [0, 0]])
        kernel = layer.kernel.numpy().reshape(size, 3, 4)
        wanted = sum(padded[:, k : k + 9] @ kernel[k] for k in range(size)) + layer.bias.numpy()
        np.testing.assert_allclose(text.centred(layer, tf.constant(x)), wanted, atol=1e-5)


def test_the_layer_that_runs_both_ways_is_two_that_run_one_way():
    layer = text.BothWays(3, "gru")
    layer.build((None, None, 2))
    x = tf.constant(np.random.default_rng(0).standard_normal((2, 5, 2)), tf.float32)
    exists = tf.constant([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]], tf.float32)
    both = layer(x, exists).numpy()
    for row, n in ((0, 5), (1, 3)):
        own = x[row : row + 1, :n]
        ahead, _ = layer.ahead(own, layer.ahead.initial_state(1))
        back, _ = layer.back(own[:, ::-1], layer.back.initial_state(1))
        wanted = np.concatenate([ahead, back[:, ::-1]], axis=-1)[0]
        np.testing.assert_allclose(both[row, :n], wanted, atol=1e-5)
    assert (both[1, 3:] == 0).all()
