"""Counted hazards: how likely a speaker starts or stops in the next 20 ms, given what both did so far.

A *toggle* is a frame whose own state differs from the frame before. Its probability is tabled twice for each role:
by the own state and its age (`own`), and by those and the partner's state and age as well (`joint`). All four are
taken from the frame before, so neither speaker sees the other's present. The log-likelihood ratio of the two tables,
in bits per second, says how much the partner's timing tells about the own (PROTOCOL section 5 and its appendix).

Activity is bool [..., n_frames] at 50 Hz. Recount the shipped table, or count that of any corpus, with

    python -m datasets.hazard --data_dir=<maptaskv2-1>
    python -m datasets.hazard --corpus=stereo --data_dir=recordings --output=mine.json
"""

import dataclasses
import functools
import json
import os
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import tqdm

from datasets import files
from datasets.dialogue import FRAMES_PER_SECOND, Dialogue
from datasets.errors import InputError

if TYPE_CHECKING:
    from datasets.corpora import Corpus

AGE_EDGES_SECONDS = (0.1, 0.2, 0.3, 0.45, 0.6, 0.8, 1.0, 1.4, 2.0, 3.0, 5.0, 10.0)
N_AGES = len(AGE_EDGES_SECONDS) + 1
OWN_PRIOR_FRAMES = 5
JOINT_PRIOR_FRAMES = 50
LEAST_PROBABILITY, LARGEST_PROBABILITY = 1e-5, 0.999
SHIPPED_TABLES = pathlib.Path(__file__).parent / "tables" / "maptask.json"

_SHAPE = (2, N_AGES, 2, N_AGES)
_N_CELLS = 2 * N_AGES
_OLDEST_FRAMES = int(AGE_EDGES_SECONDS[-1] * FRAMES_PER_SECOND)
_BIN_OF_FRAMES = np.digitize(np.arange(_OLDEST_FRAMES + 1) / FRAMES_PER_SECOND, AGE_EDGES_SECONDS)


@dataclasses.dataclass(frozen=True, eq=False)
class Tables:
    """What was counted for one role, and the probabilities that follow. Tables add up.

    Attributes:
        toggles, frames: int [2, 13, 2, 13], by own state, own age, partner state, partner age.
    """

    toggles: np.ndarray
    frames: np.ndarray

    @functools.cached_property
    def own(self) -> np.ndarray:
        """P(toggle | own state, own age), float64 [2, 13]."""
        return self._own_unclipped.clip(LEAST_PROBABILITY, LARGEST_PROBABILITY)

    @functools.cached_property
    def joint(self) -> np.ndarray:
        """P(toggle | own state, own age, partner state, partner age), float64 [2, 13, 2, 13]."""
        prior = JOINT_PRIOR_FRAMES * self._own_unclipped[:, :, None, None]
        joint = (self.toggles + prior) / (self.frames + JOINT_PRIOR_FRAMES)
        return joint.clip(LEAST_PROBABILITY, LARGEST_PROBABILITY)

    @property
    def _own_unclipped(self) -> np.ndarray:
        toggles, frames = self.toggles.sum(axis=(2, 3)), self.frames.sum(axis=(2, 3))
        overall = toggles.sum() / max(frames.sum(), 1)
        return (toggles + OWN_PRIOR_FRAMES * overall) / (frames + OWN_PRIOR_FRAMES)

    def __add__(self, other: "Tables") -> "Tables":
        return Tables(self.toggles + other.toggles, self.frames + other.frames)

    def __sub__(self, other: "Tables") -> "Tables":
        return Tables(self.toggles - other.toggles, self.frames - other.frames)


def ages(activity: np.ndarray) -> np.ndarray:
    """Age bin of the current state in each frame, int [..., n_frames] in 0..12.

    The frame of a change, and the first frame, have age 1/50 s.
    """
    return _BIN_OF_FRAMES[age_frames(activity).clip(max=_OLDEST_FRAMES)]


def age_frames(activity: np.ndarray) -> np.ndarray:
    """Frames since the last change, counting the one of the change: int [..., n_frames], from 1."""
    activity = np.asarray(activity, bool)
    index = np.arange(activity.shape[-1], dtype=np.int32)
    changed = np.zeros(activity.shape, np.int32)
    np.multiply(activity[..., 1:] != activity[..., :-1], index[1:], out=changed[..., 1:])
    return index - np.maximum.accumulate(changed, axis=-1) + 1


def fit_tables(pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> Tables:
    """Counts one role: `pairs` of (own, partner) activity, each bool [n_frames]."""
    counts = np.zeros(2 * _N_CELLS**2, np.int64)
    for own, partner in pairs:
        counts += np.bincount(_events(own, partner).ravel(), minlength=len(counts))
    stayed, toggled = counts.reshape(2, *_SHAPE)
    return Tables(toggled, stayed + toggled)


def fit_dialogues(dialogues: Iterable[Dialogue]) -> dict[str, Tables]:
    """Counts every role of some dialogues, from their annotated IPUs."""
    pairs: dict[str, list] = {}
    for dialogue in dialogues:
        frames = [dialogue.ipu_activity(channel) for channel in (0, 1)]
        for channel, role in enumerate(dialogue.roles):
            pairs.setdefault(role, []).append((frames[channel], frames[1 - channel]))
    return {role: fit_tables(pairs[role]) for role in pairs}


def log2_likelihood(tables: Tables, own: np.ndarray, partner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bits of the own activity under the joint and the own table: two float64 [...], each at most 0."""
    events = _events(own, partner)
    joint, alone = _bits(tables)
    return joint[events].sum(axis=-1), alone[events].sum(axis=-1)


def llr(tables: Tables, own: np.ndarray, partner: np.ndarray) -> np.ndarray:
    """Log-likelihood ratio of the joint over the own table, bits per second [...]; negative for the uncoordinated."""
    joint, alone = _bits(tables)
    return (joint - alone)[_events(own, partner)].sum(axis=-1) * FRAMES_PER_SECOND / np.shape(own)[-1]


def sample_against(
    tables: Tables, partner: np.ndarray, rng: np.random.Generator, prompt: np.ndarray | None = None
) -> np.ndarray:
    """Samples the own activity from the joint table, frame by frame, against a given partner.

    Args:
        tables: of the own role.
        partner: bool [n_frames].
        rng: the source of chance.
        prompt: bool [k], the first k frames of the own channel, taken as they are; without it the speaker is silent
            in the first frame.

    Returns:
        bool [n_frames].
    """
    return _sample(tables.joint.reshape(_N_CELLS, _N_CELLS), partner, rng, prompt)


def sample_alone(tables: Tables, n_frames: int, rng: np.random.Generator) -> np.ndarray:
    """Samples the own activity from the own table, which knows of no partner: bool [n_frames]."""
    hazard = np.repeat(tables.own.reshape(_N_CELLS, 1), _N_CELLS, axis=1)
    return _sample(hazard, np.zeros(n_frames, bool), rng, None)


def sample_dialogue(
    tables_by_role: Mapping[str, Tables],
    n_frames: int,
    rng: np.random.Generator,
    roles: tuple[str, str] = ("giver", "follower"),
) -> np.ndarray:
    """Samples two speakers together, each seeing the frames of both up to the one before: bool [2, n_frames]."""
    hazards = [tables_by_role[role].joint.reshape(_N_CELLS, _N_CELLS).tolist() for role in roles]
    bins, chance = _BIN_OF_FRAMES.tolist(), rng.random((2, n_frames)).tolist()
    first, second = False, False
    first_age, second_age = 1, 1
    frames = [[first] * min(n_frames, 1), [second] * min(n_frames, 1)]
    for t in range(1, n_frames):
        first_cell = first * N_AGES + bins[first_age]
        second_cell = second * N_AGES + bins[second_age]
        first_toggles = chance[0][t] < hazards[0][first_cell][second_cell]
        second_toggles = chance[1][t] < hazards[1][second_cell][first_cell]
        first, second = first ^ first_toggles, second ^ second_toggles
        first_age = 1 if first_toggles else min(first_age + 1, _OLDEST_FRAMES)
        second_age = 1 if second_toggles else min(second_age + 1, _OLDEST_FRAMES)
        frames[0].append(first)
        frames[1].append(second)
    return np.array(frames, bool).reshape(2, n_frames)


def save_tables(path: str | os.PathLike, tables: Mapping[str, Tables], provenance: Mapping[str, Any]) -> None:
    """Writes the counts as JSON: for each role 26 rows (own) of 26 numbers (partner)."""
    roles = {
        role: {"toggles": _to_rows(counted.toggles), "frames": _to_rows(counted.frames)}
        for role, counted in tables.items()
    }
    files.write_json(path, {"age_edges_seconds": AGE_EDGES_SECONDS, "provenance": dict(provenance), "roles": roles})


def load_tables(path: str | os.PathLike) -> tuple[dict[str, Tables], dict]:
    """The tables by role, and where they come from; raises `InputError` for another kind of file."""
    try:
        content = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
        if tuple(content["age_edges_seconds"]) != AGE_EDGES_SECONDS:
            raise ValueError("counted with other age bins")
        tables = {
            role: _checked(Tables(_from_rows(counted["toggles"]), _from_rows(counted["frames"])))
            for role, counted in content["roles"].items()
        }
        provenance = dict(content["provenance"])
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; count a table with python -m datasets.hazard") from error
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise InputError(f"{path}: not a hazard table ({error}); count it with python -m datasets.hazard") from error
    return tables, provenance


@functools.cache
def maptask_tables() -> dict[str, Tables]:
    """The shipped tables of "giver" and "follower", counted on all 96 train dialogues (quads other than 4 and 7)."""
    return load_tables(SHIPPED_TABLES)[0]


def _events(own: np.ndarray, partner: np.ndarray) -> np.ndarray:
    """What happened in each frame t from 1: the cell 0..675 of both speakers in t-1, plus 676 if the own toggled."""
    own, partner = np.asarray(own, bool), np.asarray(partner, bool)
    if own.shape != partner.shape:
        raise InputError(f"own and partner activity differ in length: {own.shape} and {partner.shape} frames")
    toggled = own[..., 1:] != own[..., :-1]
    return _cells(own)[..., :-1] * _N_CELLS + _cells(partner)[..., :-1] + toggled * _N_CELLS**2


def _bits(tables: Tables) -> tuple[np.ndarray, np.ndarray]:
    """log2 of the probability of each event, by the joint and by the own table: float64 [1352] each."""
    hazards = tables.joint.ravel(), np.repeat(tables.own.ravel(), _N_CELLS)
    return tuple(np.log2(np.concatenate([1 - hazard, hazard])) for hazard in hazards)


def _cells(activity: np.ndarray) -> np.ndarray:
    return activity * N_AGES + ages(activity)


def _sample(hazard: np.ndarray, partner: np.ndarray, rng: np.random.Generator, prompt: np.ndarray | None) -> np.ndarray:
    partner = np.asarray(partner, bool)
    own = [False] if prompt is None or not len(prompt) else np.asarray(prompt, bool).tolist()[: len(partner)]
    age, state = int(age_frames(np.array(own))[-1]), own[-1]
    # Plain lists: a numpy scalar per frame would cost ten times as much.
    hazards, bins = hazard.tolist(), _BIN_OF_FRAMES[np.arange(len(partner) + 1).clip(max=_OLDEST_FRAMES)].tolist()
    chance, cells = rng.random(len(partner)).tolist(), _cells(partner).tolist()
    for t in range(len(own), len(partner)):
        toggles = chance[t] < hazards[state * N_AGES + bins[age]][cells[t - 1]]
        state ^= toggles
        age = 1 if toggles else age + 1
        own.append(state)
    return np.array(own[: len(partner)], bool)


def _to_rows(counts: np.ndarray) -> list[str]:
    return [" ".join(map(str, row)) for row in counts.reshape(_N_CELLS, _N_CELLS)]


def _from_rows(rows: Sequence[str]) -> np.ndarray:
    return np.array([[int(count) for count in row.split()] for row in rows], np.int64).reshape(_SHAPE)


def _checked(tables: Tables) -> Tables:
    if (tables.toggles < 0).any() or (tables.toggles > tables.frames).any() or not tables.toggles.any():
        raise ValueError("its counts cannot be: toggles are some of the frames")
    return tables


def count_corpus(corpus: "Corpus", output: str | os.PathLike) -> list[str]:
    """Counts all dialogues of a corpus but those of its test, and writes the tables.

    Returns:
        Of each dialogue that could not be read, why.

    Raises:
        InputError: no dialogue can be read.
    """
    dialogues, problems = [], []
    for name in tqdm.tqdm(sorted(corpus.names("train") + corpus.names("validation")), unit="dialogue"):
        try:
            dialogues.append(corpus.load(name, audio=False))
        except InputError as error:
            problems.append(str(error))
    if not dialogues:
        first = f"; the first says: {problems[0]}" if problems else ""
        raise InputError(f"corpus {corpus.name}: none of its dialogues can be counted{first}")
    save_tables(output, fit_dialogues(dialogues), _provenance(corpus, dialogues))
    return problems


def _provenance(corpus: "Corpus", dialogues: Sequence[Dialogue]) -> dict:
    quads = {dialogue.info.get("quad") for dialogue in dialogues} - {None}
    counted = {"dialogues": len(dialogues), "minutes": round(sum(d.duration_seconds for d in dialogues) / 60, 1)}
    if corpus.name != "maptask":
        return counted | {"corpus": corpus.key(), "command": f"python -m datasets.hazard --corpus={corpus.name}"}
    return counted | {
        "corpus": "HCRC Map Task Corpus, NXT annotations v2.1, word timings (Anderson et al. 1991)",
        "quads": sorted(quads),
        "annotations_sha256": corpus.key()["annotations_sha256"],
        "command": "python -m datasets.hazard",
    }


def _define_command():
    from absl import flags

    from datasets.flags import corpus_from_flags, define_corpus_flags

    define_corpus_flags(default="maptask")
    flags.DEFINE_string("output", None, "Where the table is written; for maptask the default is the shipped one.")

    def main(argv):
        corpus, output = corpus_from_flags(), flags.FLAGS.output
        is_shipped = corpus.name == "maptask" and corpus.options.fold is None
        if output is None and not is_shipped:
            raise InputError(f"--output is missing: where the table of {corpus.name} goes, such as {corpus.name}.json")
        output = output or str(SHIPPED_TABLES)
        for problem in count_corpus(corpus, output):
            print(f"left out: {problem}")
        counted = load_tables(output)[1]
        print(f"{output}: counted on {counted['dialogues']} dialogues, {counted['minutes']} minutes")

    return main


if __name__ == "__main__":
    from datasets.errors import run_command

    run_command(_define_command())
