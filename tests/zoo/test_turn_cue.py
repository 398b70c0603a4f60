"""Who speaks next, by how the partner ended: the layer, the examples, and a rule that it must find."""

import numpy as np
import pytest
import tensorflow as tf

from tests.zoo import subjects
from zoo import hearing, prosody, turn_cue, turn_statistics

ROWS, FRAMES = 2, 40


@pytest.fixture
def cue():
    layer = turn_cue.TurnCue(6)
    layer.build()
    layer.share.assign(np.random.default_rng(0).normal(size=layer.share.shape))
    return layer


def before(seed=0):
    rng = np.random.default_rng(seed)
    quiet = rng.integers(0, 3, (ROWS, FRAMES)) * rng.integers(1, 30, (ROWS, FRAMES))
    return {
        "gate": tf.constant(rng.integers(0, 2, (ROWS, FRAMES)), tf.float32),
        "own_age": tf.constant(rng.integers(1, 90, (ROWS, FRAMES)), tf.int32),
        "quiet": tf.constant(quiet, tf.int32),
        "spurt": tf.constant(quiet + rng.integers(1, 90, (ROWS, FRAMES)), tf.int32),
        "prosody": tf.constant(rng.normal(size=(ROWS, FRAMES, prosody.N_FEATURES)), tf.float32),
    }


def change(cue, heard):
    own, partner = hearing.cell(heard["gate"], heard["own_age"]), hearing.partner_cell(heard["quiet"], heard["spurt"])
    return cue(heard, own, partner, tf.constant([0, 1])).numpy()


def test_a_cue_that_has_learned_nothing_leaves_the_table_alone(cue):
    np.testing.assert_array_equal(change(cue, before()), 0.0)


def test_it_speaks_up_in_silence_alone_and_never_promises_more_than_certainty(cue):
    cue.out.kernel.assign(np.random.default_rng(1).normal(size=cue.out.kernel.shape))
    heard = before()
    found, silent = change(cue, heard), (heard["gate"].numpy() == 0) & (heard["quiet"].numpy() > 0)
    assert silent.any() and (found[~silent] == 0).all() and (found[silent] != 0).all()
    own, partner = hearing.cell(heard["gate"], heard["own_age"]), hearing.partner_cell(heard["quiet"], heard["spurt"])
    share = cue.share.numpy()[np.array([[0], [1]]), own, partner]
    # P(own next) cannot be more than one: the hazard grows at most by the inverse of the counted share.
    assert (found <= np.log1p(np.exp(-share)) + 1e-5).all()


def test_the_next_speaker_is_the_one_found_frame_by_frame():
    rng = np.random.default_rng(3)
    gate, partner = (rng.random((4, 60)) < 0.2 for _ in range(2))
    found = turn_statistics.next_speaker(gate, partner)
    for row in range(4):
        for t in range(60):
            wanted = -1
            if not (gate[row, t] or partner[row, t]):
                later = [u for u in range(t, 60) if gate[row, u] or partner[row, u]]
                if later and gate[row, later[0]] != partner[row, later[0]]:
                    wanted = int(gate[row, later[0]])
            assert found[row, t] == wanted, (row, t)


def test_nobody_is_next_where_nobody_speaks_again():
    nothing = np.zeros((1, 5), bool)
    assert (turn_statistics.next_speaker(nothing, nothing) == -1).all()


def ruled_batch(model, loud_means_shift, seed=0):
    """The partner ends each spurt loud or fading; the own speaker takes up after one kind, and stays silent else."""
    config, rng = model.config, np.random.default_rng(seed)
    frames, spurt, silence = 480, 16, 14
    activity, sound = np.zeros((1, 2, frames), np.float32), np.zeros((1, 2, frames * config.hop), np.float32)
    at = 0
    while at + spurt + silence + 24 < frames:
        fades = rng.random() < 0.5
        level = np.where(np.arange(spurt) >= spurt - 5, 0.03 if fades else 0.2, 0.2).repeat(config.hop)
        end = at + spurt
        activity[0, 1, at:end] = 1
        sound[0, 1, at * config.hop : end * config.hop] = level * rng.standard_normal(spurt * config.hop)
        if fades != loud_means_shift:
            activity[0, 0, end + silence : end + silence + 10] = 1
        at = end + silence + (24 if fades != loud_means_shift else 0)
    return {
        "audio": tf.constant(sound.clip(-1, 1)),
        "activity": tf.constant(activity),
        "mask": tf.ones([1, frames]),
        "role": tf.constant([[0, 1]]),
        "voice": tf.constant([[1, 2]]),
    }


@pytest.mark.parametrize("loud_means_shift", [True, False])
def test_a_rule_in_the_sound_is_found(loud_means_shift):
    model = subjects.tiny(**{**subjects.SMALLEST_WAVENET, "cue_channels": 8})
    subjects.count(model)
    batches = [ruled_batch(model, loud_means_shift, seed) for seed in range(12)]
    saved = turn_statistics.fit(model, batches, seed=0)
    assert saved > 0.3
    again = subjects.tiny(**{**subjects.SMALLEST_WAVENET, "cue_channels": 8})
    subjects.count(again)
    assert turn_statistics.fit(again, batches, seed=0) == saved


def test_without_a_silence_there_is_nothing_to_fit():
    model = subjects.tiny(**{**subjects.SMALLEST_WAVENET, "cue_channels": 8})
    subjects.count(model)
    batch = ruled_batch(model, True)
    assert turn_statistics.fit(model, [{**batch, "activity": tf.zeros_like(batch["activity"])}], seed=0) == 0.0


def test_a_model_may_do_without():
    model = subjects.tiny(**{**subjects.SMALLEST_WAVENET, "cue_channels": 0})
    assert model.dialogue.cue is None and not [w for w in model.weights if "cue" in w.path]
