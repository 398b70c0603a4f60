"""Norms that come with babblezoo, for those who have dialogues of their own system and no corpus to compare them with.

    python -m eval.norms --corpus=maptask --data_dir=maptaskv2-1 --detector=annotations
    python -m eval.norms --corpus=maptask-voiced --data_dir=maptaskv2-1 --detector=silero

count them again. A norm is what scoring needs of the humans, as numbers only: hazard tables and human LLR of the train
dialogues, and of the test dialogues the floors and how often an event lasted how long, to 10 ms. There is one set for
annotated speech, and one for speech that silero found in the voiced rendering of the same words: a detector's bias
moves every gap, so intervals are read beside the first and sound beside the second.
"""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from absl import flags

from datasets import activity, files, hazard, turns
from datasets import flags as corpus_flags
from datasets.corpora import Corpus
from datasets.dialogue import role_index
from datasets.errors import InputError, run_command
from eval import coordination, detection, shape
from eval.chunks import Chunk, whole_dialogues
from eval.reference import BOTH, FLOOR_DRAWS, VERSION, Norm, Reference, make_reference

FOLDER = pathlib.Path(hazard.SHIPPED_TABLES).parent
RESOLUTION_SECONDS = 0.01


def make_norms(corpus: Corpus, split: str, detector: str, floor_draws: int = FLOOR_DRAWS) -> dict[str, Reference]:
    """References of each role and of both together, on whole dialogues without a prompt."""
    train, held_out = detection.detected(corpus, split, detector)
    groups, norms = coordination.groups_of(train), {}
    for role in (*corpus.roles, BOTH):
        side = corpus.roles[0] if role == BOTH else role
        wholes = [whole_dialogues(part, side) for part in (held_out, train)]
        norms[role] = make_reference(*wholes, groups, role, detector=detector, floor_draws=floor_draws)
    return norms


def held_out_wholes(corpus: Corpus, split: str, detector: str) -> list[Chunk]:
    """The held-out dialogues from end to end, as channel 0 lived them."""
    return whole_dialogues(detection.detected(corpus, split, detector)[1], corpus.roles[0])


def save_norms(
    path: pathlib.Path, norms: Mapping[str, Norm], statistics: Mapping[str, float], provenance: Mapping[str, Any]
) -> None:
    """Writes the norms, and beside them (`.tables.json`) the hazard tables of the two roles."""
    tables = {role: norm.tables for role, norm in norms.items() if role != BOTH}
    hazard.save_tables(_tables_path(path), tables, provenance)
    files.write_json(
        path,
        {
            "protocol": VERSION,
            "detector": next(iter(norms.values())).detector,
            "draw_chunks": next(iter(norms.values())).draw_chunks,
            "provenance": dict(provenance),
            "statistics": dict(statistics),
            "roles": {role: _as_json(norm) for role, norm in norms.items()},
        },
    )


def load_norms(path: pathlib.Path) -> tuple[dict[str, Norm], dict[str, float]]:
    """The norms by role, and the statistics of the humans; raises `InputError` for another kind of file."""
    tables = hazard.load_tables(_tables_path(path))[0]
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["protocol"] != VERSION:
            raise ValueError(f"counted for version {content['protocol']} of the protocol, and this is {VERSION}")
        norms = {}
        for role, found in content["roles"].items():
            of_role = tuple(tables[each] for each in sorted(tables, key=role_index)) if role == BOTH else tables[role]
            norms[role] = Norm(
                role,
                of_role,
                found["llr_human"],
                found["floors"],
                _events(found),
                content["detector"],
                content["draw_chunks"],
            )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: not a file of norms ({error}); count it with python -m eval.norms") from error
    return norms, content["statistics"]


def shipped_norms(detector: str) -> tuple[dict[str, Norm], dict[str, float]]:
    """The norms of Map Task by this detector; `InputError` where none come with babblezoo."""
    path = _shipped_path(detector)
    if not path.is_file():
        raise InputError(
            f"--detector={detector}: no norms of it are shipped; take silero for sound, annotations for intervals, or"
            " name a corpus (--corpus)"
        )
    return load_norms(path)


def _as_json(norm: Norm) -> dict[str, Any]:
    sample = norm.events.pool()
    return {
        "llr_human": norm.llr_human,
        "floors": norm.floors,
        "durations": {kind: _histogram(kind, sample.durations[kind]) for kind in shape.KINDS},
        "backchannels": sample.n_backchannels,
        "speech_seconds": sample.speech_seconds,
        "minutes": sample.minutes,
    }


def _events(found: Mapping[str, Any]) -> shape.EventTable:
    durations = {kind: _values(kind, found["durations"][kind]) for kind in shape.KINDS}
    return shape.EventTable.of_sample(
        shape.Sample(durations, found["backchannels"], found["speech_seconds"], found["minutes"])
    )


def _histogram(kind: str, seconds: np.ndarray) -> str:
    """How many events last so many hundredths of a second, from the least that is told apart."""
    low, high = (round(limit / RESOLUTION_SECONDS) for limit in shape.CLIP_SECONDS[kind])
    counts = np.bincount(np.rint(seconds / RESOLUTION_SECONDS).astype(int) - low, minlength=high - low + 1)
    return " ".join(map(str, counts))


def _values(kind: str, histogram: str) -> np.ndarray:
    low = round(shape.CLIP_SECONDS[kind][0] / RESOLUTION_SECONDS)
    counts = np.array(histogram.split(), int)
    return np.repeat((np.arange(len(counts)) + low) * RESOLUTION_SECONDS, counts)


def _tables_path(path: pathlib.Path) -> pathlib.Path:
    return path.with_suffix(".tables.json")


def _shipped_path(detector: str) -> pathlib.Path:
    return FOLDER / f"maptask_norms_{detector}.json"


def _define_flags() -> None:
    corpus_flags.define_corpus_flags(default="maptask")
    flags.DEFINE_string("split", "test", "Whose dialogues are the humans: test or validation.")
    flags.DEFINE_string("output", None, "Where the norms are written; default: where they are shipped from.")


def main(argv: list[str]) -> None:
    del argv
    values = flags.FLAGS
    corpus, detector = corpus_flags.corpus_from_flags(), values.detector or activity.ANNOTATIONS
    path = pathlib.Path(values.output) if values.output else _shipped_path(detector)
    norms = make_norms(corpus, values.split, detector)
    _, held_out = detection.detected(corpus, values.split, detector)
    statistics = turns.statistics([turns.dialogue_events(dialogue) for dialogue in held_out])
    provenance = {
        "corpus": corpus.key(),
        "split": values.split,
        "detector": activity.detector_key(detector),
        "command": "python -m eval.norms",
    }
    save_norms(path, norms, statistics, provenance)
    print(f"{path}: {statistics['dialogues']:g} dialogues, {statistics['minutes']:.1f} minutes, speech by {detector}")


if __name__ == "__main__":
    _define_flags()
    run_command(main)
