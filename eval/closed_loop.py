"""The closed loop: two copies of an agent talk to each other, and their joint statistics are scored.

PROTOCOL section 3.

It is the second number, after the open loop: it cannot tell replay from talent, so the best match of any minute with
the training dialogues stands beside it, the memorisation probe. Duets are kept on disk; a comparison that was killed
goes on where it was.
"""

import hashlib
import json
import math
from collections.abc import Sequence

import numpy as np
import tqdm

from datasets import activity, hazard
from datasets import dialogue as dialogue_lib
from datasets.corpora import Corpus
from datasets.errors import InputError
from eval import comparison, coordination, detection, memorisation, open_loop, planning, protocol, rows
from eval.agents import Agent
from eval.chunks import CHUNK_SECONDS, Chunk, cut_wholes, whole_dialogues
from eval.dialogues import read_dialogues
from eval.recordings import Recordings
from eval.reference import BOTH
from eval.table import Row

DEFAULT_MINUTES = 60.0
DUET_SECONDS = 300.0
ROWS = {"human": "human", "hazard": "two hazard samplers", "shifted": "one channel shifted"}


def compare_duets(corpus: Corpus, agents: Sequence[Agent | Recordings], settings, minutes: float) -> comparison.Table:
    """The joint table: every agent's duets, and what their scores mean.

    Args:
        corpus: whose humans they are measured by.
        agents: run folders, or folders of recordings with a folder duet/ in them (`eval.dialogues` says what may be
            in it).
        settings: of the comparison.
        minutes: of duets of each agent.
    """
    count, seconds = lengths(minutes)
    train, held_out = detection.detected(corpus, settings.split, settings.detector)
    wholes, learnt = (whole_dialogues(part, corpus.roles[0]) for part in (held_out, train))
    reference = protocol.make_reference(
        wholes,
        learnt,
        coordination.groups_of(train),
        BOTH,
        detector=settings.detector,
        floor_draws=settings.floor_draws,
        seed=settings.seed,
    )
    n_chunks = count * int(seconds / CHUNK_SECONDS)
    table = []
    for agent in agents:
        duets = _recorded(agent, settings) if isinstance(agent, Recordings) else _made(agent, count, seconds, settings)
        table.append(_row(agent.name, "model", reference, cut_wholes(duets), learnt, settings))
    for name, title in ROWS.items():
        chunks = _reference_chunks(name, reference, wholes, learnt, count, seconds, settings.seed)
        kind = "human" if name == "human" else "reference"
        table.append(_row(title, kind, reference, chunks, learnt, settings, n_chunks))
    return comparison.ranked(table, reference, reference.spans[:n_chunks], settings)


def lengths(minutes: float) -> tuple[int, float]:
    """How many duets, and the seconds of each: of five minutes, but at least ten of them."""
    planning.check_minutes(minutes, f"--minutes={minutes:g}")
    count = max(math.ceil(minutes * 60 / DUET_SECONDS), protocol.DRAW_CHUNKS)
    return count, math.ceil(minutes * 60 / count / CHUNK_SECONDS) * CHUNK_SECONDS


def flagged(table: comparison.Table) -> list[str]:
    """Names of the agents that may be replaying training dialogues."""
    return [
        row.name for row in table.rows if row.kind == "model" and row.scores["memorised"] > memorisation.FLAGGED_MATCH
    ]


def _made(agent: Agent, count: int, seconds: float, settings) -> list[Chunk]:
    folder, duets = settings.out / "audio" / agent.name / "duet", []
    total, what = count * seconds, f"{agent.name}, two copies"
    with tqdm.tqdm(total=total, desc=what, unit="s", bar_format=comparison.BAR) as progress:
        for number in range(count):
            seed = open_loop.group_seed(settings.seed, number)
            key = hashlib.sha256(json.dumps([agent.fingerprint, seconds, seed]).encode()).hexdigest()
            answer = open_loop.kept(folder / f"duet-{number:02d}", key)
            if answer is None:
                own, partner = agent.duet(
                    seconds, seed, lambda frames: progress.update(frames / dialogue_lib.FRAMES_PER_SECOND)
                )
                answer = open_loop.keep(folder / f"duet-{number:02d}", key, own, partner.audio, agent.sample_rate)
            else:
                progress.update(seconds)
            speech = [activity.detect(channel, agent.sample_rate, settings.detector) for channel in answer.audio()]
            duets.append(Chunk(f"duet-{number:02d}", 0, 0.0, seconds, *(each.clip(0, seconds) for each in speech)))
    return duets


def _recorded(agent: Recordings, settings) -> list[Chunk]:
    if not (agent.folder / "duet").is_dir():
        raise InputError(
            f"{agent.folder}: --closed_loop needs a folder duet/ in it, with two-channel sound or intervals"
        )
    return read_dialogues(agent.folder / "duet", settings.detector)[0]


def _reference_chunks(name, reference, wholes, learnt, count: int, seconds: float, seed: int) -> list[Chunk]:
    if name == "human":
        return reference.chunks
    rng = protocol.row_rng(seed, name)
    if name == "shifted":
        return protocol.row_chunks(reference, wholes, rows.shifted, rows.Background(reference.tables[0], learnt), rng)
    sides, n_frames = dict(enumerate(reference.tables)), dialogue_lib.seconds_to_frames(seconds)
    duets = []
    for number in range(count):
        gates = hazard.sample_dialogue(sides, n_frames, rng, tuple(sides))
        duets.append(Chunk(f"sampled-{number}", 0, 0.0, seconds, *map(dialogue_lib.intervals_from_activity, gates)))
    return cut_wholes(duets)


def _row(name, kind: str, reference, chunks, learnt, settings, n_probed: int | None = None) -> Row:
    rng = np.random.default_rng(settings.seed)
    scores = protocol.score(reference, chunks, rng, draws=settings.draws, among_humans=kind == "human")
    # The best of many matches grows with their number: as many of each row.
    probed = chunks if n_probed is None else chunks[:: max(len(chunks) // n_probed, 1)][:n_probed]
    scores["memorised"] = float(memorisation.best_matches(probed, learnt).max())
    per_dialogue = scores.pop("per_dialogue")
    return Row(name, kind, scores, reference.table(chunks).pool().durations["fto"], None, per_dialogue)
