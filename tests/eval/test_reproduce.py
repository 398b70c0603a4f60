import numpy as np
import pytest

from datasets import corpora
from datasets.corpora import maptask
from datasets.errors import InputError
from eval import reproduce, shape


def test_a_check_holds_within_its_tolerance_only():
    assert reproduce.Check("x", 1.0, 1.01, 0.01).holds
    assert not reproduce.Check("x", 1.0, 1.02, 0.01).holds
    assert reproduce.Check("x", 1.0, 1.014, 0.01, rounding=0.005).holds
    line = reproduce.Check("x", 1.0, 1.02, 0.01).line()
    assert "+2.0%" in line and line.endswith("outside")
    assert not reproduce.Check("x", 0.0, float("nan"), 0.01).holds


@pytest.mark.parametrize("published, rounding", [(0.46, 0.005), (37.3, 0.05), (12681, 0.5), (0.1, 0.05)])
def test_rounding_is_half_of_the_last_digit(published, rounding):
    assert reproduce._rounding(published) == pytest.approx(rounding)


def test_every_floor_and_row_is_published_once():
    for floors in reproduce.FLOORS.values():
        assert len(floors) == len(shape.DISTANCES)
    assert reproduce.SECTION_2["train"].keys() == reproduce.SECTION_2["test"].keys()


def test_without_data_it_says_what_is_wanted(monkeypatch, capsys):
    monkeypatch.delenv("MAPTASK_DIR", raising=False)
    with pytest.raises(InputError, match="--data_dir"):
        reproduce.main(None)
    assert capsys.readouterr().out == ""


def test_section_2_holds_on_map_task(maptask_dir):
    corpus = maptask.MapTask(corpora.Options(data_dir=maptask_dir))
    real = [corpus.load(name) for name in corpus.names()]
    test = [dialogue for dialogue in real if dialogue.split == "test"]
    train = [dialogue for dialogue in real if dialogue.split != "test"]
    found = [*reproduce.check_statistics("train", train), *reproduce.check_statistics("test", test)]
    found += reproduce.check_human_distances(train, test, np.random.default_rng(0))
    assert len(found) > 60
    assert [check.line() for check in found if not check.holds] == []
