"""What there is to look at of a Tacotron's attention, in dialogue and reading."""

import numpy as np
import pytest
import tensorflow as tf

from tests.zoo import subjects
from tests.zoo.test_tacotron_parts import SMALLEST
from zoo.tacotron import pictures


@pytest.fixture(scope="module")
def seen():
    model = subjects.tiny("tacotron", **SMALLEST)
    subjects.shake(model)
    return model, subjects.clip(model.config)


def test_the_focus_rate_is_one_of_one_entry_and_least_of_all_alike():
    """FastSpeech's (Ren et al. 2019, section 3.3)."""
    one, alike = tf.one_hot([[0, 3, 1]], 4), tf.fill([1, 3, 4], 0.25)
    counts = tf.constant([[True, True, False]])
    assert pictures.focus_rate(one, counts) == 1.0
    assert pictures.focus_rate(alike, counts) == pytest.approx(0.25)
    assert pictures.focus_rate(tf.concat([one[:, :1], alike[:, :2]], axis=1), counts) == pytest.approx(0.625)


def test_an_alignment_goes_up_with_the_entries_and_right_with_time():
    shown = pictures.alignment(tf.one_hot([0, 1, 2], 3)).numpy()
    assert shown.shape[0] == shown.shape[1] and shown.shape[2] == 1 and shown.min() == 0 and shown.max() == 1
    assert shown[-1, 0] == 1 and shown[0, -1] == 1 and shown[0, 0] == 0


def test_in_dialogue_the_attention_is_that_of_the_frames_one_after_the_other(seen):
    model, batch = seen
    shares = model.attention(batch).numpy()
    frames = batch["activity"].shape[2]
    assert shares.shape == (2, frames, model.config.memory_frames)
    np.testing.assert_allclose(shares.sum(axis=-1), 1.0, atol=1e-5)
    # In the first frame nothing was heard before it; the whole at once ends where its frames one by one do.
    np.testing.assert_allclose(shares[:, 0, -1], 1.0, atol=1e-5)
    state = model.initial_state(2, tf.constant([0, 1]), tf.constant([1, 2]))
    own, partner, gate = batch["audio"][0], batch["audio"][0, ::-1], batch["activity"][0]
    _, state = model.observe(own, gate, partner, state)
    np.testing.assert_allclose(shares[:, -1], state["dialogue"]["attention"]["steps"]["alignment"], atol=1e-4)


def test_in_dialogue_there_is_a_picture_and_a_figure(seen):
    model, batch = seen
    shown = model.pictures(batch)["alignment"].numpy()
    assert shown.shape == (4 * model.config.memory_frames, 4 * batch["activity"].shape[2], 1)
    assert 1.0 / model.config.memory_frames < model.diagnostics(batch)["focus_rate"] <= 1.0
