import copy
import json

import pytest

from datasets.errors import InputError
from eval import compare, score_files


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
        "models": {name: "x" for name, _ in models},
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
    compare.merge(paths, tmp_path / "out")
    out = capsys.readouterr().out
    assert "rows whose TTR differ by less than 0.20 are ties" in out and "one" in out and "two" in out
    assert json.loads((tmp_path / "out" / "scores.json").read_text())["merged"] == paths
    assert (tmp_path / "out" / "scores.csv").read_text().count("\n") == 4
    assert before == [json.loads(open(path).read()) for path in paths]
