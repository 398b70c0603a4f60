"""Reference rows: what is no system, and shows what a score means (PROTOCOL section 5 and its appendix).

A row turns a whole real dialogue, as one role lived it, into what another kind of speaker would have done against the
same partner: float64 [n, 2] seconds, to be cut like any system's. `ROWS` has them by name.
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from datasets import dialogue as dialogue_lib
from datasets import hazard
from datasets.errors import InputError
from eval.chunks import Chunk, Span

ROTATED_SHARE = (0.2, 0.8)
JITTER_SECONDS = 0.3


@dataclasses.dataclass(frozen=True, eq=False)
class Background:
    """What a row may know besides the dialogue.

    Attributes:
        tables: the hazard tables of the role.
        train: whole train dialogues of the role; may be empty where no row needs them.
        spans: the stretches that are scored; where they have prompts, the hazard sampler gets these too.
    """

    tables: hazard.Tables
    train: Sequence[Chunk] = ()
    spans: Sequence[Span] = ()

    def some_train_dialogue(self, rng: np.random.Generator) -> Chunk:
        if not self.train:
            raise InputError("this reference row needs train dialogues, and there are none")
        return self.train[rng.integers(len(self.train))]

    def ipu_lengths(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Lengths of random train IPUs, seconds [n]."""
        if not self.train:
            raise InputError("this reference row needs train dialogues, and there are none")
        lengths = np.concatenate([np.diff(whole.own_ipus, axis=1)[:, 0] for whole in self.train])
        if not len(lengths):
            raise InputError("this reference row needs speech in the train dialogues, and there is none")
        return rng.choice(lengths, n)


Row = Callable[[Chunk, Background, np.random.Generator], np.ndarray]


def human(whole: Chunk, background: Background, rng: np.random.Generator) -> np.ndarray:
    """The real speaker."""
    return whole.own_ipus


def hazard_sampler(whole: Chunk, background: Background, rng: np.random.Generator) -> np.ndarray:
    """The joint table, sampled against the real partner; from the real prompt on wherever there is one."""
    real, partner = whole.activity()
    own = hazard.sample_against(background.tables, partner, rng)
    for span in background.spans:
        if span.dialogue == whole.dialogue and span.prompt_seconds > 0:
            first, begun, end = (
                dialogue_lib.seconds_to_frames(span.start_seconds + offset)
                for offset in (-span.prompt_seconds, 0, span.seconds)
            )
            prompt = real[first:begun]
            own[first:end] = hazard.sample_against(background.tables, partner[first:end], rng, prompt)
    return dialogue_lib.intervals_from_activity(own)


def own_hazard(whole: Chunk, background: Background, rng: np.random.Generator) -> np.ndarray:
    """The own table, sampled: the partner is ignored."""
    return dialogue_lib.intervals_from_activity(hazard.sample_alone(background.tables, whole.n_frames, rng))


def shifted(whole: Chunk, background: Background, rng: np.random.Generator) -> np.ndarray:
    """The real speaker's channel, rotated by a uniform 20-80 % of the dialogue."""
    return rotate(whole.own_ipus, rng.uniform(*ROTATED_SHARE) * whole.seconds, whole.seconds)


def replayed(whole: Chunk, background: Background, rng: np.random.Generator) -> np.ndarray:
    """The same role of a random train dialogue, from its start, again and again if it is shorter."""
    other = background.some_train_dialogue(rng)
    times = int(np.ceil(whole.seconds / other.seconds))
    repeated = np.concatenate([other.own_ipus + i * other.seconds for i in range(times)])
    return dialogue_lib.cut(repeated, 0, whole.seconds)


def timeout(seconds: float) -> Row:
    """Starts so long after the partner's IPU, if the partner is still silent, for the length of a random train IPU."""

    def row(whole: Chunk, background: Background, rng: np.random.Generator) -> np.ndarray:
        ends = whole.partner_ipus[:, 1]
        resumes = np.append(whole.partner_ipus[1:, 0], np.inf)[: len(ends)]
        lengths = background.ipu_lengths(len(ends), rng)
        own, silent_since = [], -np.inf
        for end, resume, length in zip(ends, resumes, lengths, strict=True):
            start = end + seconds
            if start < resume and start - silent_since >= dialogue_lib.BRIDGE_SECONDS:
                own.append((start, start + length))
                silent_since = start + length
        return dialogue_lib.cut(np.array(own), 0, whole.seconds)

    return row


def delayed(seconds: float) -> Row:
    """The real speaker, so much later."""

    def row(whole: Chunk, background: Background, rng: np.random.Generator) -> np.ndarray:
        return dialogue_lib.cut(whole.own_ipus + seconds, 0, whole.seconds)

    return row


def jittered(whole: Chunk, background: Background, rng: np.random.Generator) -> np.ndarray:
    """The real speaker's IPUs, each moved by a normal of sd 0.3 s, with its length."""
    moved = whole.own_ipus + rng.normal(0, JITTER_SECONDS, (len(whole.own_ipus), 1))
    moved = dialogue_lib.bridge(moved[np.argsort(moved[:, 0], kind="stable")])
    return dialogue_lib.cut(moved, 0, whole.seconds)


def silent(whole: Chunk, background: Background, rng: np.random.Generator) -> np.ndarray:
    """Says nothing."""
    return np.zeros((0, 2))


def talks_in_silence(whole: Chunk, background: Background, rng: np.random.Generator) -> np.ndarray:
    """Speaks exactly where the partner does not."""
    edges = np.concatenate([[0.0], whole.partner_ipus.ravel(), [whole.seconds]]).reshape(-1, 2)
    return dialogue_lib.cut(edges[edges[:, 1] > edges[:, 0]], 0, whole.seconds)


DETERMINED = ("human", "delayed_200", "delayed_500", "delayed_1000", "silent", "talks_in_silence")
ROWS: dict[str, Row] = {
    "human": human,
    "hazard": hazard_sampler,
    "shifted": shifted,
    "replayed": replayed,
    "own_hazard": own_hazard,
    "timeout_200": timeout(0.2),
    "timeout_700": timeout(0.7),
    "delayed_200": delayed(0.2),
    "delayed_500": delayed(0.5),
    "delayed_1000": delayed(1.0),
    "jittered": jittered,
    "silent": silent,
    "talks_in_silence": talks_in_silence,
}


def rotate(intervals: np.ndarray, by_seconds: float, duration_seconds: float) -> np.ndarray:
    """A channel rotated to the right; what goes over the end comes in at the start."""
    moved = np.asarray(intervals, np.float64).reshape(-1, 2) + by_seconds % duration_seconds
    back = dialogue_lib.cut(moved - duration_seconds, 0, duration_seconds)
    return np.concatenate([back, dialogue_lib.cut(moved, 0, duration_seconds)])
