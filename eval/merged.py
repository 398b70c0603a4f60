"""Several comparisons as one: their tables, their score file and their page."""

import pathlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from datasets import files
from datasets.errors import InputError
from eval import board as board_lib
from eval import report, results, score_files, table
from eval.audio.rows import AudioTable
from eval.table import Row


def merge(
    paths: Sequence[str], out: pathlib.Path, *, style: str = results.TEXT, board: str | None = None
) -> dict[str, Any]:
    """Puts the tables of comparisons that were made before into one, prints it, and writes it with its page.

    Args:
        paths: of scores.json files; what lies beside them is played in the gallery.
        out: folder to write into.
        style: how the tables are printed, `results.TEXT` or `results.MARKDOWN`.
        board: folder to which the figures go for TensorBoard, or None.

    Returns:
        The content of the merged scores.json.
    """
    if board:
        board_lib.check(board)
    merged = score_files.merge(paths)
    rows = {role: [_row(row) for row in part["rows"]] for role, part in merged["roles"].items()}
    sounds = {role: _sound(part) for role, part in merged["audio"].items()}
    ties = {role: _ties(part) for role, part in merged["roles"].items()}
    for role in rows:
        results.say(f"{role}; {ties[role]}", rows[role], table.COLUMNS, [], style)
        if role in sounds:
            results.say_sound(role, sounds[role], style)
    files.write_json(out / "scores.json", _lasting(merged))
    parts = (("open loop", rows), ("audio", {role: part.rows for role, part in sounds.items()}))
    lines = [results.csv_line(name, role, row) for name, of in parts for role in of for row in of[role]]
    score_files.write_csv(out / "scores.csv", lines)
    _write_page(out, merged, rows, ties, sounds)
    if board:
        board_lib.show(board, rows, sounds)
    return merged


def _row(found: Mapping[str, Any]) -> Row:
    folder = pathlib.Path(found["from"]).parent
    try:
        try:
            return results.read_row(found, folder)
        except InputError as error:
            print(error, file=sys.stderr)
            return results.read_row(found, None)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"--scores={found['from']}: row {found.get('name')}: not as written ({error!r})") from error


def _sound(part: Mapping[str, Any]) -> AudioTable:
    return AudioTable([results.read_row(row, None) for row in part["rows"]], part["notes"], part["reference"])


def _ties(part: Mapping[str, Any]) -> str:
    return f"rows whose TTR differ by less than {part['smallest_ttr_difference']:.2f} are ties"


def _lasting(merged: Mapping[str, Any]) -> dict[str, Any]:
    """Without excerpts: their sound lies beside the files that were merged."""
    roles = {
        role: part | {"rows": [row | {"excerpt": None} for row in part["rows"]]}
        for role, part in merged["roles"].items()
    }
    return dict(merged) | {"roles": roles}


def _write_page(
    out: pathlib.Path,
    merged: Mapping[str, Any],
    rows: Mapping[str, Sequence[Row]],
    ties: Mapping[str, str],
    sounds: Mapping[str, AudioTable],
) -> None:
    corpus = merged["corpus"].get("corpus", "") if isinstance(merged["corpus"], dict) else merged["corpus"]
    under = {role: part.get("under", ties[role]) for role, part in merged["roles"].items()}
    report.write_report(
        out / "report.html",
        lead=results.LEAD,
        kicker=f"{corpus}, {merged['split']}",
        rows_by_role=rows,
        under=under,
        sounds=sounds,
        appendix=[],
        provenance=[("merged", ", ".join(merged["merged"])), *results.provenance(merged)],
    )
