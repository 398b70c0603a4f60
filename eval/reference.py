"""What a system is measured by: humans in one role, or both speakers together, and how far humans are from humans.

A draw is ten 60 s chunks from ten different dialogues; distances between samples shrink with their size, so floors are
those of draws, and every system is scored by draws of the same size.

The role "both" measures a dialogue by its joint statistics: the events of both speakers together, and the sum of both
LLRs. It is for two copies of an agent that talk to each other.
"""

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from datasets import hazard
from datasets.errors import InputError
from eval import coordination, shape
from eval.chunks import CHUNK_SECONDS, Chunk, Span, cut_wholes, mirrored

VERSION = 1
DRAW_CHUNKS = 10
FLOOR_DRAWS = 2000
FLOOR_PERCENTILE = 95
BOTH = "both"
# The smallest difference of TTR that ten minutes can show, by `python -m eval.plan` on Map Task's follower.
DRAW_SHOWS_TTR = 0.56

Tables = hazard.Tables | tuple[hazard.Tables, hazard.Tables]


class Norm:
    """How one role is scored.

    Attributes:
        role: such as "follower", or "both".
        tables: the hazard tables of the role; for "both" those of channel 0 and of channel 1.
        llr_human: bits per second that count as C = 1.
        floors: of each distance, the 95th percentile between a draw of humans and all other humans.
        events: what the humans did.
        detector: which activity all of it was counted on; never compare numbers of different ones.
        draw_chunks: chunks of a draw.
    """

    def __init__(
        self,
        role: str,
        tables: Tables,
        llr_human: float,
        floors: dict[str, float],
        events: shape.EventTable,
        detector: str,
        draw_chunks: int = DRAW_CHUNKS,
    ):
        self.role, self.tables, self.llr_human, self.floors = role, tables, float(llr_human), dict(floors)
        self.events, self.detector, self.draw_chunks = events, detector, draw_chunks
        if self.llr_human <= 0:
            raise InputError(
                f"the human {role}: LLR is {self.llr_human:.3f} bits/s, so timing here tells of no partner; were the"
                " tables counted on like dialogues, with the same detector?"
            )

    def table(self, chunks: Sequence[Chunk]) -> shape.EventTable:
        """The events of chunks that are scored: of the own channel, or of both."""
        return shape.EventTable(chunks, both=self.role == BOTH)

    def llr_of(self, chunks: Sequence[Chunk]) -> np.ndarray:
        """LLR of chunks, [n] bits per second; for "both" the sum of the two."""
        return _summed(coordination.llr_per_chunk, self.tables, chunks)

    def dllr_of(self, chunks: Sequence[Chunk], rng: np.random.Generator) -> np.ndarray:
        """LLR with the true partner minus with a shifted one, [n] bits per second; for "both" the sum of the two."""
        return _summed(lambda *each: coordination.dllr_per_chunk(*each, rng), self.tables, chunks)

    def real(self, chunks: Sequence[Chunk]) -> list[Chunk] | None:
        """What the human did in the places of `chunks`, where that is known."""
        return None

    def describe(self) -> dict[str, Any]:
        """What a score file carries, as JSON values."""
        return {
            "protocol": VERSION,
            "role": self.role,
            "detector": self.detector,
            "draw_chunks": self.draw_chunks,
            "llr_human": self.llr_human,
            "floors": dict(self.floors),
        }


class Reference(Norm):
    """Humans of held-out dialogues.

    Attributes:
        chunks: the real chunks; `own` is the role, or channel 0 for "both".
        prompt_seconds: of both real channels, which a system heard before each chunk.
        human_distances: of each name [floor_draws], between a draw of humans and all other human chunks.
        llr: bits per second of each chunk, [n].
    """

    def __init__(
        self,
        chunks: Sequence[Chunk],
        tables: Tables,
        role: str,
        *,
        llr_human: float | None = None,
        detector: str = "annotations",
        prompt_seconds: float = 0.0,
        draw_chunks: int = DRAW_CHUNKS,
        floor_draws: int = FLOOR_DRAWS,
        seed: int = 0,
    ):
        """See the class.

        Args:
            chunks, tables, role, detector, prompt_seconds, draw_chunks: see there.
            llr_human: of train, by leaving one group of speakers out; None takes the mean of `chunks` themselves.
            floor_draws: of humans against humans. 200 of them leave a floor uncertain by 3-10 %.
            seed: of those draws.

        Raises:
            InputError: without `draw_chunks` chunks from as many dialogues, and one more to compare them with.
        """
        self.chunks, self.prompt_seconds = list(chunks), prompt_seconds
        self.floor_draws, self.seed = floor_draws, seed
        check_enough(self.chunks, draw_chunks, f"the human {role}")
        if len(self.chunks) == draw_chunks:
            raise InputError(
                f"the human {role}: all {draw_chunks} chunks are one draw, and none is left to compare with"
            )
        self.llr = _summed(coordination.llr_per_chunk, tables, self.chunks)
        llr_human = float(self.llr.mean()) if llr_human is None else llr_human
        events = shape.EventTable(self.chunks, both=role == BOTH)
        super().__init__(role, tables, llr_human, {}, events, detector, draw_chunks)
        self.human_distances = self._human_distances(np.random.default_rng(seed))
        self.floors |= {
            name: float(np.percentile(found, FLOOR_PERCENTILE)) for name, found in self.human_distances.items()
        }
        self._place = {place_of(chunk): i for i, chunk in enumerate(self.chunks)}

    @property
    def spans(self) -> list[Span]:
        """Where the chunks lie."""
        return [
            Span(chunk.dialogue, chunk.index, chunk.start_seconds, chunk.seconds, self.prompt_seconds)
            for chunk in self.chunks
        ]

    def real(self, chunks: Sequence[Chunk]) -> list[Chunk] | None:
        """What the human did in the places of `chunks`, or None if one is not of the reference."""
        places = [self._place.get(place_of(chunk)) for chunk in chunks]
        return None if None in places else [self.chunks[place] for place in places]

    def describe(self) -> dict[str, Any]:
        return super().describe() | {
            "prompt_seconds": self.prompt_seconds,
            "floor_draws": self.floor_draws,
            "seed": self.seed,
            "chunks": [[chunk.dialogue, chunk.start_seconds, chunk.seconds] for chunk in self.chunks],
        }

    def times_of_others(self, drawn: np.ndarray) -> np.ndarray:
        """How often each chunk is taken where all but the drawn ones are: int [n]."""
        left = np.ones(len(self.chunks), int)
        left[drawn] = 0
        return left

    def _human_distances(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        draws = draw(self.chunks, self.draw_chunks, self.floor_draws, rng)
        among = shape.Comparison(self.events, self.events)
        found = [among.distance(self.events.times(drawn), self.times_of_others(drawn)) for drawn in draws]
        return {name: np.array([each[name] for each in found]) for name in shape.DISTANCES}


def make_reference(
    wholes: Sequence[Chunk],
    train: Sequence[Chunk],
    groups: Sequence[Hashable],
    role: str,
    *,
    prompt_seconds: float = 0.0,
    chunk_seconds: float = CHUNK_SECONDS,
    **options,
) -> Reference:
    """A reference with tables fitted on train dialogues, and human LLR by leaving one group of them out.

    Args:
        wholes, train: whole held-out and train dialogues as the role lived them (for "both": as channel 0 did), by one
            and the same detector.
        groups: of `train`, see `coordination.leave_one_out_llr`.
        role: such as "follower", or "both".
        prompt_seconds, chunk_seconds: of the chunk list.
        options: further arguments of `Reference`.
    """
    chunks = cut_wholes(wholes, prompt_seconds, chunk_seconds)
    sides = [train, mirrored(train)] if role == BOTH else [train]
    tables = [hazard.fit_tables([whole.activity() for whole in side]) for side in sides]
    llr_human = sum(coordination.leave_one_out_llr(side, groups) for side in sides)
    fitted = tuple(tables) if role == BOTH else tables[0]
    return Reference(chunks, fitted, role, llr_human=llr_human, prompt_seconds=prompt_seconds, **options)


def draw(
    chunks: Sequence[Chunk], size: int, n: int, rng: np.random.Generator, repeated: bool = False
) -> list[np.ndarray]:
    """`n` draws of `size` indices into `chunks`, each of different dialogues and one chunk of each.

    With `repeated` a dialogue may come again: the bootstrap by dialogue.
    """
    by_dialogue: dict[str, list[int]] = {}
    for i, chunk in enumerate(chunks):
        by_dialogue.setdefault(chunk.dialogue, []).append(i)
    places = list(by_dialogue.values())
    draws = []
    for _ in range(n):
        chosen = rng.choice(len(places), size, replace=repeated)
        draws.append(np.array([places[i][rng.integers(len(places[i]))] for i in chosen]))
    return draws


def check_enough(chunks: Sequence[Chunk], draw_chunks: int, what: str) -> None:
    """Raises `InputError` unless one draw can be made."""
    dialogues = len({chunk.dialogue for chunk in chunks})
    if dialogues >= draw_chunks:
        return
    seconds = sum(chunk.seconds for chunk in chunks)
    shown = ""
    if draw_chunks == DRAW_CHUNKS and seconds < DRAW_CHUNKS * CHUNK_SECONDS:
        shown = (
            f"; {seconds:g} s of dialogue are too short: even ten minutes show no difference of TTR below"
            f" {DRAW_SHOWS_TTR:g} (python -m eval.plan)"
        )
    raise InputError(
        f"{what}: a draw is {draw_chunks} chunks from {draw_chunks} different dialogues, and there are"
        f" {len(chunks)} chunks from {dialogues}; take more dialogues, or say so with a smaller draw_chunks{shown}"
    )


def place_of(chunk: Chunk) -> tuple[str, float]:
    """The dialogue and where in it."""
    return chunk.dialogue, round(chunk.start_seconds, 6)


def _summed(per_chunk, tables: Tables, chunks: Sequence[Chunk]) -> np.ndarray:
    if isinstance(tables, tuple):
        return per_chunk(tables[0], chunks) + per_chunk(tables[1], mirrored(chunks))
    return per_chunk(tables, chunks)
