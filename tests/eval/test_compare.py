"""The comparison from end to end, on a small corpus and with an agent whose answers are known."""

import csv
import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from datasets.errors import InputError
from eval import compare, comparison, detection, open_loop
from eval.agents import Response
from eval.chunks import Span
from eval.comparison import Settings

ROOT = pathlib.Path(__file__).parents[2]
FAST = {"draws": 10, "floor_draws": 30, "plan_sets": 10, "roles": ("follower",)}
ROWS = ["human", "hazard sampler", "own channel shifted", "time-out 700 ms"]


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """One comparison with an agent: (folder, the content of scores.json, the agent)."""
    from datasets import corpora
    from tests.eval.conftest import Sampler, Talk

    folder = tmp_path_factory.mktemp("compared")
    corpus = Talk(corpora.Options(cache_dir=folder / "cache", sample_rate=8000), has_words=True)
    agent = Sampler()
    compare.compare(corpus, [agent], Settings(folder / "out", **FAST))
    return folder / "out", json.loads((folder / "out" / "scores.json").read_text()), agent


def rows_of(scores, part="roles"):
    table = scores["roles"] if part == "roles" else scores["words"]["roles"]
    return {row["name"]: row["scores"] for row in table["follower"]["rows"]}


def test_rows_and_their_scores(compared):
    rows = rows_of(compared[1])
    assert list(rows) == ["sampler", *ROWS]
    assert rows["sampler"]["gate_obedience"] > 0.97
    assert rows["sampler"]["llr"] > 0 >= rows["sampler"]["swap_llr"]
    assert rows["sampler"]["swap_changed"] > 0.1
    assert rows["own channel shifted"]["ttr"] == 0 and rows["human"]["m"] > 0.9
    assert rows["time-out 700 ms"]["fto_median"] == pytest.approx(0.7, abs=0.03)
    assert rows["time-out 700 ms"]["overlap_share"] == 0
    assert 0 <= rows["human"]["ttr_low"] <= rows["human"]["ttr"] <= rows["human"]["ttr_high"] <= 1


def test_reference_rows_equal_those_of_the_protocol(compared, talk):
    """The words' rows, against the protocol asked directly."""
    from eval import coordination, protocol
    from eval.chunks import whole_dialogues

    corpus = talk(has_words=True)
    train, test = ([corpus.load(n, audio=False) for n in names] for names in detection.names(corpus, "test"))
    wholes, train_wholes = whole_dialogues(test, "follower"), whole_dialogues(train, "follower")
    reference = protocol.make_reference(
        wholes, train_wholes, coordination.groups_of(train), "follower", floor_draws=FAST["floor_draws"]
    )
    direct = protocol.reference_rows(reference, wholes, train_wholes, names=("hazard",), draws=FAST["draws"])
    ours = rows_of(compared[1], "words")["hazard sampler"]
    assert ours["ttr"] == pytest.approx(direct["hazard"]["ttr"]) and ours["llr"] == pytest.approx(
        direct["hazard"]["llr"]
    )


def test_scores_say_where_they_come_from(compared):
    scores = compared[1]
    assert scores["protocol"] == 1 and scores["detector"] == "energy" and scores["seed"] == 0
    assert scores["models"] == {"sampler": "sampler sampler"} and "numpy" in scores["software"]
    assert len(scores["roles"]["follower"]["chunks"]) == 12
    assert scores["roles"]["follower"]["chunks"][0] == ["test-0", 30.0, 60.0]
    per_dialogue = scores["roles"]["follower"]["rows"][0]["per_dialogue"]
    assert [row["dialogue"] for row in per_dialogue] == [f"test-{i}" for i in range(12)]


def test_csv_has_the_same_rows(compared):
    folder, scores, _ = compared
    with (folder / "scores.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["row"] for line in lines] == ["sampler", *ROWS, *ROWS]
    assert {line["part"] for line in lines} == {"open loop", "word timings"}
    assert float(lines[0]["ttr"]) == pytest.approx(rows_of(scores)["sampler"]["ttr"])


def test_keeps_the_sound(compared):
    sound, rate = soundfile.read(compared[0] / "audio" / "sampler" / "follower" / "test-3-00.flac")
    assert rate == 8000 and sound.shape == (60 * 8000, 2)
    assert len(list((compared[0] / "audio" / "sampler" / "follower-swapped").glob("*.flac"))) == 12


def test_answers_all_chunks_of_a_dialogue_that_are_asked_for(talk):
    spans = [Span("a", 0, 30.0, 60.0, 30.0), Span("a", 1, 120.0, 60.0, 30.0), Span("b", 0, 30.0, 60.0, 30.0)]
    swapped = open_loop.places("giver", spans, swap=True)
    assert [place.heard.dialogue for place in swapped] == ["b", "b", "a"]
    assert [place.heard for place in open_loop.places("giver", spans)] == spans


def test_prompt_ends_where_the_chunk_begins(talk):
    corpus, span = talk(), Span("test-1", 0, 30.0, 60.0, 30.0)
    place, other = open_loop.places("follower", [span, Span("test-2", 0, 30.0, 60.0, 30.0)], swap=True)
    audio = corpus.load("test-1").audio
    own, partner, heard = open_loop.prompt_and_partner(place, corpus.load)
    np.testing.assert_array_equal(own, audio[1, : 30 * 8000])
    np.testing.assert_array_equal(partner, audio[0, : 30 * 8000])
    np.testing.assert_array_equal(heard, corpus.load("test-2").audio[0, 30 * 8000 : 90 * 8000])
    assert other.heard == span


def test_goes_on_after_a_kill(talk, sampler, tmp_path, monkeypatch):
    monkeypatch.setattr(open_loop, "GROUP_SIZE", 8)
    settings = Settings(tmp_path, **FAST)
    with pytest.raises(KeyboardInterrupt):
        comparison.compare_sound(talk(), [sampler(fails_after=8)], settings)
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.flac")}
    assert len(kept) == 8
    again = sampler()
    first = comparison.compare_sound(talk(), [again], settings)["follower"].rows[0]
    assert again.answered == 4 + 12  # The group of 8 was there; the rest, and the swapped, were not.
    assert all(path.stat().st_mtime_ns == time for path, time in kept.items())
    third = sampler()
    second = comparison.compare_sound(talk(), [third], settings)["follower"].rows[0]
    assert third.answered == 0
    assert first.scores == pytest.approx(second.scores, nan_ok=True)


def test_another_agent_or_seed_is_asked_anew(talk, sampler, tmp_path):
    place = open_loop.places("follower", [Span("test-1", 0, 30.0, 60.0, 30.0)])
    corpus, bar = talk(), type("Bar", (), {"update": lambda self, n: None})()

    def asked(agent, seed):
        open_loop.generate(agent, place, corpus.load, tmp_path, seed, corpus.key(), bar)
        return agent.answered

    assert [asked(sampler(), 0), asked(sampler(), 0), asked(sampler(), 1), asked(sampler("other"), 1)] == [1, 0, 1, 1]


def test_refuses_an_answer_that_is_no_sound(talk, sampler, tmp_path, monkeypatch):
    agent, corpus = sampler(), talk()
    place = open_loop.places("follower", [Span("test-1", 0, 30.0, 60.0, 30.0)])
    answer = Response(np.full(60 * 8000, np.nan, np.float32))
    monkeypatch.setattr(agent, "respond_batch", lambda *inputs, **options: [answer])
    with pytest.raises(InputError, match="not finite"):
        open_loop.generate(agent, place, corpus.load, tmp_path, 0, corpus.key(), None)
    assert not list(tmp_path.iterdir())


def test_without_runs_the_reference_rows_stand_alone(talk, tmp_path, capsys):
    scores = compare.compare(talk(has_words=True, has_audio=False), [], Settings(tmp_path, **FAST))
    out = capsys.readouterr().out
    assert all(name in out for name in ROWS) and "FTO n; mean / median" in out
    assert scores["roles"] == {} and not (tmp_path / "report.html").exists()


def test_shifted_sound_is_where_the_row_says(talk, tmp_path):
    rows = {row.name: row for row in comparison.compare_sound(talk(), [], Settings(tmp_path, **FAST))["follower"].rows}
    excerpt = rows["own channel shifted"].excerpt
    from datasets import activity
    from datasets.dialogue import activity as frames_of
    from datasets.dialogue import bridge

    heard = frames_of(bridge(activity.detect(excerpt.own_audio, 8000)), 3000)
    assert np.mean(heard == frames_of(excerpt.own, 3000)) > 0.98


def test_bad_input_is_named(talk, sampler, tmp_path):
    with pytest.raises(InputError, match="has 8000 Hz and sampler speaks at 16000 Hz"):
        compare.compare(talk(), [sampler(sample_rate=16000)], Settings(tmp_path))
    with pytest.raises(InputError, match="no sound to play"):
        compare.compare(talk(has_audio=False), [sampler()], Settings(tmp_path))
    with pytest.raises(InputError, match="--split=train"):
        compare.compare(talk(), [], Settings(tmp_path, split="train"))
    with pytest.raises(InputError, match="10 different dialogues"):
        compare.compare(talk(), [], Settings(tmp_path, split="validation"))
    with pytest.raises(InputError, match="no role 'Giver'"):
        compare._roles(["Giver"], ("giver", "follower"))


def run_command(tmp_path, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "eval.compare", *arguments],
        cwd=tmp_path, env={"PYTHONPATH": str(ROOT), "PATH": "", "HOME": str(tmp_path)}, capture_output=True, text=True,
    )  # fmt: skip


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["--runs=nowhere"], "nowhere: no such folder"),
        (["--corpus=maptsk"], "did you mean maptask?"),
        (["--corpus=maptask", "--data_dir=nowhere"], "nowhere"),
        (["--corpus=simulated", "--out=/proc/nothing"], "cannot write there"),
    ],
)
def test_bad_flags_end_in_one_line(tmp_path, arguments, said):
    done = run_command(tmp_path, *arguments)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and said in done.stderr


def test_no_tensorflow_without_a_model(tmp_path):
    code = (
        "import sys, pathlib, eval.compare, eval.report, eval.agents, eval.gallery\n"
        "from datasets import corpora\n"
        "from eval import compare, comparison\n"
        "from tests.eval.conftest import Sampler, Talk\n"
        f"folder = pathlib.Path({str(tmp_path)!r})\n"
        "corpus = Talk(corpora.Options(cache_dir=folder, sample_rate=8000))\n"
        "settings = comparison.Settings(folder / 'out', draws=2, floor_draws=5, plan_sets=3, roles=('giver',))\n"
        "compare.compare(corpus, [], settings)\n"
        "import eval.norms, eval.plan, eval.prompts, eval.reproduce, eval.score\n"
        "from eval.recordings import Recordings\n"
        "(folder / 'mine' / 'giver').mkdir(parents=True)\n"
        "for i in range(12):\n"
        "    (folder / 'mine' / 'giver' / f'test-{i}-00.rttm').touch()\n"
        "settings = comparison.Settings(folder / 'out', detector='annotations', draws=2, floor_draws=5, plan_sets=3,\n"
        "                               roles=('giver',))\n"
        "compare.compare(corpus, [Recordings(folder / 'mine')], settings)\n"
        "assert eval.agents.find_runs(folder) == ([], [])\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'tensorflow', 'keras'}))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
