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
from eval.gallery import Excerpt
from eval.table import COLUMNS, HEADLINE, Column, Row, columns_of

# What the sound of all rows together may take of a page that stays below 15 MB with its pictures.
AUDIO_BUDGET_BYTES = 10_000_000
_EXCERPT_SECONDS = (60, 45, 30, 20, 15, 10, 5)
_TTR = next(column for column in COLUMNS if column.key == HEADLINE)
_TEMPLATES = pathlib.Path(__file__).parent / "templates"


def write_report(
    path: str | os.PathLike,
    lead: str,
    kicker: str,
    rows_by_role: Mapping[str, Sequence[Row]],
    under: Mapping[str, str],
    sounds: Mapping[str, tuple[str, Sequence[Row]]],
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
        sounds: for each role whose sound was scored, the line below that heading, and the rows.
        appendix: further tables, each with title, under, head and rows of texts.
        provenance: names and values.
    """
    seconds = affordable_seconds([row.excerpt for rows in rows_by_role.values() for row in rows if row.excerpt])
    parts = [
        _part(role, rows, under[role], seconds) | {"sound": _sound(*sounds[role]) if role in sounds else None}
        for role, rows in rows_by_role.items()
    ]
    glossary = columns_of([row.scores for rows in rows_by_role.values() for row in rows])
    if sounds:
        scored = [row.scores for _, rows in sounds.values() for row in rows]
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


def affordable_seconds(excerpts: Sequence[Excerpt]) -> int:
    """How much of each excerpt may be played so that the page stays small."""
    for seconds in _EXCERPT_SECONDS:
        if sum(len(gallery.flac_address(excerpt.first(seconds))) for excerpt in excerpts) <= AUDIO_BUDGET_BYTES:
            return seconds
    return _EXCERPT_SECONDS[-1]


def _part(role: str, rows: Sequence[Row], under: str, seconds: float) -> dict[str, Any]:
    # The headline comes first: on a phone the rest has to be scrolled to.
    columns = sorted(columns_of([row.scores for row in rows]), key=lambda column: column.key != HEADLINE)
    human = next(row for row in rows if row.kind == "human")
    return {
        "role": role,
        "under": under,
        "columns": columns,
        "human": _ttr_interval(human) or (0.0, 0.0),
        "rows": [
            {"name": row.name, "kind": row.kind, "cells": [_cell(column, row) for column in columns]} for row in rows
        ],
        "gallery": [_exhibit(row, human, seconds) for row in rows if row.excerpt is not None],
    }


def _sound(under: str, rows: Sequence[Row]) -> dict[str, Any]:
    shown = columns_of([row.scores for row in rows], columns.columns())
    return {
        "under": under,
        "columns": shown,
        "rows": [
            {"name": row.name, "kind": row.kind, "cells": [_sound_cell(column, row) for column in shown]}
            for row in rows
        ],
    }


def _sound_cell(column: Column, row: Row) -> dict[str, Any]:
    """A number, where it stands between noise (0) and other real speech (100), and the interval of the headline."""
    if column.key == scale.HEADLINE:
        value = row.scores.get(column.key)
        percent = value if value is not None and np.isfinite(value) else None
        return {"text": column.text(row.scores), "percent": percent, "interval": column.interval(row.scores)}
    return {"text": column.text(row.scores), "percent": column.percent_of(row.scores), "interval": None}


def _cell(column: Column, row: Row) -> dict[str, Any]:
    # Only TTR is drawn: the others have no common scale.
    interval = column.interval(row.scores) if column.key == HEADLINE else None
    return {"text": column.text(row.scores), "interval": interval, "value": row.scores.get(column.key)}


def _ttr_interval(row: Row) -> tuple[float, float] | None:
    return _TTR.interval(row.scores)


def _exhibit(row: Row, human: Row, seconds: float) -> dict[str, Any]:
    excerpt: Excerpt = row.excerpt.first(seconds)
    return {
        "name": row.name,
        "kind": row.kind,
        "ttr": _TTR.text(row.scores),
        "seconds": round(excerpt.seconds, 3),
        "audio": gallery.flac_address(excerpt),
        "fto": figures.svg(lambda ax: figures.draw_fto(ax, row.ftos, human.ftos), 2.9, 1.9, margins=True),
        "note": excerpt.note,
        "ticks": _ticks(excerpt.seconds),
        **gallery.pictures(excerpt),
    }


def _ticks(seconds: float) -> list[dict[str, Any]]:
    step = 10 if seconds > 20 else 5 if seconds > 5 else 1
    ticks = np.arange(0, seconds + 1e-6, step)
    return [{"percent": round(100 * tick / seconds, 2), "text": f"{tick:g} s" if tick else "0"} for tick in ticks]
