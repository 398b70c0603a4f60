"""C, coordination: how much of an agent's timing its partner's timing explains, and whether it hears more than that.

PROTOCOL section 5. The log-likelihood ratio is the one of `datasets.hazard`, whose tables are fitted on train dialogues
and frozen. It is zero or negative for whatever ignores its partner.
"""

import dataclasses
from collections.abc import Hashable, Sequence

import numpy as np

from datasets import hazard
from datasets.dialogue import Dialogue
from datasets.errors import InputError
from eval.chunks import Chunk

SHIFTED_SHARE = (0.25, 0.75)
LEAST_SILENCE_SECONDS = 0.5
ANSWER_SECONDS = 0.5


def llr_per_chunk(tables: hazard.Tables, chunks: Sequence[Chunk]) -> np.ndarray:
    """Bits per second of every chunk, [n]."""
    frames = [chunk.activity() for chunk in chunks]
    return _llr(tables, frames)


def dllr_per_chunk(tables: hazard.Tables, chunks: Sequence[Chunk], rng: np.random.Generator) -> np.ndarray:
    """LLR with the true partner minus LLR with the partner rolled by a uniform 25-75 % of the chunk, [n] bits/s."""
    frames = [chunk.activity() for chunk in chunks]
    shifts = [int(rng.uniform(*SHIFTED_SHARE) * each.shape[1]) for each in frames]
    rolled = [np.stack([own, np.roll(partner, n)]) for (own, partner), n in zip(frames, shifts, strict=True)]
    return _llr(tables, frames) - _llr(tables, rolled)


def groups_of(dialogues: Sequence[Dialogue]) -> list[Hashable]:
    """What leaving one out leaves out: the quad of speakers where the corpus knows it, else the dialogue."""
    return [dialogue.info.get("quad", dialogue.name) for dialogue in dialogues]


def leave_one_out_llr(wholes: Sequence[Chunk], groups: Sequence[Hashable]) -> float:
    """Human LLR in bits per second: each group of dialogues by the tables of all the others.

    Args:
        wholes: whole train dialogues.
        groups: for each, what no two groups may share, such as the quad of its speakers; at least two different ones.
    """
    if len(set(groups)) < 2:
        raise InputError(f"leaving one group out needs two; the {len(wholes)} dialogues are of {len(set(groups))}")
    pairs: dict[Hashable, list] = {}
    for whole, group in zip(wholes, groups, strict=True):
        pairs.setdefault(group, []).append(whole.activity())
    counted = {group: hazard.fit_tables(pairs[group]) for group in pairs}
    total = hazard.fit_tables([pair for group in pairs for pair in pairs[group]])
    bits = frames = 0.0
    for group in pairs:
        tables = total - counted[group]
        for own, partner in pairs[group]:
            bits += hazard.llr(tables, own, partner) * len(own)
            frames += len(own)
    return float(bits / frames)


@dataclasses.dataclass(frozen=True)
class Selectivity:
    """How an agent took what the real one took as a shift, or left as a hold.

    Attributes:
        shifts, holds: silences of the partner in which the real agent did, and did not, start.
        answered_shifts, answered_holds: in how many of each the scored agent started within 0.5 s.
    """

    shifts: int
    holds: int
    answered_shifts: int
    answered_holds: int

    @property
    def value(self) -> float:
        """P(start | real shift) - P(start | real hold); NaN without one of each."""
        if not self.shifts or not self.holds:
            return float("nan")
        return self.answered_shifts / self.shifts - self.answered_holds / self.holds


def selectivity(real: Sequence[Chunk], scored: Sequence[Chunk]) -> Selectivity:
    """Whether an agent starts where the real one took the turn, rather than wherever it was silent.

    At each partner IPU end with at least 0.5 s until the partner's next IPU, where the real agent is silent: a shift if
    the real agent starts before the partner resumes, else a hold. It is skipped if the scored agent is speaking.

    Args:
        real, scored: the same stretches, [n] each; the partner is the one of `real`.
    """
    counts = np.zeros((2, 2), int)
    for human, agent in zip(real, scored, strict=True):
        if (human.dialogue, human.start_seconds) != (agent.dialogue, agent.start_seconds):
            raise InputError(f"{agent.dialogue} at {agent.start_seconds:g} s is not the stretch it is compared with")
        ends, resumes = human.partner_ipus[:-1, 1], human.partner_ipus[1:, 0]
        kept = (resumes - ends >= LEAST_SILENCE_SECONDS) & ~_speaking(human.own_ipus, ends)
        kept &= ~_speaking(agent.own_ipus, ends)
        ends, resumes = ends[kept], resumes[kept]
        is_shift = _next_onset(human.own_ipus, ends) < resumes
        answered = _next_onset(agent.own_ipus, ends) <= ends + ANSWER_SECONDS
        np.add.at(counts, (is_shift.astype(int), answered.astype(int)), 1)
    return Selectivity(*(int(n) for n in (counts[1].sum(), counts[0].sum(), counts[1, 1], counts[0, 1])))


def onset_hazard(chunks: Sequence[Chunk], edges_seconds: np.ndarray) -> np.ndarray:
    """P(the agent starts in a bin of time since the partner's IPU ended | both silent until then), [bins].

    The curve of Levinson & Torreira's response times, as a rate: what an agent that waits for silence shows as a spike.

    Args:
        chunks: the dialogues.
        edges_seconds: [bins + 1] ascending, from 0.
    """
    edges = np.asarray(edges_seconds, np.float64)
    starts, at_risk = np.zeros(len(edges) - 1), np.zeros(len(edges) - 1)
    for chunk in chunks:
        ends = chunk.partner_ipus[:, 1]
        resumes = np.append(chunk.partner_ipus[1:, 0], chunk.seconds)[: len(ends)]
        silent = ~_speaking(chunk.own_ipus, ends)
        waited, answered = (resumes - ends)[silent], _next_onset(chunk.own_ipus, ends[silent]) - ends[silent]
        over = np.minimum(waited, answered)
        at_risk += (over[:, None] > edges[:-1]).sum(axis=0)
        starts += np.histogram(answered[answered < waited], edges)[0]
    return np.divide(starts, at_risk, out=np.full(len(starts), np.nan), where=at_risk > 0)


def _llr(tables: hazard.Tables, frames: Sequence[np.ndarray]) -> np.ndarray:
    """LLR of activities bool [2, n_frames], those of one length together."""
    result, lengths = np.zeros(len(frames)), np.array([each.shape[1] for each in frames])
    for length in np.unique(lengths):
        chosen = np.flatnonzero(lengths == length)
        stacked = np.stack([frames[i] for i in chosen])
        result[chosen] = hazard.llr(tables, stacked[:, 0], stacked[:, 1])
    return result


def _speaking(ipus: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Whether an IPU holds each time, bool [n]."""
    started = np.searchsorted(ipus[:, 0], times, "right")
    return started > np.searchsorted(ipus[:, 1], times, "right")


def _next_onset(ipus: np.ndarray, times: np.ndarray) -> np.ndarray:
    """The first onset after each time, [n] seconds; infinite where there is none."""
    return np.append(ipus[:, 0], np.inf)[np.searchsorted(ipus[:, 0], times, "right")]
