"""The table of a comparison: which columns it has, and how a number is written, on the terminal as on the page."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

DASH = "-"
HEADLINE = "ttr"
# Those whose interval is shown in the table; the other intervals are in the files.
HEADLINES = (HEADLINE, "babble_quality")


@dataclasses.dataclass(frozen=True, eq=False)
class Row:
    """One line of the table, and what is shown of it.

    Attributes:
        name: what the line is called.
        kind: "model", "human" or "reference".
        scores: number by key.
        ftos: floor-transfer offsets into this speaker, seconds [n], over all that was scored.
        excerpt: what is played, or None.
        per_dialogue: for each dialogue its name and scores.
        clips: its sound in each chunk that was answered, `eval.audio.features.Clip`; empty where there is none.
        onset_hazard, floor: of `eval.profile`, or None where its timing is not drawn.
    """

    name: str
    kind: str
    scores: Mapping[str, float | None]
    ftos: np.ndarray
    excerpt: Any = None
    per_dialogue: Sequence[Mapping[str, Any]] = ()
    clips: Sequence[Any] = ()
    onset_hazard: np.ndarray | None = None
    floor: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class Column:
    """A score.

    Attributes:
        key: in the scores of a row; `<key>_low` and `<key>_high` bound its 95 % interval where there is one.
        title: at the head of the column.
        meaning: one sentence for those who see it for the first time.
        decimals: how many are written.
        scale: what the value is multiplied by before it is written.
        signed: whether a positive number carries its sign.
        percent: whether `<key>_percent` says where it stands between noise and other real speech.
        always: whether it is shown without any number.
    """

    key: str
    title: str
    meaning: str
    decimals: int = 2
    scale: float = 1.0
    signed: bool = False
    percent: bool = False
    always: bool = False

    def text(self, scores: Mapping[str, float | None]) -> str:
        """The number as it is written; a dash where there is none."""
        return number(scores.get(self.key), self.decimals, self.scale, self.signed)

    def percent_of(self, scores: Mapping[str, float | None]) -> float | None:
        """Where it stands between noise (0) and other real speech (100), if that is said."""
        value = scores.get(f"{self.key}_percent") if self.percent else None
        return None if value is None or not math.isfinite(value) else value

    def interval(self, scores: Mapping[str, float | None]) -> tuple[float, float] | None:
        """The 95 % interval, where there is one."""
        low, high = scores.get(f"{self.key}_low"), scores.get(f"{self.key}_high")
        return None if low is None or high is None else (low, high)

    def text_with_interval(self, scores: Mapping[str, float | None]) -> str:
        """The number with its percentage and, in a headline column, its interval."""
        bounds = self.interval(scores) if self.key in HEADLINES else None
        if bounds is None:
            share = self.percent_of(scores)
            return self.text(scores) + ("" if share is None else f" {share:.0f}%")
        low, high = (number(bound, self.decimals, self.scale, self.signed) for bound in bounds)
        return f"{self.text(scores)} ({low} to {high})"


COLUMNS = (
    Column("fto_median", "FTO median, s", "Median floor-transfer offset into this speaker; negative in overlap."),
    Column("overlap_share", "overlap %", "Share of those floor transfers that overlap the partner.", 1, 100),
    Column("ipu_per_min", "IPU/min", "Inter-pausal units of this speaker a minute.", 1),
    Column(
        "llr", "LLR, bits/s", "What the partner's timing tells of this speaker's; at most 0 for the deaf.", 3, 1, True
    ),
    Column("c", "C", "Coordination: LLR as a share of the human one, 0 to 1."),
    Column("m", "M", "Shape: 1 if no distribution lies farther from the human one than humans do."),
    Column("ttr", "TTR", "Turn-timing realism, C x M, with its 95 % interval over draws of ten minutes."),
    Column("rank", "rank", "1, and one more for each row that is better by what so much dialogue can show; ties.", 0),
    Column("dllr", "dLLR", "LLR with the true partner minus with a shifted one; 0 for the deaf.", 3, 1, True),
    Column("selectivity", "selectivity", "How much more it starts where the human did than elsewhere.", 2, 1, True),
    Column("gate_obedience", "gate", "Share of 20 ms frames in which the sound agrees with the decision to speak."),
    Column("swap_llr", "swap LLR", "LLR with the true partner when another was heard; at most 0.", 3, 1, True),
    Column("memorised", "memorised", "Best match of a minute with train dialogues; humans to .60, flagged above .70."),
    Column("shift_hold_accuracy", "shift/hold", "Balanced accuracy of who speaks after a silence; chance .5."),
    Column("backchannel_accuracy", "backchannel", "Balanced accuracy of predicting a backchannel; chance .5."),
    Column("frame_bits", "bits/frame", "Surprise at the real speech, bits a 20 ms frame; lower is better.", 4),
)
PEER_COLUMNS = (
    Column("peer_ipu_per_min", "IPU/min", "dGSLM: inter-pausal units of both speakers a minute.", 1),
    Column("peer_ipu_s_per_min", "IPU s/min", "dGSLM: seconds of them a minute.", 1),
    Column("peer_pause_per_min", "pause/min", "dGSLM: pauses of both speakers a minute.", 1),
    Column("peer_pause_s_per_min", "pause s/min", "dGSLM: seconds of them a minute.", 1),
    Column("peer_gap_per_min", "gap/min", "dGSLM: gaps a minute.", 1),
    Column("peer_gap_s_per_min", "gap s/min", "dGSLM: seconds of them a minute.", 1),
    Column("peer_overlap_per_min", "overlap/min", "dGSLM: stretches in which both speak, a minute.", 1),
    Column("peer_overlap_s_per_min", "overlap s/min", "dGSLM: seconds of them a minute.", 1),
    Column("peer_takeover_rate", "takeover", "Full-Duplex-Bench: share of the partner's possible turn ends taken."),
    Column("peer_latency_median", "latency, s", "Full-Duplex-Bench: median latency, with its sign.", 2, 1, True),
    Column("peer_corr_ipu", "r IPU", "SyncLLM: correlation of mean IPU durations with the human of the same chunk."),
    Column("peer_corr_pause", "r pause", "SyncLLM: the same of pauses."),
    Column("peer_corr_fto", "r FTO", "SyncLLM: the same of floor-transfer offsets."),
)


def number(value: float | None, decimals: int, scale: float = 1.0, signed: bool = False) -> str:
    """A number with so many decimals; no "-0.00"; a dash for None and NaN."""
    if value is None or not math.isfinite(value):
        return DASH
    text = f"{value * scale:{'+' if signed else ''}.{decimals}f}"
    zero = not text.strip("+-0.")
    return text.lstrip("+-") if zero else text


def columns_of(rows: Sequence[Mapping[str, float | None]], columns: Sequence[Column] = COLUMNS) -> list[Column]:
    """The columns in which at least one row has a number, and those that are always shown."""
    return [column for column in columns if column.always or any(column.text(row) != DASH for row in rows)]


def render(
    names: Sequence[str], rows: Sequence[Mapping[str, float | None]], choices: Sequence[Column] = COLUMNS
) -> str:
    """The rows as lines of text, one a row under a head, in columns that line up."""
    cells = _cells(names, rows, choices)
    widths = [max(len(line[i]) for line in cells) for i in range(len(cells[0]))]
    lines = [
        "  ".join([line[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(line[1:], widths[1:], strict=True))])
        for line in cells
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def markdown(
    names: Sequence[str], rows: Sequence[Mapping[str, float | None]], choices: Sequence[Column] = COLUMNS
) -> str:
    """The rows as a Markdown table, for a paper or a model card."""
    return markdown_lines(_cells(names, rows, choices))


def markdown_lines(cells: Sequence[Sequence[str]]) -> str:
    """Lines of cells as a Markdown table; the first line is its head, the first column is on the left."""
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in cells]
    rule = "|:---" + "|---:" * (len(cells[0]) - 1) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def _cells(
    names: Sequence[str], rows: Sequence[Mapping[str, float | None]], choices: Sequence[Column]
) -> list[list[str]]:
    """A head, and a line a row."""
    columns = columns_of(rows, choices)
    cells = [["", *(column.title for column in columns)]]
    for name, row in zip(names, rows, strict=True):
        cells.append([name, *(column.text_with_interval(row) for column in columns)])
    return cells
