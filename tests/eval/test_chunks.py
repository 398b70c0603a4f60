import numpy as np
import pytest

from datasets.dialogue import Dialogue
from datasets.errors import InputError
from eval import chunks


def make_dialogue(name="d", seconds=150.0, roles=("giver", "follower")):
    speech = np.array([[10.0, 70.0], [70.1, 71.0]]), np.array([[80.0, 81.0]])
    return Dialogue(name, "test", seconds, speech, roles=roles)


def test_chunks_are_consecutive_and_the_remainder_is_not_used():
    spans = chunks.chunk_list([make_dialogue(seconds=179.9), make_dialogue("e", 59.0)])
    assert [(span.dialogue, span.start_seconds, span.seconds) for span in spans] == [("d", 0, 60), ("d", 60, 60)]


def test_every_prompted_chunk_has_its_own_prompt():
    spans = chunks.chunk_list([make_dialogue(seconds=180.0)], prompt_seconds=30)
    assert [(span.start_seconds, span.prompt_seconds, span.index) for span in spans] == [(30, 30, 0), (120, 30, 1)]


def test_ipus_are_cut_at_the_ends_of_a_chunk():
    first, second = chunks.dialogue_chunks([make_dialogue()], "giver")
    np.testing.assert_allclose(first.own_ipus, [[10, 60]])
    np.testing.assert_allclose(second.own_ipus, [[0, 11]])
    np.testing.assert_allclose(second.partner_ipus, [[20, 21]])


def test_the_role_finds_its_channel():
    first, second = (
        chunks.dialogue_chunks([make_dialogue(roles=roles)], "giver")[1]
        for roles in (("giver", "follower"), ("follower", "giver"))
    )
    np.testing.assert_array_equal(first.own_ipus, second.partner_ipus)
    np.testing.assert_array_equal(first.partner_ipus, second.own_ipus)


def test_a_whole_dialogue_is_one_chunk():
    (whole,) = chunks.whole_dialogues([make_dialogue()], "follower")
    assert whole.seconds == 150 and whole.n_frames == 7500
    assert chunks.spans_of([whole], 30) == chunks.chunk_list([make_dialogue()], 30)
    np.testing.assert_array_equal(whole.activity().sum(axis=1), [50, 3050])


def test_a_chunk_bridges_and_refuses_what_is_outside():
    chunk = chunks.Chunk("d", 0, 0.0, 10.0, [[0, 1], [1.1, 2]], [])
    np.testing.assert_allclose(chunk.own_ipus, [[0, 2]])
    with pytest.raises(InputError, match="d, chunk 3, partner_ipus: .* ends at 10 s"):
        chunks.Chunk("d", 3, 0.0, 10.0, [], [[0, 11]])


def test_a_chunk_of_an_unknown_dialogue_is_refused():
    with pytest.raises(InputError, match="e: a chunk of it is wanted"):
        chunks.dialogue_chunks([make_dialogue()], "giver", [chunks.Span("e", 0, 0.0)])
