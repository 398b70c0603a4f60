"""Two copies of an agent: what they do is sampled from the tables that humans were, or replayed from training."""

import numpy as np
import pytest

from datasets import hazard
from datasets.dialogue import intervals_from_activity
from datasets.errors import InputError
from eval import closed_loop, compare, results
from eval.agents import Response
from eval.comparison import Settings
from tests.conftest import noise_bursts
from tests.eval.conftest import ROLES, Sampler, Talk

FAST = {"draws": 8, "floor_draws": 40, "plan_sets": 8, "roles": ("follower",)}


class Duettist(Sampler):
    """Samples both sides."""

    def __init__(self, name="duettist", fails_after=None):
        super().__init__(name)
        self.made, self._stops = 0, fails_after

    def duet(self, seconds, seed, progress=None):
        if self._stops is not None and self.made >= self._stops:
            raise KeyboardInterrupt
        self.made += 1
        rng = np.random.default_rng(seed)
        gates = self.gates(round(seconds * 50), rng)
        if progress:
            progress(round(seconds * 50))
        return tuple(Response(noise_bursts(intervals_from_activity(gate), seconds, 8000, rng), gate) for gate in gates)

    def gates(self, n_frames, rng):
        return hazard.sample_dialogue(hazard.maptask_tables(), n_frames, rng, ROLES)


class Parrot(Duettist):
    """Replays train dialogues."""

    def __init__(self, corpus):
        super().__init__("parrot")
        self._corpus = corpus

    def gates(self, n_frames, rng):
        real = self._corpus.load(f"train-{rng.integers(24)}", audio=False)
        return np.stack([real.ipu_activity(channel)[:n_frames] for channel in (0, 1)])


class Deaf(Duettist):
    """Each side samples alone."""

    def gates(self, n_frames, rng):
        tables = hazard.maptask_tables()
        return np.stack([hazard.sample_alone(tables[role], n_frames, rng) for role in ROLES])


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    from datasets import corpora

    folder = tmp_path_factory.mktemp("duets")
    corpus = Talk(corpora.Options(cache_dir=folder / "cache", sample_rate=8000))
    agents = [Duettist(), Parrot(corpus), Deaf("deaf")]
    return closed_loop.compare_duets(corpus, agents, Settings(folder, **FAST), 10.0)


def test_joint_statistics_tell_who_listens(table):
    rows = {row.name: row.scores for row in table.rows}
    assert list(rows) == ["duettist", "parrot", "deaf", "human", "two hazard samplers", "one channel shifted"]
    assert rows["duettist"]["ttr"] > 0.4 > 0.1 > rows["deaf"]["ttr"]
    assert rows["one channel shifted"]["ttr"] < 0.1 and rows["human"]["ttr"] > 0.6
    assert rows["duettist"]["llr"] > 0 > rows["deaf"]["llr"]
    assert rows["duettist"]["n_chunks"] == 10 and np.isnan(rows["duettist"]["selectivity"])
    assert rows["human"]["speech"] == pytest.approx(rows["duettist"]["speech"], abs=0.1)


def test_replay_is_flagged(table):
    rows = {row.name: row.scores for row in table.rows}
    assert rows["parrot"]["memorised"] > 0.95 and rows["parrot"]["ttr"] > 0.4
    assert rows["duettist"]["memorised"] < 0.7
    assert closed_loop.flagged(table) == ["parrot"]
    assert "parrot: nearer to a training dialogue than humans are" in results.duet_title(table)


def test_goes_on_after_a_kill(tmp_path, talk):
    settings = Settings(tmp_path, **FAST)
    with pytest.raises(KeyboardInterrupt):
        closed_loop.compare_duets(talk(), [Duettist(fails_after=4)], settings, 10.0)
    again = Duettist()
    closed_loop.compare_duets(talk(), [again], settings, 10.0)
    assert again.made == 6 and len(list((tmp_path / "audio" / "duettist" / "duet").glob("*.flac"))) == 10


def test_it_is_part_of_a_comparison(tmp_path, talk):
    scores = compare.compare(talk(), [Duettist()], Settings(tmp_path, **FAST), minutes=10.0)
    rows = scores["closed_loop"]["rows"]
    assert rows[0]["name"] == "duettist" and "memorised" in rows[0]["scores"]
    assert scores["closed_loop"]["reference"]["role"] == "both"
    assert "Two copies of each model" in (tmp_path / "report.html").read_text()
    assert "closed loop,both,duettist" in (tmp_path / "scores.csv").read_text()


@pytest.mark.parametrize("minutes, expected", [(60, (12, 300)), (10, (10, 60)), (15, (10, 120)), (120, (24, 300))])
def test_at_least_ten_duets_of_whole_minutes(minutes, expected):
    assert closed_loop.lengths(minutes) == expected


def test_too_little_and_no_duet_at_all(tmp_path, talk):
    with pytest.raises(InputError, match="--minutes=5: 300 s of dialogue are too short"):
        closed_loop.lengths(5.0)
    with pytest.raises(InputError, match="sampler cannot talk to itself"):
        closed_loop.compare_duets(talk(), [Sampler()], Settings(tmp_path, **FAST), 10.0)
