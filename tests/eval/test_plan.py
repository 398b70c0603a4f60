import dataclasses

import numpy as np
import pytest

from datasets import hazard
from datasets.dialogue import cut
from datasets.errors import InputError
from eval import plan, planning, protocol, reference, shape
from eval.chunks import Chunk
from tests.eval.simulated_chunks import in_chunks, simulated_wholes

FEW = dict(sets=30, set_draws=10)


@pytest.fixture(scope="module")
def humans():
    wholes = simulated_wholes(16)
    return protocol.Reference(in_chunks(wholes), hazard.maptask_tables()["follower"], "follower", floor_draws=200)


def shown(humans, n_chunks, seed=0):
    return planning.smallest_difference(humans, n_chunks, np.random.default_rng(seed), **FEW)


def test_more_dialogue_shows_more(humans):
    ten, hour = shown(humans, 10), shown(humans, 60)
    assert 0 < hour < 0.8 * ten < 0.7


def test_it_is_what_two_sets_of_one_speaker_differ_by(humans):
    """A plain reference: bootstrap sets of ten chunks, one by one; of the human, and of the human who is late."""
    rng, shown_by_speaker = np.random.default_rng(5), []
    for late in (0.0, planning.LATE_SECONDS):
        moved = [dataclasses.replace(c, own_ipus=cut(c.own_ipus + late, 0, c.seconds)) for c in humans.chunks]
        table, llr, ttrs = shape.EventTable(moved), humans.llr_of(moved), []
        for _ in range(60):
            (chosen,) = protocol.draw(humans.chunks, 10, 1, rng, repeated=True)
            others = np.setdiff1d(np.arange(len(moved)), chosen)
            m = shape.shape_score(shape.distance(table.pool(chosen), humans.events.pool(others)), humans.floors)
            ttrs.append(m * np.clip(llr[chosen].mean() / humans.llr_human, 0, 1))
        shown_by_speaker.append(np.percentile([abs(a - b) for i, a in enumerate(ttrs) for b in ttrs[:i]], 95))
    assert shown(humans, 10) == pytest.approx(max(shown_by_speaker), rel=0.4)


def test_the_figure_depends_on_the_seed_alone(humans):
    assert shown(humans, 20) == shown(humans, 20) != shown(humans, 20, seed=1)


@pytest.mark.parametrize("minutes", [0.05, 9.9, 0, -1, float("nan")])
def test_less_than_a_draw_is_refused_with_what_a_draw_shows(minutes):
    with pytest.raises(InputError, match=f"too short: .* no difference of TTR below {reference.DRAW_SHOWS_TTR}"):
        planning.check_minutes(minutes, "--minutes")


def test_three_seconds_are_refused_with_the_planners_figure(humans):
    chunk = Chunk("d0", 0, 0.0, 3.0, np.array([[0.5, 1.0]]), np.array([[1.2, 2.0]]))
    with pytest.raises(InputError, match="3 s of dialogue are too short: .* below 0.56"):
        protocol.score(humans, [chunk], np.random.default_rng(0))


def test_flags_are_checked():
    assert plan._minutes(["10", "30.5"]) == [10, 30.5]
    with pytest.raises(InputError, match="--minutes=ten"):
        plan._minutes(["ten"])
    with pytest.raises(InputError, match="--minutes=0.05: 3 s of dialogue are too short"):
        plan._minutes(["0.05"])


def test_the_figure_in_the_errors_is_the_planners(maptask_dir):
    from datasets import corpora
    from datasets.corpora import maptask

    corpus = maptask.MapTask(corpora.Options(data_dir=maptask_dir))
    humans = planning.corpus_reference(corpus, "follower", "test", "annotations")
    found = planning.smallest_difference(humans, 10, np.random.default_rng(0))
    assert found == pytest.approx(reference.DRAW_SHOWS_TTR, abs=0.05)
