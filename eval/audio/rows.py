"""The rows of an audio table: models, real speech, and what real speech becomes under known damage."""

import dataclasses
import pathlib
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import tqdm

from datasets.errors import InputError
from eval import table
from eval.audio import columns, extras, features, scale, score
from eval.audio.embedding import EMBEDDINGS, SPEECH_HOP_SECONDS
from eval.audio.features import Clip, Job
from eval.audio.fingerprint import Index
from eval.table import Row

CLEAN, NOISE = "clean", "gated noise"
# What each reference row does to the real speech.
REFERENCE_ROWS = {
    "human": CLEAN,
    "mu-law copy": "mu-law 8 bits",
    "Griffin-Lim copy": "Griffin-Lim",
    "shuffled 60 ms": "shuffled 60 ms",
    "reversed": "reversed",
    "gated noise": NOISE,
}
ENOUGH_VECTORS = 1000  # On each side of a Frechet distance; with fewer it says little.


@dataclasses.dataclass(frozen=True, eq=False)
class AudioTable:
    """Rows of sound, and what has to be said beside them.

    Attributes:
        rows: models first.
        notes: a line each: rows that were refused, guards that were raised, proxies that were left out.
        reference: what the numbers were measured beside, as JSON values.
    """

    rows: list[Row]
    notes: list[str]
    reference: dict[str, Any]

    def under(self) -> str:
        """What a reader has to know of the numbers."""
        about = self.reference
        parts = next((row.scores["headline"] for row in self.rows if row.scores.get("headline")), "nothing")
        return (
            f"{about['clips']} chunks of {about['dialogues']} dialogues, {about['speech_seconds']:.0f} s of human"
            f" speech at {about['sample_rate']} Hz; percent from gated noise (0) to other real speech (100); babble"
            f" quality is the mean of {parts}; 95 % interval by dialogue"
        )

    def text(self) -> str:
        """The table as it is printed."""
        shown = table.render([row.name for row in self.rows], [row.scores for row in self.rows], columns.columns())
        return "\n".join([self.under(), "", shown, *(["", *self.notes] if self.notes else [])])

    def content(self) -> dict[str, Any]:
        """The table as a score file has it."""
        rows = [
            {"name": row.name, "kind": row.kind, "scores": dict(row.scores), "per_dialogue": list(row.per_dialogue)}
            for row in self.rows
        ]
        return {"reference": self.reference, "notes": self.notes, "rows": rows}


def audio_table(
    models: Mapping[str, Sequence[Clip]],
    human: Sequence[Clip],
    groups: Mapping[str, Hashable],
    cache: pathlib.Path,
    *,
    references: Mapping[str, str] = REFERENCE_ROWS,
    training: Index | None = None,
    seed: int = 0,
    draws: int = score.DRAWS,
    title: str = "audio",
) -> AudioTable:
    """Measures and scores.

    Args:
        models: clips by name of the row.
        human: real speech, all at one rate; everything is measured at that rate.
        groups: of each dialogue, such as its speakers.
        cache: folder of what was measured before.
        references: name of the row and the damage that makes it; with "gated noise", the worst end, in any case.
        training: fingerprints of the training audio, or None: replay is not looked for.
        seed: of damages and draws.
        draws: of dialogues, for the intervals.
        title: of the progress bar.

    Raises:
        InputError: the real speech cannot be measured or compared. A model that cannot be is a note and a row without
            numbers.
    """
    rates = sorted({clip.sample_rate for clip in human})
    if len(rates) != 1:
        raise InputError(f"audio: real speech of one sample rate is needed, and there is {rates or 'none'}")
    usable, notes = _usable(models, rates[0])
    damaged = dict.fromkeys([CLEAN, NOISE, *references.values()])
    jobs = [Job(clip, CLEAN, rates[0]) for clips in usable.values() for clip in clips]
    # Clip by clip, so that each dialogue is read once.
    jobs += [Job(clip, damage, rates[0], seed + i) for i, clip in enumerate(human) for damage in damaged]
    with tqdm.tqdm(total=len(jobs), desc=title, unit="clip", mininterval=1.0) as progress:
        found = features.measure_all(jobs, cache, progress.update)
    measured = {}
    for name, clips in usable.items():
        measured[name], found = _measured(clips, found[: len(clips)], training), found[len(clips) :]
    made = {
        damage: _measured(human, found[i :: len(damaged)], training if damage == CLEAN else None)
        for i, damage in enumerate(damaged)
    }
    halves = score.halves_of([clip.dialogue for clip in human], groups)
    scorer = score.Scorer(made[CLEAN], made[NOISE], halves, draws, seed)
    rows = []
    for name in models:
        scores = scorer.score(measured[name]) if name in measured else {}
        rows.append(as_row(name, "model", scores, notes))
    for name, damage in references.items():
        rows.append(as_row(name, "human" if damage == CLEAN else "reference", scorer.score(made[damage]), notes))
    seconds = made[CLEAN].speech_seconds
    return AudioTable(rows, [*notes, *_about(seconds), *extras.explain()], _describe(human, halves, seconds, rates[0]))


def as_row(name: str, kind: str, scores: dict[str, Any], notes: list[str]) -> Row:
    """A row of the table; what the guards say of a model, or its silence, becomes a note."""
    scores = dict(scores)
    flags, per_dialogue = scores.pop("flags", []), scores.pop("per_dialogue", [])
    if scores and not scores["speech_seconds"]:
        notes.append(f"{name}: no speech was found in it, so its sound has no scores")
    elif kind == "model":
        notes += [f"{name}: {flag}" for flag in flags]
    scores["guards"] = "; ".join(flags)
    scores["headline"] = ", ".join(scores.get("headline", []))
    return Row(name, kind, scores, np.zeros(0), None, per_dialogue)


def _usable(models: Mapping[str, Sequence[Clip]], rate: int) -> tuple[dict[str, Sequence[Clip]], list[str]]:
    """The models whose every clip can be measured, and a line for each of the others."""
    usable, notes = {}, []
    for name, clips in models.items():
        try:
            for clip in clips:
                if clip.sample_rate < rate:
                    raise InputError(
                        f"its sound has {clip.sample_rate} Hz and real speech here {rate} Hz; what it lacks above"
                        f" {clip.sample_rate // 2} Hz would count as damage: open the corpus at {clip.sample_rate} Hz"
                    )
                _ = clip.digest
        except InputError as error:
            notes.append(f"{name}: not measured: {error}")
        else:
            usable[name] = clips
    return usable, notes


def _measured(clips: Sequence[Clip], found: Sequence[features.Features], training: Index | None) -> score.Measured:
    replayed = None
    if training is not None:
        blocks = [each["blocks"] for each in found if len(each.get("blocks", ()))]
        replayed = training.replayed(np.concatenate(blocks)) if blocks else None
    return score.Measured([clip.dialogue for clip in clips], found, sum(clip.seconds for clip in clips), replayed)


def _about(speech_seconds: float) -> list[str]:
    vectors = speech_seconds / 2 / SPEECH_HOP_SECONDS
    if vectors >= ENOUGH_VECTORS:
        return []
    return [
        f"little sound: {speech_seconds:.0f} s of real speech, {vectors:.0f} vectors on a side of a Frechet distance,"
        f" where {ENOUGH_VECTORS} are needed; take more dialogues or --chunks_per_dialogue"
    ]


def _describe(human: Sequence[Clip], halves: Mapping[str, int], seconds: float, rate: int) -> dict[str, Any]:
    """After the reporting rules of fadtk (Gui et al. 2024): reference set, embedding, number and length of samples."""
    return {
        "sample_rate": rate,
        "clips": len(human),
        "dialogues": len(halves),
        "speech_seconds": seconds,
        "halves": [sorted(name for name, side in halves.items() if side == half) for half in (0, 1)],
        "embeddings": {name: each.version for name, each in EMBEDDINGS.items() if each.available()},
        "left_out": extras.explain(),
        "version": features.VERSION,
        "headline": scale.HEADLINE,
    }
