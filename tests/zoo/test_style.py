"""Style tokens (Wang et al. 2018) and the reference encoder (Skerry-Ryan et al. 2018)."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from datasets.errors import InputError
from zoo.tacotron import style

BANDS = 20


def _mel(*shape, seed: int = 0) -> tf.Tensor:
    return tf.constant(np.random.default_rng(seed).standard_normal((*shape, BANDS)), tf.float32)


def _manner(**sizes) -> style.Manner:
    keras.utils.set_random_seed(0)
    sizes = {"tokens": 0, "channels": 8, "heads": 2, "reference": False, **sizes}
    manner = style.Manner(BANDS, 6, **sizes)
    manner.build()
    return manner


def test_the_reference_encoder_is_the_papers():
    encoder = style.ReferenceEncoder(BANDS, channels=128)
    encoder.build()
    assert encoder(_mel(3, 130), tf.constant([130, 64, 1])).shape == (3, 128)
    # Six halvings of 130 frames and 20 bands leave 3 steps of 1 band.
    sizes = [1, 32, 32, 64, 64, 128, 128]
    convs = sum(9 * a * b + b for a, b in zip(sizes[:-1], sizes[1:], strict=True))
    gru = 128 * 3 * 128 + 3 * 128 + 128 * 3 * 128 + 3 * 128 + 128
    assert encoder.count_params() == convs + gru + 128 * 128 + 128


def test_it_hears_a_stretch_and_not_what_lies_beyond_it():
    encoder = style.ReferenceEncoder(BANDS)
    encoder.build()
    mel = _mel(2, 37)
    alone = encoder(mel, tf.constant([37, 30])).numpy()
    filled = tf.concat([mel, 9.0 * _mel(2, 50, seed=1)], axis=1)
    np.testing.assert_allclose(encoder(filled, tf.constant([37, 30])), alone, atol=1e-5)
    assert np.abs(encoder(mel, tf.constant([30, 37])) - alone).max() > 1e-5


def test_attention_to_the_tokens_adds_up_to_one_and_two_references_differ():
    manner = _manner(tokens=5)
    heard = manner.reference(_mel(2, 64), tf.constant([64, 64]))
    shares = manner.tokens.shares(heard).numpy()
    assert shares.shape == (2, 2, 5)
    np.testing.assert_allclose(shares.sum(axis=-1), 1.0, atol=1e-6)
    styles = manner.of_mel(_mel(2, 64), tf.constant([64, 64])).numpy()
    assert styles.shape == (2, manner.width) and np.abs(styles[0] - styles[1]).max() > 1e-6
    np.testing.assert_allclose(styles, manner.tokens.style(shares), atol=1e-6)


def test_tokens_are_heard_through_a_hyperbolic_tangent():
    manner = _manner(tokens=3)
    manner.tokens.table.assign(10.0 * np.sign(manner.tokens.table.numpy()))
    one = manner.of_tokens([1.0, 0.0, 0.0]).numpy()
    wanted = np.tanh(manner.tokens.table.numpy()[0]) @ manner.tokens.value.kernel.numpy()
    np.testing.assert_allclose(one[0], wanted, atol=1e-5)
    manner.tokens.table.assign(100.0 * manner.tokens.table)
    np.testing.assert_allclose(manner.of_tokens([1.0, 0.0, 0.0]), one, atol=1e-5)


def test_weights_of_tokens_make_a_style_in_proportion():
    manner = _manner(tokens=3)
    each = [manner.of_tokens(np.eye(3)[i]).numpy() for i in range(3)]
    np.testing.assert_allclose(manner.of_tokens([0.3, 0.0, -0.7]), 0.3 * each[0] - 0.7 * each[2], atol=1e-5)
    np.testing.assert_allclose(manner.unsaid(), sum(each) / 3, atol=1e-5)


def test_the_papers_tokens_have_as_many_weights_as_counted_by_hand():
    manner = style.Manner(80, 256, tokens=10, channels=256, heads=4, reference=False)
    manner.build()
    sizes = [1, 32, 32, 64, 64, 128, 128]
    convs = sum(9 * a * b + b for a, b in zip(sizes[:-1], sizes[1:], strict=True))
    # 80 bands halved six times are 2.
    gru = 2 * 128 * 3 * 128 + 3 * 128 + 128 * 3 * 128 + 3 * 128 + 128
    assert manner.count_params() == convs + gru + 10 * 256 + 128 * 256 + 2 * 256 * 256
    assert manner.site is None  # Tokens are as wide as the encoder of Tacotron.


def test_where_the_manner_goes():
    encoded, one = tf.ones([1, 4, 6]), tf.ones([1, 8])
    tokens, reference, nothing = _manner(tokens=3), _manner(reference=True), _manner()
    placed = tokens.place(encoded, one).numpy()
    np.testing.assert_allclose(placed[0], np.tile(1.0 + tokens.site(one).numpy(), (4, 1)), atol=1e-6)
    placed = reference.place(encoded, tf.ones([1, reference.width])).numpy()
    assert placed.shape == (1, 4, 6 + reference.placed) and (placed == 1).all()
    assert nothing.place(encoded, tf.zeros([1, 0])) is encoded and nothing.width == 0
    assert nothing.of_mel(_mel(2, 9), tf.constant([9, 9])).shape == (2, 0)


def test_what_a_run_does_not_have_is_refused():
    with pytest.raises(InputError, match=r"--style=0.5\+0.5: this run has 3 style tokens"):
        _manner(tokens=3).of_tokens([0.5, 0.5])
    with pytest.raises(InputError, match="--style=1.0: this run has 0 style tokens"):
        _manner().of_tokens([1.0])
    with pytest.raises(InputError, match="--reference: this run takes its prosody from a recording"):
        _manner(reference=True).unsaid()
