import copy
import json
import pathlib
import re

import numpy as np
import pytest
import soundfile

from datasets.errors import InputError
from eval import merged, profile, score_files


def scores(*models, **changed):
    """The content of a small scores.json, of models given as (name, TTR)."""
    rows = [{"name": name, "kind": "model", "scores": {"ttr": ttr}, "per_dialogue": []} for name, ttr in models]
    rows += [{"name": "human", "kind": "human", "scores": {"ttr": 0.85}, "per_dialogue": []}]
    table = {
        "reference": {"protocol": 1, "detector": "silero", "floors": {"w1_fto": 0.2}},
        "chunks": [["d0", 30.0, 60.0]],
        "smallest_ttr_difference": 0.2,
        "rows": rows,
    }
    content = {
        "protocol": 1, "detector": "silero", "corpus": {"corpus": "talk"}, "split": "test", "seed": 0, "draws": 400,
        "prompt_seconds": 30.0, "chunk_seconds": 60.0, "chunks_per_dialogue": 1, "roles": {"follower": table},
        "models": {name: "x" for name, _ in models}, "software": {"numpy": "1"}, "created": "2020-01-01",
    }  # fmt: skip
    return content | changed


@pytest.fixture
def written(tmp_path):
    def write(name, content):
        path = tmp_path / name / "scores.json"
        path.parent.mkdir()
        path.write_text(json.dumps(content))
        return str(path)

    return write


def test_one_table_of_two_comparisons(written):
    merged = score_files.merge([written("a", scores(("one", 0.8))), written("b", scores(("two", 0.4), ("one", 0.5)))])
    rows = {row["name"]: row["scores"] for row in merged["roles"]["follower"]["rows"]}
    assert list(rows) == ["one", "two", "one (b)", "human"]
    assert {name: each["rank"] for name, each in rows.items()} == {"one": 1, "human": 1, "one (b)": 3, "two": 3}


@pytest.mark.parametrize(
    "changed, said",
    [
        ({"protocol": 2}, "differ in protocol version (2 and 1)"),
        ({"detector": "energy"}, 'differ in detector ("energy" and "silero")'),
        ({"corpus": {"corpus": "other"}}, "differ in corpus"),
        ({"detector_version": {"version": 2}}, "differ in version of the detector"),
        ({"seed": 1}, "differ in seed (1 and 0)"),
        ({"split": "validation"}, "differ in split"),
        ({"chunks_per_dialogue": 2}, "differ in number of chunks of a dialogue (2 and 1)"),
    ],
)
def test_what_is_not_comparable_is_refused(written, changed, said):
    with pytest.raises(InputError) as caught:
        score_files.merge([written("a", scores(("one", 0.8))), written("b", scores(("two", 0.4), **changed))])
    assert said in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("key, value", [("chunks", [["d1", 30.0, 60.0]]), ("reference", {"floors": {"w1_fto": 0.3}})])
def test_other_chunks_or_floors_are_refused(written, key, value):
    other = scores(("two", 0.4))
    other["roles"]["follower"][key] = value
    with pytest.raises(InputError, match=f"{key} as follower|list of chunks as follower"):
        score_files.merge([written("a", scores(("one", 0.8))), written("b", other)])


def test_other_files_are_named(written, tmp_path):
    good = written("a", scores(("one", 0.8)))
    with pytest.raises(InputError, match="nowhere.json: cannot be read"):
        score_files.merge([good, str(tmp_path / "nowhere.json")])
    with pytest.raises(InputError, match="not a scores.json"):
        score_files.merge([good, written("b", {"roles": {"follower": []}})])
    with pytest.raises(InputError, match="not a scores.json"):
        score_files.merge([good, written("c", [1])])


def test_nothing_is_ranked_below_the_floor():
    rows = [{"ttr": 0.80}, {"ttr": 0.65}, {"ttr": 0.59}, {"ttr": None}, {}]
    score_files.rank(rows, 0.2)
    assert [row.get("rank") for row in rows] == [1, 1, 2, None, None]


def test_the_command_prints_and_writes_the_table(written, tmp_path, capsys):
    paths = [written("a", scores(("one", 0.8))), written("b", scores(("two", 0.4)))]
    before = copy.deepcopy([json.loads(open(path).read()) for path in paths])
    merged.merge(paths, tmp_path / "out")
    out = capsys.readouterr().out
    assert "rows whose TTR differ by less than 0.20 are ties" in out and "one" in out and "two" in out
    assert json.loads((tmp_path / "out" / "scores.json").read_text())["merged"] == paths
    assert (tmp_path / "out" / "scores.csv").read_text().count("\n") == 4
    assert before == [json.loads(open(path).read()) for path in paths]


def with_sound(content, *names, notes=(), **reference):
    """The score file with an audio table of some models and humans."""
    rows = [
        {"name": name, "kind": "human" if name == "human" else "model", "per_dialogue": [],
         "scores": {"babble_quality": 70.0, "frechet_mel": 2.0, "frechet_mel_percent": 70.0}}
        for name in (*names, "human")
    ]  # fmt: skip
    about = {"clips": 3, "dialogues": 3, "speech_seconds": 60.5, "sample_rate": 8000, "left_out": [], "version": 2}
    return content | {"audio": {"follower": {"rows": rows, "notes": list(notes), "reference": about | reference}}}


def test_sound_is_merged_too(written, tmp_path, capsys):
    clipped = "one: clipped: 3 % of the samples"
    paths = [
        written("a", with_sound(scores(("one", 0.8)), "one")),
        written(
            "b", with_sound(scores(("two", 0.4), ("one", 0.5)), "two", "one", notes=[clipped], left_out=["phones"])
        ),
    ]
    found = merged.merge(paths, tmp_path / "out")["audio"]["follower"]
    assert [row["name"] for row in found["rows"]] == ["one", "two", "one (b)", "human"]
    assert found["notes"] == ["one (b): clipped: 3 % of the samples"]
    out = capsys.readouterr().out
    assert out.index("sound as follower, 3 chunks of 3 dialogues, 60 s") < out.index("Frechet, log-mel")
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "How it sounds" in page and "one (b): clipped" in page and "70 percent from noise" in page
    lines = (tmp_path / "out" / "scores.csv").read_text().splitlines()
    assert sum(line.startswith("audio,follower") for line in lines) == 4


def test_sound_of_one_file_alone_is_kept(written):
    plain, sound = scores(("one", 0.8)), with_sound(scores(("one", 0.5)), "one")
    found = score_files.merge([written("a", plain), written("b", sound)])
    assert [row["name"] for row in found["audio"]["follower"]["rows"]] == ["one (b)", "human"]
    assert score_files.merge([written("c", plain), written("d", plain)])["audio"] == {}


@pytest.mark.parametrize("other", [{"speech_seconds": 61.0}, {"version": 3}, {"embeddings": {"mel": "1"}}])
def test_sound_beside_other_speech_is_left_out_with_a_note(written, other):
    paths = [
        written("a", with_sound(scores(("one", 0.8)), "one")),
        written("b", with_sound(scores(("two", 0.4)), "two", **other)),
    ]
    found = score_files.merge(paths)
    assert [row["name"] for row in found["roles"]["follower"]["rows"]] == ["one", "two", "human"]
    assert [row["name"] for row in found["audio"]["follower"]["rows"]] == ["one", "human"]
    (note,) = found["audio"]["follower"]["notes"]
    said = "its sound as follower was measured beside another reference"
    assert note == f"{paths[1]}: {said} ({next(iter(other))} differ): left out"


@pytest.mark.parametrize("key, value", [("rows", [{"name": "one"}]), ("reference", {}), ("notes", None)])
def test_an_audio_table_that_is_none_is_named(written, key, value):
    broken = with_sound(scores(("one", 0.8)), "one")
    broken["audio"]["follower"][key] = value
    with pytest.raises(InputError, match="a/scores.json: not a scores.json"):
        score_files.merge([written("a", broken)])


def excerpt(folder):
    """A row's excerpt as a score file has it, with its sound in `folder`."""
    sound = np.random.default_rng(0).uniform(-0.5, 0.5, (8000, 2))
    (folder / "excerpts").mkdir()
    soundfile.write(folder / "excerpts" / "0.flac", sound, 8000, subtype="PCM_16")
    return {"file": "excerpts/0.flac", "own": [[0.1, 0.4]], "partner": [[0.5, 0.8]], "note": "a note"}


def timing():
    return profile.content(np.array([0.2, -0.1]), np.linspace(0, 1, 20), np.array([0.2, 0.4, 0.3, 0.1]))


def test_a_merged_page_draws_and_plays_what_lies_beside_the_files(written, tmp_path, capsys):
    first, second = scores(("one", 0.8)), scores(("two", 0.4))
    paths = [written("a", first), written("b", second)]
    for content, path in ((first, paths[0]), (second, paths[1])):
        for row in content["roles"]["follower"]["rows"]:
            row["timing"] = timing()
        content["roles"]["follower"]["rows"][0]["excerpt"] = excerpt(pathlib.Path(path).parent)
        pathlib.Path(path).write_text(json.dumps(content))
    merged.merge(paths, tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert page.count('class="card model"') == 2 and page.count('class="card human"') == 1
    assert page.count('class="voice model"') == 2 and page.count('class="voice partner"') == 1
    assert "a note" in page
    (tmp_path / "b" / "excerpts" / "0.flac").write_bytes(b"no sound")
    capsys.readouterr()
    merged.merge(paths, tmp_path / "out")
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "b/excerpts/0.flac: cannot be read, and is not in the gallery" in err
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert page.count('class="voice model"') == 1 and page.count('class="card model"') == 2
    # What was merged can be merged again.
    again = merged.merge([str(tmp_path / "out" / "scores.json")], tmp_path / "again")
    assert [row["name"] for row in again["roles"]["follower"]["rows"]] == ["one", "two", "human"]


def test_timing_that_is_none_is_named(written, tmp_path):
    content = scores(("one", 0.8))
    content["roles"]["follower"]["rows"][0]["timing"] = timing() | {"onset_hazard": [0.5]}
    with pytest.raises(InputError, match="a/scores.json: row one: not as written"):
        merged.merge([written("a", content)], tmp_path / "out")


def test_the_table_as_markdown(written, tmp_path, capsys):
    content = with_sound(scores(("o|ne", 0.8)), "o|ne", notes=["o|ne: clipped"])
    merged.merge([written("a", content)], tmp_path / "out", style="md")
    out = capsys.readouterr().out
    lines = out.strip().splitlines()
    assert lines[0] == "**follower; rows whose TTR differ by less than 0.20 are ties**"
    assert lines[2:6] == ["|  | TTR | rank |", "|:---|---:|---:|", "| o\\|ne | 0.80 | 1 |", "| human | 0.85 | 1 |"]
    assert "| o\\|ne | 70 | 2.0 70% |" in re.sub(r" - \|", "", out) and lines[-1] == "- o|ne: clipped"
