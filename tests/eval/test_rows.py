import numpy as np
import pytest

from datasets import dialogue, hazard
from datasets.errors import InputError
from eval import rows
from eval.chunks import Chunk, Span
from tests.eval.simulated_chunks import simulated_wholes

TABLES = hazard.maptask_tables()["follower"]
TRAIN = simulated_wholes(3, 60.0, seed=9)
WHOLE = simulated_wholes(1)[0]
BACKGROUND = rows.Background(TABLES, TRAIN)


def run(name, whole=WHOLE, background=BACKGROUND, seed=0):
    return rows.ROWS[name](whole, background, np.random.default_rng(seed))


@pytest.mark.parametrize("name", rows.ROWS)
def test_every_row_gives_intervals_inside_the_dialogue(name):
    for whole in (WHOLE, Chunk("quiet", 0, 0.0, 30.0, np.zeros((0, 2)), np.zeros((0, 2)))):
        dialogue.validate_intervals(run(name, whole), whole.seconds, name)


@pytest.mark.parametrize("name", rows.ROWS)
def test_rows_are_a_function_of_the_seed_and_the_determined_ones_of_nothing(name):
    np.testing.assert_array_equal(run(name, seed=1), run(name, seed=1))
    same = np.array_equal(run(name, seed=1), run(name, seed=2))
    assert same == (name in rows.DETERMINED)


def test_time_out_by_hand():
    partner = [[0, 1], [1.5, 2], [5, 6], [6.4, 8], [20, 21]]
    whole = Chunk("d", 0, 0.0, 24.0, np.zeros((0, 2)), partner)
    train = Chunk("t", 0, 0.0, 10.0, [[0, 2.5]], [])
    own = rows.timeout(0.7)(whole, rows.Background(TABLES, [train]), np.random.default_rng(0))
    # After 1 and 6 the partner goes on too soon; after 21 the own speech is cut at the end.
    np.testing.assert_allclose(own, [[2.7, 5.2], [8.7, 11.2], [21.7, 24.0]])


def test_time_out_waits_until_it_has_been_silent_for_the_bridge():
    whole = Chunk("d", 0, 0.0, 20.0, np.zeros((0, 2)), [[0, 1], [2, 3], [4, 5]])
    train = Chunk("t", 0, 0.0, 10.0, [[0, 3.9]], [])
    own = rows.timeout(0.2)(whole, rows.Background(TABLES, [train]), np.random.default_rng(0))
    np.testing.assert_allclose(own, [[1.2, 5.1]])


def test_rotation_keeps_all_speech():
    intervals = np.array([[0.0, 1.0], [4.0, 6.0], [9.0, 10.0]])
    np.testing.assert_allclose(rows.rotate(intervals, 5, 10), [[0, 1], [4, 5], [5, 6], [9, 10]])
    assert np.diff(run("shifted")).sum() == pytest.approx(np.diff(WHOLE.own_ipus).sum())


def test_replay_goes_round():
    whole = Chunk("d", 0, 0.0, 25.0, [], [])
    train = Chunk("t", 0, 0.0, 10.0, [[1, 2]], [])
    own = rows.replayed(whole, rows.Background(TABLES, [train]), np.random.default_rng(0))
    np.testing.assert_allclose(own, [[1, 2], [11, 12], [21, 22]])


def test_talks_in_silence_is_the_complement():
    whole = Chunk("d", 0, 0.0, 10.0, [], [[0, 1], [4, 6]])
    np.testing.assert_allclose(run("talks_in_silence", whole), [[1, 4], [6, 10]])


def test_delays_are_cut_at_the_end():
    whole = Chunk("d", 0, 0.0, 10.0, [[0, 1], [9.2, 10]], [])
    np.testing.assert_allclose(run("delayed_500", whole), [[0.5, 1.5], [9.7, 10]])
    np.testing.assert_allclose(run("delayed_1000", whole), [[1, 2]])


def test_jitter_moves_onsets_and_keeps_lengths():
    own = np.arange(0, 3000, 30.0)[:, None] + [5.0, 8.0]
    moved = run("jittered", Chunk("d", 0, 0.0, 3000.0, own, []))
    np.testing.assert_allclose(np.diff(moved), 3)
    offsets = moved[:, 0] - own[:, 0]
    assert 0.2 < offsets.std() < 0.4 and abs(offsets.mean()) < 0.1


def test_the_hazard_sampler_goes_on_from_every_real_prompt():
    spans = [Span(WHOLE.dialogue, i, 90.0 * i + 30, 60.0, 30.0) for i in range(2)] + [
        Span("other", 0, 30.0, 60.0, 30.0)
    ]
    background = rows.Background(TABLES, spans=spans)
    own = dialogue.activity(rows.hazard_sampler(WHOLE, background, np.random.default_rng(7)), WHOLE.n_frames)
    real = WHOLE.activity()[0]
    for start in (0, 90):
        prompt = slice(start * 50, (start + 30) * 50)
        np.testing.assert_array_equal(own[prompt], real[prompt])
        answered = slice((start + 30) * 50, (start + 90) * 50)
        assert (own[answered] != real[answered]).any()


@pytest.mark.parametrize("name", ["timeout_700", "replayed"])
def test_rows_that_need_train_dialogues_say_so(name):
    with pytest.raises(InputError, match="needs train dialogues"):
        run(name, background=rows.Background(TABLES))


def test_time_outs_need_speech_to_take_lengths_from():
    silent = Chunk("t", 0, 0.0, 10.0, [], [])
    with pytest.raises(InputError, match="needs speech"):
        run("timeout_200", background=rows.Background(TABLES, [silent]))
