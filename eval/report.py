"""The page of a comparison: one self-contained HTML file, no network, with sound and pictures for every row."""

import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2
import numpy as np

from datasets import files
from eval import figures, gallery
from eval.gallery import Excerpt
from eval.table import COLUMNS, Column, Row, columns_of

# What the sound of all rows together may take of a page that stays below 15 MB.
AUDIO_BUDGET_BYTES = 9_000_000
_BYTES_PER_STEREO_SAMPLE = 3.2  # of a FLAC in base64: 16 bit, rarely below six tenths, four thirds in base64
_EXCERPT_SECONDS = (60, 45, 30, 20, 15, 10, 5)
_TEMPLATES = pathlib.Path(__file__).parent / "templates"


def write_report(
    path: str | os.PathLike,
    lead: str,
    kicker: str,
    rows_by_role: Mapping[str, Sequence[Row]],
    under: Mapping[str, str],
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
        appendix: further tables, each with title, under, head and rows of texts.
        provenance: names and values.
    """
    n_excerpts = sum(row.excerpt is not None for rows in rows_by_role.values() for row in rows)
    parts = [_part(role, rows, under[role], n_excerpts) for role, rows in rows_by_role.items()]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES), autoescape=True, trim_blocks=True, undefined=jinja2.StrictUndefined
    )
    page = environment.get_template("report.html").render(
        title=f"babblezoo: {kicker}",
        kicker=kicker,
        lead=lead,
        parts=parts,
        appendix=appendix,
        glossary=columns_of([row.scores for rows in rows_by_role.values() for row in rows]),
        provenance=provenance,
    )
    with files.replacing(path) as part:
        part.write_text(page, encoding="utf-8")


def excerpt_seconds(n_excerpts: int, sample_rate: int) -> int:
    """How long each of so many stereo excerpts may be so that the page stays small."""
    affordable = AUDIO_BUDGET_BYTES / (max(n_excerpts, 1) * sample_rate * _BYTES_PER_STEREO_SAMPLE)
    return next((seconds for seconds in _EXCERPT_SECONDS if seconds <= affordable), _EXCERPT_SECONDS[-1])


def _part(role: str, rows: Sequence[Row], under: str, n_excerpts: int) -> dict[str, Any]:
    columns = columns_of([row.scores for row in rows])
    human = next(row for row in rows if row.kind == "human")
    return {
        "role": role,
        "under": under,
        "columns": columns,
        "human": _ttr_interval(human) or (0.0, 0.0),
        "rows": [
            {"name": row.name, "kind": row.kind, "cells": [_cell(column, row) for column in columns]} for row in rows
        ],
        "gallery": [_exhibit(row, human, n_excerpts) for row in rows if row.excerpt is not None],
    }


def _cell(column: Column, row: Row) -> dict[str, Any]:
    # Only TTR is drawn: the others have no common scale.
    interval = column.interval(row.scores) if column.key == "ttr" else None
    return {"text": column.text(row.scores), "interval": interval, "value": row.scores.get(column.key)}


def _ttr_interval(row: Row) -> tuple[float, float] | None:
    return next(column for column in COLUMNS if column.key == "ttr").interval(row.scores)


def _exhibit(row: Row, human: Row, n_excerpts: int) -> dict[str, Any]:
    excerpt: Excerpt = row.excerpt.first(excerpt_seconds(n_excerpts, row.excerpt.sample_rate))
    return {
        "name": row.name,
        "kind": row.kind,
        "ttr": next(column for column in COLUMNS if column.key == "ttr").text(row.scores),
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
