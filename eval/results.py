"""What a comparison leaves: tables on the terminal, scores.json, scores.csv and the page."""

import dataclasses
import datetime
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import soundfile

from datasets import activity, files, turns
from datasets.dialogue import ROLE_PAIRS
from datasets.errors import InputError
from eval import closed_loop, profile, protocol, report, score_files, table
from eval.audio import columns
from eval.audio.rows import AudioTable
from eval.chunks import CHUNK_SECONDS, PROMPT_SECONDS
from eval.comparison import Settings, Table, Words
from eval.gallery import Excerpt
from eval.table import Column, Row

LEAD = (
    "Each row takes one side of a held-out dialogue. It is given 30 seconds of both real channels, then hears the real"
    " partner, 20 ms at a time, and decides for 60 seconds when to speak."
)
PEERS = (
    "dGSLM's events of both speakers, Full-Duplex-Bench's takeover rate and latency (with its sign), SyncLLM's"
    " correlations with the human of the same chunk: from the events above, for readers who know those numbers."
)
TEXT, MARKDOWN = "text", "md"
EXCERPTS = "excerpts"


@dataclasses.dataclass(frozen=True, eq=False)
class Found:
    """All tables of a comparison; what was not compared is empty or None."""

    tables: Mapping[str, Table]
    words: Words | None
    duets: Table | None
    sounds: Mapping[str, AudioTable]


def say(title: str, rows: Sequence[Row], choices: Sequence[Column], notes: Sequence[str], style: str) -> None:
    """Prints one table, as text or as Markdown."""
    names, scores = [row.name for row in rows], [row.scores for row in rows]
    if style == MARKDOWN:
        print("\n".join(["", f"**{title}**", "", table.markdown(names, scores, choices)]))
        print("".join(f"\n- {note}" for note in notes))
        return
    print("\n".join(["", title, "", table.render(names, scores, choices), *(["", *notes] if notes else [])]))


def say_all(found: Found, style: str = TEXT) -> None:
    """Prints the tables of a comparison."""
    for role, part in found.tables.items():
        say(f"{role}, {under(part)}", part.rows, table.COLUMNS, [], style)
        if role in found.sounds:
            say_sound(role, found.sounds[role], style)
    if found.duets:
        say(duet_title(found.duets), found.duets.rows, table.COLUMNS, [], style)
    if found.words:
        _say_words(found.words, style)


def say_sound(role: str, part: AudioTable, style: str = TEXT) -> None:
    """Prints how the rows sound as one role."""
    say(f"sound as {role}, {part.under()}", part.rows, columns.columns(), part.notes, style)


def _say_words(words: Words, style: str) -> None:
    title, lines = "word timings, whole channels, no prompt", _statistics(words)
    if style == MARKDOWN:
        print("\n".join(["", f"**{title}**", "", table.markdown_lines([["", "human"], *lines])]))
    else:
        width = max(len(name) for name, _ in lines)
        print("\n".join(["", title, "", *(f"{name:<{width}}  {text}" for name, text in lines)]))
    for role, part in words.tables.items():
        say(f"{role}, {under(part)}", part.rows, table.COLUMNS, [], style)


def _statistics(words: Words) -> list[tuple[str, str]]:
    pair = next(pair for pair in ROLE_PAIRS if set(words.tables) & set(pair))
    return turns.statistics_text(words.statistics, pair)


def under(part: Table) -> str:
    """What a reader has to know of a table of timing."""
    n_dialogues = len({chunk.dialogue for chunk in part.reference.chunks})
    prompt = f", each after {part.reference.prompt_seconds:g} s of prompt" if part.reference.prompt_seconds else ""
    models = [row.scores["n_chunks"] for row in part.rows if row.kind == "model" and "n_chunks" in row.scores]
    answered = f", models on {models[0]} of them" if models else ""
    return (
        f"{n_dialogues} dialogues, {len(part.reference.chunks)} x {CHUNK_SECONDS:g} s{prompt}{answered}; speech by"
        f" {part.reference.detector}; draws of {part.reference.draw_chunks}, 95 % intervals by dialogue; rows whose TTR"
        f" differ by less than {part.shown_ttr:.2f} are ties"
    )


def write(corpus, models, settings: Settings, found: Found) -> dict[str, Any]:
    """Writes scores.json, scores.csv and, where something was played, report.html; returns the content of the first."""
    scores = _scores(corpus, models, settings, found)
    files.write_json(settings.out / "scores.json", protocol.json_ready(scores))
    _write_csv(settings.out / "scores.csv", found)
    if found.tables:
        report.write_report(
            settings.out / "report.html",
            lead=LEAD,
            kicker=f"{corpus.name}, {settings.split}",
            rows_by_role={role: part.rows for role, part in found.tables.items()},
            under={role: under(part) for role, part in found.tables.items()},
            sounds=found.sounds,
            appendix=_appendix(found),
            provenance=provenance(scores),
        )
    return scores


def _scores(corpus, models, settings: Settings, found: Found) -> dict[str, Any]:
    return {
        "protocol": protocol.VERSION,
        "corpus": corpus.key(),
        "split": settings.split,
        "detector": settings.detector,
        "detector_version": activity.detector_key(settings.detector),
        "seed": settings.seed,
        "draws": settings.draws,
        "prompt_seconds": PROMPT_SECONDS,
        "chunk_seconds": CHUNK_SECONDS,
        "chunks_per_dialogue": settings.chunks_per_dialogue,
        "models": {model.name: model.fingerprint for model in models},
        "roles": {role: _table_scores(part, settings.out, role) for role, part in found.tables.items()},
        "closed_loop": found.duets and _table_scores(found.duets),
        "audio": {role: part.content() for role, part in found.sounds.items()},
        "words": found.words and {
            "statistics": found.words.statistics,
            "roles": {role: _table_scores(part) for role, part in found.words.tables.items()},
        },
        "software": score_files.software(),
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }  # fmt: skip


def _table_scores(part: Table, out: pathlib.Path | None = None, role: str = "") -> dict[str, Any]:
    return {
        "reference": part.reference.describe(),
        "under": under(part),
        "chunks": [[span.dialogue, span.start_seconds, span.seconds] for span in part.spans],
        "smallest_ttr_difference": part.shown_ttr,
        "rows": [
            {"name": row.name, "kind": row.kind, "scores": row.scores, "per_dialogue": list(row.per_dialogue)}
            | {"timing": profile.content(row.ftos, row.onset_hazard, row.floor)}
            | {"excerpt": _keep(row.excerpt, out, f"{EXCERPTS}/{role}-{i:02d}.flac") if out and row.excerpt else None}
            for i, row in enumerate(part.rows)
        ],
    }


def _keep(excerpt: Excerpt, out: pathlib.Path, name: str) -> dict[str, Any]:
    """Writes the sound of an excerpt, own channel left, and says where it is."""
    stereo = np.stack([excerpt.own_audio, excerpt.partner_audio], axis=1).clip(-1, 1)
    with files.replacing(out / name) as part:
        soundfile.write(part, stereo, excerpt.sample_rate, subtype="PCM_16", format="FLAC")
    own, partner = (np.round(each, 4).tolist() for each in (excerpt.own, excerpt.partner))
    return {"file": name, "own": own, "partner": partner, "note": excerpt.note}


def read_row(found: Mapping[str, Any], folder: pathlib.Path | None) -> Row:
    """A row of a score file, with what is drawn and played of it if that lies in `folder`.

    Raises:
        InputError: the sound cannot be read.
        KeyError, TypeError, ValueError: the file is not one of ours.
    """
    ftos, onsets, floor = profile.from_content(found.get("timing"))
    excerpt = None
    if folder is not None and found.get("excerpt"):
        excerpt = _read_excerpt(found["excerpt"], folder)
    return Row(
        found["name"], found["kind"], found["scores"], ftos, excerpt, found["per_dialogue"], (), onsets, floor
    )  # fmt: skip


def _read_excerpt(found: Mapping[str, Any], folder: pathlib.Path) -> Excerpt:
    path = folder / found["file"]
    try:
        stereo, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, soundfile.LibsndfileError) as error:
        raise InputError(f"{path}: cannot be read, and is not in the gallery; it belongs beside scores.json") from error
    if stereo.shape[1] != 2:
        raise InputError(f"{path}: has {stereo.shape[1]} channels, and an excerpt has two: own left, partner right")
    own, partner = (np.array(found[side], float).reshape(-1, 2) for side in ("own", "partner"))
    return Excerpt(stereo[:, 0], stereo[:, 1], own, partner, rate, found["note"])


def _write_csv(path: pathlib.Path, found: Found) -> None:
    parts = [("open loop", found.tables), ("word timings", found.words.tables if found.words else {})]
    parts += [("closed loop", {protocol.BOTH: found.duets})] if found.duets else []
    parts += [("audio", found.sounds)]
    lines = [
        csv_line(name, role, row) for name, of_role in parts for role, part in of_role.items() for row in part.rows
    ]
    score_files.write_csv(path, lines)


def csv_line(part: str, role: str, row: Row) -> dict[str, Any]:
    """A row of scores.csv."""
    return {"part": part, "role": role, "row": row.name, "kind": row.kind, **row.scores}


def duet_title(duets: Table) -> str:
    """What a reader has to know of the closed loop."""
    flagged = ", ".join(closed_loop.flagged(duets))
    warned = f"; {flagged}: nearer to a training dialogue than humans are, perhaps by replay" if flagged else ""
    return f"closed loop, two copies of each model, both speakers together; {under(duets)}{warned}"


def _appendix(found: Found) -> list[dict[str, Any]]:
    duets, words = found.duets, found.words
    blocks = [_block("Two copies of each model", duet_title(duets), duets, table.COLUMNS)] if duets else []
    for role, part in found.tables.items():
        blocks.append(_block(f"As other papers count, as {role}", PEERS, part, table.PEER_COLUMNS))
    if words:
        blocks.append(
            {
                "title": "Word timings",
                "under": "The annotated words of whole channels, no prompt, no detector.",
                "head": ["", "human"],
                "rows": [list(line) for line in _statistics(words)],
            }
        )
        for role, part in words.tables.items():
            blocks.append(_block(f"Word timings, as {role}", under(part), part, table.COLUMNS))
    return blocks


def _block(title: str, under: str, part: Table, choices: Sequence[table.Column]) -> dict[str, Any]:
    columns = table.columns_of([row.scores for row in part.rows], choices)
    return {
        "title": title,
        "under": under,
        "head": ["", *(column.title for column in columns)],
        "rows": [[row.name, *(column.text(row.scores) for column in columns)] for row in part.rows],
    }


def provenance(scores: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Where the numbers of a score file come from, for the page."""
    corpus = ", ".join(f"{name} {value}" for name, value in scores["corpus"].items())
    models = ", ".join(f"{name} ({digest[:12]})" for name, digest in scores["models"].items())
    return [
        ("protocol", f"version {scores['protocol']}"),
        ("corpus", f"{corpus}; {scores['split']}"),
        ("detector", scores["detector"]),
        ("seed", str(scores["seed"])),
        ("models", models or "none"),
        ("software", ", ".join(f"{name} {version}" for name, version in scores["software"].items())),
        ("made", f"{scores['created']} by python -m eval.compare"),
        ("numbers", "scores.json and scores.csv beside this page, with floors, chunk lists and rows by dialogue"),
    ]
