import keras
import numpy as np
import tensorflow as tf

from zoo import hearing
from zoo.dialogue_tier import DialogueTier, projection_labels
from zoo.layers import GatedStack


def test_projection_labels_are_the_bins_of_the_next_two_seconds():
    rng = np.random.default_rng(0)
    gates = np.stack([np.repeat(np.arange(30) % 2, rng.integers(3, 40, 30))[:230] for _ in range(4)])
    own, partner = gates.reshape(2, 2, 230).astype(np.float32)
    mask = np.ones((2, 230), np.float32)
    mask[1, 190:] = 0.0
    labels, known = projection_labels(tf.constant(own), tf.constant(partner), tf.constant(mask))
    np.testing.assert_array_equal(known.numpy().sum(axis=1), [131, 91])
    np.testing.assert_array_equal(known, np.arange(230) + 100 <= np.array([[230], [190]]))
    for t in range(131):
        for row in range(2):
            bins = ((0, 10), (10, 30), (30, 60), (60, 100))
            bits = [gate[row, t + a : t + b].mean() > 0.5 for gate in (own, partner) for a, b in bins]
            assert labels[row, t] == sum(2**i for i, bit in enumerate(bits) if bit)
    assert len(np.unique(labels)) > 10


def test_projection_labels_of_half_a_bin_and_of_less_than_two_seconds():
    half, silence, known = np.zeros((1, 100), np.float32), tf.zeros([1, 100]), tf.ones([1, 100])
    half[:, :5] = 1.0
    assert projection_labels(tf.constant(half), silence, known)[0][0, 0] == 0
    half[:, 5] = 1.0
    labels, whole = projection_labels(tf.constant(half), silence, known)
    assert labels[0, 0] == 1 and whole.numpy().sum() == 1
    assert not projection_labels(*[tf.ones([1, 99])] * 3)[1].numpy().any()


def test_the_hazard_starts_as_the_table():
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    tier = DialogueTier(GatedStack(4, 4, 2, (1, 2)), mel_bands=3, channels=4)
    tier.build()
    table = rng.standard_normal(tier.table.shape).astype(np.float32)
    tier.table.assign(table)
    own, partner = rng.integers(0, hearing.N_CELLS, (2, 2, 6))
    age = rng.integers(1, 99, (2, 2, 6))
    role = np.array([1, 0])
    features = tier.features(rng.standard_normal((2, 6, 3)).astype(np.float32), own, partner, *age, role)
    assert features.shape == (2, 6, tier.n_features)
    context, toggle, _ = tier(
        features, tf.constant(own), tf.constant(partner), tf.constant(role), tier.encoder.initial_state(2)
    )
    np.testing.assert_allclose(toggle, table[role[:, None], own, partner], rtol=1e-5)
    assert np.ptp(context) > 0
