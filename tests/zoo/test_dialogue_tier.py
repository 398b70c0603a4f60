import keras
import numpy as np
import tensorflow as tf

from datasets import hazard
from zoo import pace, prosody
from zoo.dialogue_tier import CountedTier, DialogueTier, cells, projection_labels
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


def test_the_hazard_starts_as_the_table_at_the_pace_of_the_dialogue():
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    tier = DialogueTier(GatedStack(4, 4, 2, (1, 2)), mel_bands=3, channels=4, cue_channels=3)
    tier.build()
    table = rng.standard_normal(tier.table.shape).astype(np.float32)
    tier.table.assign(table)
    role, before = tf.constant([1, 0]), _heard(rng)
    own, partner = (cell.numpy() for cell in cells(before))
    assert tier.features(before, own, partner, role).shape == (2, 6, tier.n_features)
    context, toggle, _ = tier(before, role, tier.initial_state(2))
    counted = table[role.numpy()[:, None], own, partner]
    lively, _ = pace.log_pace(before["gate"], tf.sigmoid(counted), pace.initial_state(2))
    np.testing.assert_allclose(toggle, counted + lively, rtol=1e-5)
    np.testing.assert_allclose(toggle[:, 0], counted[:, 0], rtol=1e-5)
    assert np.ptp(context) > 0


def test_cells_are_those_of_the_hazard_table():
    before = {key: value.numpy() for key, value in _heard(np.random.default_rng(0)).items()}
    own, partner = cells(before)
    for at in np.ndindex(2, 6):
        quiet, spurt = before["quiet"][at], before["spurt"][at]
        ages = [np.digitize(age / 50, hazard.AGE_EDGES_SECONDS) for age in (before["own_age"][at], quiet or spurt + 1)]
        assert own[at] == before["gate"][at] * hazard.N_AGES + ages[0]
        assert partner[at] == (quiet == 0) * hazard.N_AGES + ages[1]


def test_the_counted_tier_is_the_table_and_nothing_else():
    rng = np.random.default_rng(0)
    tier = CountedTier(mel_bands=3)
    tier.build()
    tier.table.assign(rng.standard_normal(tier.table.shape))
    role, before = tf.constant([1, 0]), _heard(rng)
    own, partner = cells(before)
    context, toggle, state = tier(before, role, tier.initial_state(2))
    np.testing.assert_allclose(toggle, tier.table.numpy()[role.numpy()[:, None], own, partner], rtol=1e-5)
    assert context.shape == (2, 6, 0) and state == () and not tier.trainable_variables


def _heard(rng) -> dict:
    ages = {key: tf.constant(rng.integers(1, 99, (2, 6)), tf.int32) for key in ("own_age", "spurt")}
    return {
        **ages,
        "gate": tf.constant(rng.integers(0, 2, (2, 6)), tf.float32),
        "quiet": tf.constant(rng.integers(0, 2, (2, 6)) * rng.integers(1, 99, (2, 6)), tf.int32),
        "mel": tf.constant(rng.standard_normal((2, 6, 3)), tf.float32),
        "prosody": tf.constant(rng.standard_normal((2, 6, prosody.N_FEATURES)), tf.float32),
    }
