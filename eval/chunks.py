"""Chunks: the stretches of dialogue that are scored, each with the speech of one role and of its partner."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from datasets import dialogue as dialogue_lib
from datasets.errors import InputError

CHUNK_SECONDS = 60.0
PROMPT_SECONDS = 30.0


@dataclasses.dataclass(frozen=True)
class Span:
    """Where a chunk lies: `seconds` from `start_seconds`, which `prompt_seconds` of both real channels precede."""

    dialogue: str
    index: int
    start_seconds: float
    seconds: float = CHUNK_SECONDS
    prompt_seconds: float = 0.0


@dataclasses.dataclass(frozen=True, eq=False)
class Chunk:
    """The speech of one role and of its partner in one stretch.

    Attributes:
        dialogue: name of the dialogue.
        index: of the chunk in its dialogue.
        start_seconds: where it starts in the dialogue.
        seconds: its length.
        own_ipus, partner_ipus: [n, 2] seconds from the start of the chunk; silences below 0.200 s are bridged if they
            are not, and what is not sorted, disjoint and inside the chunk raises `InputError`.
    """

    dialogue: str
    index: int
    start_seconds: float
    seconds: float
    own_ipus: np.ndarray
    partner_ipus: np.ndarray

    def __post_init__(self):
        for name in ("own_ipus", "partner_ipus"):
            what = f"{self.dialogue}, chunk {self.index}, {name}"
            ipus = dialogue_lib.validate_intervals(getattr(self, name), self.seconds, what)
            object.__setattr__(self, name, dialogue_lib.bridge(ipus))

    @property
    def n_frames(self) -> int:
        return dialogue_lib.seconds_to_frames(self.seconds)

    def activity(self) -> np.ndarray:
        """Own and partner at 50 Hz: bool [2, n_frames]."""
        return np.stack([dialogue_lib.activity(ipus, self.n_frames) for ipus in (self.own_ipus, self.partner_ipus)])


def chunk_list(
    dialogues: Sequence[dialogue_lib.Dialogue], prompt_seconds: float = 0.0, chunk_seconds: float = CHUNK_SECONDS
) -> list[Span]:
    """Consecutive stretches from the start of every dialogue; the remainder is not used.

    With a prompt, every chunk is preceded by its own `prompt_seconds`: chunks of 60 s with prompts of 30 s start at 30,
    120, 210, ... s.
    """
    lengths = [(dialogue.name, dialogue.duration_seconds) for dialogue in dialogues]
    return _spans(lengths, prompt_seconds, chunk_seconds)


def spans_of(wholes: Sequence[Chunk], prompt_seconds: float = 0.0, chunk_seconds: float = CHUNK_SECONDS) -> list[Span]:
    """`chunk_list` of dialogues that are given as whole chunks."""
    return _spans([(whole.dialogue, whole.seconds) for whole in wholes], prompt_seconds, chunk_seconds)


def cut_chunk(span: Span, own_ipus: np.ndarray, partner_ipus: np.ndarray) -> Chunk:
    """A chunk out of the IPUs of whole channels, [n, 2] seconds from the start of the dialogue."""
    end = span.start_seconds + span.seconds
    own, partner = (dialogue_lib.cut(ipus, span.start_seconds, end) for ipus in (own_ipus, partner_ipus))
    return Chunk(span.dialogue, span.index, span.start_seconds, span.seconds, own, partner)


def cut_wholes(
    wholes: Sequence[Chunk], prompt_seconds: float = 0.0, chunk_seconds: float = CHUNK_SECONDS
) -> list[Chunk]:
    """The chunks of `spans_of` dialogues that are given as whole chunks."""
    by_name = {whole.dialogue: whole for whole in wholes}
    return [
        cut_chunk(span, by_name[span.dialogue].own_ipus, by_name[span.dialogue].partner_ipus)
        for span in spans_of(wholes, prompt_seconds, chunk_seconds)
    ]


def dialogue_chunks(
    dialogues: Sequence[dialogue_lib.Dialogue], role: str, spans: Sequence[Span] | None = None
) -> list[Chunk]:
    """The chunks of real dialogues as `role` lived them, by their annotated speech."""
    by_name = {dialogue.name: dialogue for dialogue in dialogues}
    ipus = {name: [dialogue.ipus(channel) for channel in (0, 1)] for name, dialogue in by_name.items()}
    chunks = []
    for span in chunk_list(dialogues) if spans is None else spans:
        if span.dialogue not in by_name:
            raise InputError(f"{span.dialogue}: a chunk of it is wanted, but it is not among the dialogues")
        own = by_name[span.dialogue].channel_of(role)
        chunks.append(cut_chunk(span, ipus[span.dialogue][own], ipus[span.dialogue][1 - own]))
    return chunks


def mirrored(chunks: Sequence[Chunk]) -> list[Chunk]:
    """The same stretches as the partner lived them."""
    return [dataclasses.replace(each, own_ipus=each.partner_ipus, partner_ipus=each.own_ipus) for each in chunks]


def whole_dialogues(dialogues: Sequence[dialogue_lib.Dialogue], role: str) -> list[Chunk]:
    """Each real dialogue from end to end as one chunk, as `role` lived it, by its annotated speech."""
    wholes = []
    for dialogue in dialogues:
        own = dialogue.channel_of(role)
        ipus = dialogue.ipus(own), dialogue.ipus(1 - own)
        wholes.append(Chunk(dialogue.name, 0, 0.0, dialogue.duration_seconds, *ipus))
    return wholes


def _spans(lengths: Sequence[tuple[str, float]], prompt_seconds: float, chunk_seconds: float) -> list[Span]:
    step = prompt_seconds + chunk_seconds
    return [
        Span(name, index, index * step + prompt_seconds, chunk_seconds, prompt_seconds)
        for name, seconds in lengths
        for index in range(int(seconds / step + 1e-9))
    ]
