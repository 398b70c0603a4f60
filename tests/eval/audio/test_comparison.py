"""Sound in `eval.compare`: the table, the files and the page."""

import csv
import json

import numpy as np
import pytest
import soundfile

from eval import compare, comparison
from eval.audio import features
from eval.comparison import Settings
from eval.recordings import Recordings
from tests.eval.audio import test_score

FAST = {"draws": 5, "floor_draws": 20, "plan_sets": 5, "roles": ("follower",), "audio": True}


@pytest.fixture
def measured(monkeypatch):
    """Features that are made up from the sound and the damage; the list of what was asked for."""
    asked = []

    def measure(audio, sample_rate, speech, damage, seed, rate):
        asked.append(damage)
        rng = np.random.default_rng(abs(int(audio.sum() * 1e6)))
        worse = {"clean": 0.0, "gated noise": 3.0}.get(damage, 0.5)
        found = test_score.features(rng, shift=worse, voiced=0.7 - worse / 5)
        return found | ({"blocks": np.zeros((0, 50), np.uint16)} if damage == "clean" else {})

    monkeypatch.setattr(features, "measure", measure)
    monkeypatch.setattr(features, "_FEWEST_FOR_WORKERS", 10**6)
    return asked


def write_answers(folder, talk, rate=8000, broken=None):
    """What the real followers say, from their own dialogues."""
    corpus = talk()
    for name in corpus.names("test"):
        dialogue = corpus.load(name)
        own = dialogue.audio[1, 30 * 8000 : 90 * 8000]
        if name == broken:
            own = own[:1]
        path = folder / "follower" / f"{name}-00.own.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, own, rate, subtype="FLOAT")
    return Recordings(folder)


@pytest.mark.slow
def test_table_files_and_page(talk, tmp_path, measured, capsys):
    models = [write_answers(tmp_path / "mine", talk)]
    scores = compare.compare(talk(), models, Settings(tmp_path / "out", **FAST))
    out = capsys.readouterr().out
    assert out.index("time-out 700 ms") < out.index("sound as follower, 12 chunks of 12 dialogues")
    assert "babble quality" in out and "Griffin-Lim copy" in out
    table = scores["audio"]["follower"]
    assert [row["name"] for row in table["rows"]][:2] == ["mine", "human"]
    assert table["rows"][0]["scores"]["ttr"] == scores["roles"]["follower"]["rows"][0]["scores"]["ttr"]
    assert len(table["rows"][0]["per_dialogue"]) == 12 and table["reference"]["sample_rate"] == 8000
    assert json.loads((tmp_path / "out" / "scores.json").read_text())["audio"]["follower"]["reference"]["clips"] == 12
    with (tmp_path / "out" / "scores.csv").open(newline="") as file:
        lines = [line for line in csv.DictReader(file) if line["part"] == "audio"]
    assert [line["row"] for line in lines][:2] == ["mine", "human"] and float(lines[1]["babble_quality"]) == 100
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "How it sounds" in page and page.count('class="dot"') > 10 and "100 percent from noise" in page
    again = len(measured)
    compare.compare(talk(), models, Settings(tmp_path / "out", **FAST))
    assert len(measured) == again == 12 * 7


def test_without_the_flag_there_is_no_sound(talk, tmp_path, measured):
    scores = compare.compare(talk(), [], Settings(tmp_path, **FAST | {"audio": False}))
    assert scores["audio"] == {} and not measured
    assert "How it sounds" not in (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_lower_rate_than_the_corpus_is_a_line(talk, tmp_path, measured):
    corpus = talk(sample_rate=16000)
    models = [write_answers(tmp_path / "low", talk), write_answers(tmp_path / "high", talk)]
    scores = compare.compare(corpus, models, Settings(tmp_path / "out", **FAST))
    notes = scores["audio"]["follower"]["notes"]
    assert [note for note in notes if note.startswith("low: not measured: its sound has 8000 Hz")]
    assert [row["name"] for row in scores["audio"]["follower"]["rows"]][:2] == ["low", "high"]


def test_one_broken_folder_leaves_the_others(talk, tmp_path, capsys):
    good, bad = write_answers(tmp_path / "good", talk), write_answers(tmp_path / "bad", talk, broken="test-3")
    found = comparison.compare_sound(talk(), [bad, good], Settings(tmp_path / "out", **FAST))["follower"]
    assert [row.name for row in found.rows if row.kind == "model"] == ["good"] and len(found.rows[0].clips) == 12
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "left out" in line]
    assert line.startswith("bad as follower: left out: ") and "test-3-00.own.wav: lasts 0.00 s" in line
