"""The audio tables of a comparison: how the rows sound, beside the real speech of the same chunks."""

import dataclasses
import functools
import sys
from collections.abc import Mapping

import numpy as np

from datasets import activity, files
from datasets.corpora import Corpus
from datasets.errors import InputError
from eval import coordination
from eval.audio import replay, rows
from eval.audio.features import Clip
from eval.audio.rows import AudioTable
from eval.comparison import Settings, Table

FOLDER = "audio-features"
_BESIDE = ("ttr", "bits_per_sample")


def compare_audio(corpus: Corpus, tables: Mapping[str, Table], settings: Settings) -> dict[str, AudioTable]:
    """An audio table for each role whose timing was compared; without sound there is none.

    What cannot be measured at all is a line on the terminal: timing stands without it.
    """
    cache = (corpus.options.cache_dir or files.cache_folder()) / FOLDER
    result = {}
    for role, part in tables.items():
        try:
            human = human_clips(corpus, role, part)
            if not human or settings.detector == activity.ANNOTATIONS:
                continue
            models = {row.name: row.clips for row in part.rows if row.clips}
            training = replay.training_index(corpus, cache) if models else None
            options = {"training": training, "seed": settings.seed, "title": f"sound as {role}"}
            found = rows.audio_table(models, human, _groups(corpus, part), cache, **options)
            result[role] = _beside_timing(found, part)
        except InputError as error:
            print(f"no audio table as {role}: {error}", file=sys.stderr)
    return result


def human_clips(corpus: Corpus, role: str, part: Table) -> list[Clip]:
    """What the real speaker said in the chunks that were answered; nothing where the corpus has no sound."""
    load = functools.lru_cache(maxsize=2)(corpus.load)
    wanted, clips = set(part.spans), []
    for span, chunk in zip(part.reference.spans, part.reference.chunks, strict=True):
        if span not in wanted:
            continue
        rate = load(span.dialogue).sample_rate
        if rate is None:
            return []
        read = functools.partial(_real, load, role, span)
        clips.append(Clip(span.dialogue, chunk.own_ipus, span.seconds, rate, read))
    return clips


def _real(load, role: str, span) -> np.ndarray:
    dialogue = load(span.dialogue)
    start, samples = (round(seconds * dialogue.sample_rate) for seconds in (span.start_seconds, span.seconds))
    return dialogue.audio[dialogue.channel_of(role)][start : start + samples]


def _groups(corpus: Corpus, part: Table) -> dict[str, object]:
    names = list(dict.fromkeys(span.dialogue for span in part.spans))
    groups = coordination.groups_of([corpus.load(name, audio=False) for name in names])
    return dict(zip(names, groups, strict=True))


def _beside_timing(found: AudioTable, part: Table) -> AudioTable:
    """With the TTR of the rows that have one, and held-out bits per sample, to be read beside their sound."""
    beside = {row.name: {key: row.scores[key] for key in _BESIDE if key in row.scores} for row in part.rows}
    joined = [dataclasses.replace(row, scores={**row.scores, **beside.get(row.name, {})}) for row in found.rows]
    return dataclasses.replace(found, rows=joined)
