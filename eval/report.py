"""The page of a comparison: one self-contained HTML file, no network, with sound and pictures for every row."""

import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2
import numpy as np

from datasets import files
from eval import figures, gallery
from eval.audio import columns, scale
from eval.audio.rows import AudioTable
from eval.table import COLUMNS, HEADLINE, HEADLINES, Column, Row, columns_of

# What the sound of all rows together may take of a page that stays below 15 MB with its pictures.
AUDIO_BUDGET_BYTES = 9_000_000
_TTR = next(column for column in COLUMNS if column.key == HEADLINE)
_BY_DIALOGUE = (
    "fto_median",
    "overlap_share",
    "ipu_per_min",
    "llr",
    "dllr",
    "selectivity",
    "speech_seconds",
    "f0_median",
)
_TEMPLATES = pathlib.Path(__file__).parent / "templates"
_LOSSY = "The sound of this page is MP3: near the real samples, which lie in excerpts/ beside scores.json."


def write_report(
    path: str | os.PathLike,
    lead: str,
    kicker: str,
    rows_by_role: Mapping[str, Sequence[Row]],
    under: Mapping[str, str],
    sounds: Mapping[str, AudioTable],
    appendix: Sequence[Mapping[str, Any]],
    provenance: Sequence[tuple[str, Any]],
) -> None:
    """Writes the page.

    Args:
        path: the HTML file.
        lead: what was compared, a sentence or two.
        kicker: the line above the title, such as the corpus.
        rows_by_role: for each role the rows in order; the one of kind "human" is what the others are drawn over.
        under: for each role the line below its heading.
        sounds: for each role whose sound was scored, that table.
        appendix: further tables, each with title, under, head and rows of texts.
        provenance: names and values.
    """
    parts = [_part(role, rows, under[role], sounds.get(role)) for role, rows in rows_by_role.items()]
    _add_galleries(parts, rows_by_role)
    glossary = columns_of([row.scores for rows in rows_by_role.values() for row in rows])
    if sounds:
        scored = [row.scores for table in sounds.values() for row in table.rows]
        glossary += [column for column in columns_of(scored, columns.columns()) if column.key != HEADLINE]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES), autoescape=True, trim_blocks=True, undefined=jinja2.StrictUndefined
    )
    page = environment.get_template("report.html").render(
        title=f"babblezoo: {kicker}",
        kicker=kicker,
        lead=lead,
        parts=parts,
        appendix=appendix,
        glossary=glossary,
        provenance=provenance,
    )
    with files.replacing(path) as part:
        part.write_text(page, encoding="utf-8")


def _part(role: str, rows: Sequence[Row], under: str, sound: AudioTable | None) -> dict[str, Any]:
    # The headline comes first: on a phone the rest has to be scrolled to.
    shown = sorted(columns_of([row.scores for row in rows]), key=lambda column: column.key != HEADLINE)
    return {
        "role": role,
        "under": under,
        "table": _table(shown, rows),
        "human": _human_interval(rows),
        "timing": _timing(rows),
        "dialogues": _by_dialogue(rows, COLUMNS),
        "sound": None if sound is None else _sound(sound),
        "gallery": None,
    }


def _sound(sound: AudioTable) -> dict[str, Any]:
    choices = columns.columns()
    drawn = [row for row in sound.rows if any(column.percent_of(row.scores) is not None for column in choices)]
    proxies = [column for column in choices if any(column.percent_of(row.scores) is not None for row in drawn)]
    models = [row for row in drawn if row.kind == "model"] or drawn
    return {
        "under": sound.under(),
        "notes": sound.notes,
        "table": _table(columns_of([row.scores for row in sound.rows], choices), sound.rows),
        "dialogues": _by_dialogue(sound.rows, choices),
        "proxies": figures.proxies_svg(proxies, models) if proxies else None,
        "drawn": [(row.name, *figures.row_mark(i)) for i, row in enumerate(models)],
    }


def _table(shown: Sequence[Column], rows: Sequence[Row]) -> dict[str, Any]:
    return {
        "columns": shown,
        "rows": [
            {"name": row.name, "kind": row.kind, "cells": [_cell(column, row.scores) for column in shown]}
            for row in rows
        ],
    }


def _cell(column: Column, scores: Mapping[str, Any]) -> dict[str, Any]:
    """A number as text and to sort by; where it lies between noise (0) and speech (100); the interval of a headline."""
    value = scores.get(column.key)
    value = float(value) if value is not None and np.isfinite(value) else None
    percent = value if column.key == scale.HEADLINE else column.percent_of(scores)
    interval = column.interval(scores) if column.key in HEADLINES and value is not None else None
    return {"text": column.text(scores), "value": value, "percent": percent, "interval": interval}


def _human_interval(rows: Sequence[Row]) -> tuple[float, float]:
    return next((_TTR.interval(row.scores) for row in rows if row.kind == "human"), None) or (0.0, 0.0)


def _timing(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The figures of every row whose timing is known, over the human row."""
    drawn = [row for row in rows if row.floor is not None]
    human = next((row for row in drawn if row.kind == "human"), None)
    if human is None:
        return []
    return [
        {
            "name": row.name,
            "kind": row.kind,
            "figures": [
                {"title": title, "label": f"{title} of {row.name}", "svg": figures.svg(draw, 2.9, height, box)}
                for title, draw, height, box in figures.timing_figures(row, human)
            ],
        }
        for row in drawn
    ]


def _by_dialogue(rows: Sequence[Row], choices: Sequence[Column]) -> dict[str, Any] | None:
    """A line for each dialogue of each row."""
    lines = [(row, scores) for row in rows for scores in row.per_dialogue]
    wanted = [column for column in choices if column.key in _BY_DIALOGUE]
    shown = columns_of([scores for _, scores in lines], wanted)
    if not lines or not shown:
        return None
    return {
        "columns": shown,
        "rows": [
            {
                "name": row.name,
                "kind": row.kind,
                "dialogue": scores["dialogue"],
                "cells": [_cell(column, scores) for column in shown],
            }
            for row, scores in lines
        ],
    }


def _add_galleries(parts: Sequence[dict[str, Any]], rows_by_role: Mapping[str, Sequence[Row]]) -> None:
    """What is played and shown of each part, all of one length and one codec."""
    shown = {role: [row for row in rows if row.excerpt is not None] for role, rows in rows_by_role.items()}
    channels = {role: gallery.voices([row.excerpt for row in rows]) for role, rows in shown.items() if rows}
    addresses, codec, seconds = gallery.in_budget([each for of in channels.values() for each in of], AUDIO_BUDGET_BYTES)
    for part in parts:
        if part["role"] not in channels:
            continue
        of_role, rows = channels[part["role"]], shown[part["role"]]
        mine, addresses = addresses[: len(of_role)], addresses[len(of_role) :]
        partner = {"name": "partner", "kind": "partner", "ttr": "", "note": "The real one, in the other ear."}
        part["gallery"] = {
            "content": gallery.content(of_role, mine, seconds),
            "note": "" if codec is gallery.FLAC else _LOSSY,
            "rows": [
                partner,
                *(
                    {"name": row.name, "kind": row.kind, "ttr": _TTR.text(row.scores), "note": row.excerpt.note}
                    for row in rows
                ),
            ],
        }
