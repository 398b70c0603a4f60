import dataclasses

import numpy as np
import pytest

from datasets import hazard
from datasets.dialogue import Dialogue
from datasets.errors import InputError
from eval import coordination
from eval.chunks import Chunk
from tests.eval.simulated_chunks import in_chunks, simulated_wholes

TABLES = hazard.maptask_tables()["follower"]


@pytest.fixture(scope="module")
def chunks():
    return in_chunks(simulated_wholes(8))


def test_llr_per_chunk_is_that_of_the_hazard(chunks):
    expected = [hazard.llr(TABLES, *chunk.activity()) for chunk in chunks]
    np.testing.assert_allclose(coordination.llr_per_chunk(TABLES, chunks), expected)


def test_llr_of_chunks_of_different_length(chunks):
    mixed = [chunks[0], dataclasses.replace(chunks[1], seconds=90.0), chunks[2]]
    expected = [hazard.llr(TABLES, *chunk.activity()) for chunk in mixed]
    np.testing.assert_allclose(coordination.llr_per_chunk(TABLES, mixed), expected)


def test_dllr_is_above_zero_for_a_listener_and_about_zero_for_the_deaf(chunks):
    rng = np.random.default_rng(0)
    deaf = [
        dataclasses.replace(chunk, own_ipus=other.own_ipus)
        for chunk, other in zip(chunks, chunks[3:] + chunks[:3], strict=True)
    ]
    assert coordination.dllr_per_chunk(TABLES, chunks, rng).mean() > 0.15
    assert abs(coordination.dllr_per_chunk(TABLES, deaf, rng).mean()) < 0.06


def test_leaving_one_out_equals_fitting_on_the_others():
    wholes, groups = simulated_wholes(4, 60.0), [1, 1, 2, 3]
    bits = frames = 0
    for group in (1, 2, 3):
        inside = [whole for whole, each in zip(wholes, groups, strict=True) if each == group]
        outside = [whole.activity() for whole, each in zip(wholes, groups, strict=True) if each != group]
        tables = hazard.fit_tables(outside)
        bits += sum(hazard.llr(tables, *whole.activity()) * whole.n_frames for whole in inside)
        frames += sum(whole.n_frames for whole in inside)
    assert coordination.leave_one_out_llr(wholes, groups) == pytest.approx(bits / frames)


def test_leaving_one_out_needs_two_groups():
    with pytest.raises(InputError, match="needs two"):
        coordination.leave_one_out_llr(simulated_wholes(2, 10.0), [1, 1])


def test_groups_are_quads_where_they_are_known():
    dialogue = Dialogue("d", "train", 1.0, (np.zeros((0, 2)), np.zeros((0, 2))))
    with_quad = dataclasses.replace(dialogue, info={"quad": 3})
    assert coordination.groups_of([dialogue, with_quad]) == ["d", 3]


def make_chunk(own, partner):
    return Chunk("d", 0, 0.0, 30.0, np.array(own, float).reshape(-1, 2), np.array(partner, float).reshape(-1, 2))


# Partner IPU ends at 2 (shift: the human starts at 2.4), 6 (hold), 9 (too short until the next), 12 (the human speaks
# already), 16 (shift after .7 s) and 25 (no next one).
PARTNER = [[0, 2], [4, 6], [8, 9], [9.4, 12], [14, 16], [20, 25]]
HUMAN = make_chunk([[2.4, 3], [11.5, 12.5], [16.7, 17]], PARTNER)


def test_selectivity_of_the_human():
    found = coordination.selectivity([HUMAN], [HUMAN])
    assert (found.shifts, found.holds, found.answered_shifts, found.answered_holds) == (2, 1, 1, 0)
    assert found.value == 0.5


def test_selectivity_of_others():
    always = make_chunk([[2.1, 3], [6.1, 7], [12.1, 13], [16.5, 17]], PARTNER)
    found = coordination.selectivity([HUMAN], [always])
    assert (found.answered_shifts, found.answered_holds, found.value) == (2, 1, 0)
    # Speaking already at 6: that hold is skipped.
    found = coordination.selectivity([HUMAN], [make_chunk([[5.5, 7]], PARTNER)])
    assert (found.shifts, found.holds) == (2, 0) and np.isnan(found.value)
    silent = coordination.selectivity([HUMAN], [make_chunk([], PARTNER)])
    assert silent.value == 0


def test_selectivity_needs_the_same_places():
    with pytest.raises(InputError, match="not the stretch"):
        coordination.selectivity([HUMAN], [dataclasses.replace(HUMAN, start_seconds=60.0)])


def test_selectivity_of_a_partner_who_says_nothing():
    silent = make_chunk([[1, 2]], [])
    assert np.isnan(coordination.selectivity([silent], [silent]).value)


def test_onset_hazard():
    # Ends at 2, 6, 9, 16 and 25 with the human silent: starts after .4 and .7 s; the rest wait until the partner goes
    # on after 2, .4 and (to the end) 5 s.
    curve = coordination.onset_hazard([HUMAN], np.array([0, 0.5, 1.0, 1.5, 4.0]))
    np.testing.assert_allclose(curve, [1 / 5, 1 / 3, 0, 0])
    assert np.isnan(coordination.onset_hazard([HUMAN], np.array([10.0, 20.0]))[0])
