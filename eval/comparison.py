"""A comparison under the protocol: agents, and the rows that say what their scores mean, role by role."""

import dataclasses
import functools
import pathlib
import sys
from collections.abc import Callable, Sequence

import numpy as np
import tqdm

from datasets import activity as activity_lib
from datasets import audio as audio_lib
from datasets import turns
from datasets.corpora import Corpus
from datasets.dialogue import Dialogue
from datasets.errors import InputError
from eval import (
    coordination,
    detection,
    gallery,
    open_loop,
    planning,
    prediction,
    profile,
    protocol,
    recordings,
    rows,
    score_files,
    shape,
)
from eval.agents import Agent
from eval.audio.features import Clip
from eval.chunks import PROMPT_SECONDS, Chunk, Span, whole_dialogues
from eval.recordings import Recordings
from eval.table import Row

REFERENCE_ROWS = {
    "human": "human",
    "hazard": "hazard sampler",
    "shifted": "own channel shifted",
    "timeout_700": "time-out 700 ms",
}

# Of `zoo.objective.figures`, comparable between codings.
BITS = "sound_bits_per_16_bit_sample"
BAR = "{desc}: {percentage:3.0f}%|{bar}| {n:.0f}/{total:.0f} s [{elapsed}<{remaining}]"


@dataclasses.dataclass(frozen=True)
class Settings:
    """How agents are compared.

    Attributes:
        out: folder of the answers and of all that is written.
        split: whose dialogues are answered.
        detector: of `datasets.activity`, for all sound alike.
        seed: of the agents, of the reference rows and of the draws.
        chunks_per_dialogue: how many 60 s an agent answers of each dialogue.
        roles: which roles the agents take, each for itself.
        draws: of ten minutes each, over which scores are averaged.
        floor_draws: of humans, from which the floors are taken.
        plan_sets: of a speaker, from which the smallest difference that says anything is taken.
        audio: whether the sound is scored too, by `eval.audio`.
    """

    out: pathlib.Path
    split: str = "test"
    detector: str = "energy"
    seed: int = 0
    chunks_per_dialogue: int = 1
    roles: tuple[str, ...] = ("follower", "giver")
    draws: int = protocol.DRAWS
    floor_draws: int = protocol.FLOOR_DRAWS
    plan_sets: int = planning.SETS
    audio: bool = False


@dataclasses.dataclass(frozen=True, eq=False)
class Table:
    """One role's rows, and the humans that they are measured by.

    Attributes:
        rows: of the table.
        reference: the humans.
        spans: what was answered.
        shown_ttr: the smallest difference of TTR that so many chunks can show; rows that differ by less are ties.
    """

    rows: list[Row]
    reference: protocol.Reference
    spans: list[Span]
    shown_ttr: float


@dataclasses.dataclass(frozen=True, eq=False)
class Words:
    """What the word timings say of whole channels without a prompt: the figures of PROTOCOL sections 2 and 5."""

    statistics: dict[str, float]
    tables: dict[str, Table]


def compare_sound(corpus: Corpus, agents: Sequence[Agent | Recordings], settings: Settings) -> dict[str, Table]:
    """The open loop: every agent and every reference row, from detected activity, for each role."""
    train, held_out = detection.detected(corpus, settings.split, settings.detector)
    return {role: _open_loop(corpus, agents, settings, role, train, held_out) for role in settings.roles}


def compare_words(corpus: Corpus, settings: Settings) -> Words | None:
    """The reference rows from word timings, or None where the corpus has none."""
    train, held_out = (
        [corpus.load(name, audio=False) for name in part] for part in detection.names(corpus, settings.split)
    )
    if not any(channel for dialogue in held_out for channel in dialogue.words):
        return None
    tables = {}
    for role in settings.roles:
        humans = _Humans(train, held_out, role, "annotations", 0.0, settings)
        tables[role] = ranked(humans.rows(settings), humans.reference, humans.reference.spans, settings)
    return Words(turns.statistics([turns.dialogue_events(dialogue) for dialogue in held_out]), tables)


def _open_loop(
    corpus: Corpus, agents: Sequence[Agent | Recordings], settings: Settings, role: str, train, held_out
) -> Table:
    humans = _Humans(train, held_out, role, settings.detector, PROMPT_SECONDS, settings)
    answered = [span for span in humans.reference.spans if span.index < settings.chunks_per_dialogue]
    shown = humans.liveliest(answered)
    table = []
    for agent in agents:
        if not isinstance(agent, Recordings):
            table.append(_agent_row(agent, corpus, settings, humans.reference, answered, shown))
            continue
        try:
            if role in agent.roles(corpus.roles):
                table.append(_recorded_row(agent, corpus, settings, humans.reference, answered, shown))
        except InputError as error:
            # What one folder got wrong must not take the rows of the others with it.
            if len(agents) == 1:
                raise
            print(f"{agent.name} as {role}: left out: {error}", file=sys.stderr)
    dialogue = corpus.load(shown.dialogue)
    table += humans.rows(settings, None if dialogue.audio is None else dialogue, shown)
    return ranked(table, humans.reference, answered, settings)


def ranked(table: list[Row], reference: protocol.Reference, spans: list[Span], settings: Settings) -> Table:
    """The table, with a rank for each row: 1 and one more for each that is better by what so much dialogue shows."""
    rng = np.random.default_rng(settings.seed)
    shown_ttr = planning.smallest_difference(reference, len(spans), rng, sets=settings.plan_sets)
    score_files.rank([row.scores for row in table], shown_ttr)
    return Table(table, reference, spans, shown_ttr)


class _Humans:
    """The real speakers of one role, by one detector, and the reference rows that are made of them."""

    def __init__(self, train, held_out, role: str, detector: str, prompt_seconds: float, settings: Settings):
        self._wholes, self._train = (whole_dialogues(held_out, role), whole_dialogues(train, role))
        self.reference = protocol.make_reference(
            self._wholes,
            self._train,
            coordination.groups_of(train),
            role,
            prompt_seconds=prompt_seconds,
            detector=detector,
            floor_draws=settings.floor_draws,
            seed=settings.seed,
        )

    def liveliest(self, spans: Sequence[Span]) -> Span:
        """The span in which the human took the floor most often: what is shown of every row."""
        wanted = set(spans)
        chunks = [
            chunk for span, chunk in zip(self.reference.spans, self.reference.chunks, strict=True) if span in wanted
        ]
        taken = [len(shape.EventTable([chunk]).pool().durations["fto"]) for chunk in chunks]
        return spans[int(np.argmax(taken))]

    def rows(self, settings: Settings, shown: Dialogue | None = None, span: Span | None = None) -> list[Row]:
        """The rows, with an excerpt at `span` of the dialogue `shown` where that is given."""
        scores = protocol.reference_rows(
            self.reference,
            self._wholes,
            self._train,
            names=tuple(REFERENCE_ROWS),
            seed=settings.seed,
            draws=settings.draws,
        )
        example = None
        if shown is not None:
            place = [whole.dialogue for whole in self._wholes].index(shown.name)
            example = _Example(shown, span, place, self.reference, settings.seed)
        return [self._row(name, scores[name], example, settings.seed) for name in REFERENCE_ROWS]

    def _row(self, name: str, scores: dict, example: "_Example | None", seed: int) -> Row:
        chunks = self._chunks(name, seed)
        excerpt = None if example is None else example.of(name, chunks)
        return _as_row(REFERENCE_ROWS[name], "human" if name == "human" else "reference", scores, chunks, excerpt)

    def _chunks(self, name: str, seed: int) -> list[Chunk]:
        """What the row did, as `protocol.reference_rows` made it: the first time, where it is made several times."""
        if name == "human":
            return self.reference.chunks
        background = rows.Background(self.reference.tables, self._train, self.reference.spans)
        return protocol.row_chunks(self.reference, self._wholes, rows.ROWS[name], background, _row_rng(seed, name))


def _agent_row(agent: Agent, corpus: Corpus, settings: Settings, reference: protocol.Reference, spans, shown) -> Row:
    answers, swapped = (_answers(agent, corpus, settings, reference.role, spans, swap) for swap in (False, True))
    chunks, swapped_chunks = (_chunks(reference, spans, each, agent, settings) for each in (answers, swapped))
    scores = protocol.score(reference, chunks, np.random.default_rng(settings.seed), draws=settings.draws)
    scores |= protocol.partner_swap(reference, chunks, swapped_chunks)
    if BITS in agent.held_out:
        scores["bits_per_sample"] = agent.held_out[BITS]
    pairs = [(a.gate, c.own_ipus) for a, c in zip(answers, chunks, strict=True) if a.gate is not None]
    if pairs:
        scores["gate_obedience"] = float(np.mean([open_loop.gate_obedience(gate, ipus) for gate, ipus in pairs]))
    chunk, (own, partner) = chunks[spans.index(shown)], answers[spans.index(shown)].audio()
    excerpt = gallery.Excerpt(own, partner, chunk.own_ipus, chunk.partner_ipus, agent.sample_rate)
    row = _as_row(agent.name, "model", scores, chunks, excerpt)
    sounds = [functools.partial(_own_channel, answer) for answer in answers]
    return dataclasses.replace(row, clips=_clips(chunks, agent.sample_rate, sounds))


def _recorded_row(
    agent: Recordings, corpus: Corpus, settings: Settings, reference: protocol.Reference, spans, shown
) -> Row:
    agent.check_manifest(recordings.expected_manifest(corpus.name, settings.split, PROMPT_SECONDS))
    real = reference.real([Chunk(s.dialogue, s.index, s.start_seconds, s.seconds, [], []) for s in spans])
    predicted = agent.probabilities(reference.role, spans)
    scores = prediction.prediction_scores(predicted, real) if predicted else {}
    if not agent.says(reference.role):
        return Row(agent.name, "model", scores, np.zeros(0))
    partners = [chunk.partner_ipus for chunk in real]
    said, swapped = (agent.said(reference.role, spans, partners, settings.detector, swap) for swap in (False, True))
    chunks = _beside_partner(reference, spans, [each.speech for each in said])
    scores |= protocol.score(reference, chunks, np.random.default_rng(settings.seed), draws=settings.draws)
    if swapped is not None:
        others = _beside_partner(reference, spans, [each.speech for each in swapped])
        scores |= protocol.partner_swap(reference, chunks, others)
    i = spans.index(shown)
    excerpt = _recorded_excerpt(said[i], chunks[i], corpus.load(shown.dialogue), reference.role)
    row = _as_row(agent.name, "model", scores, chunks, excerpt)
    if any(each.sound is None for each in said):
        return row
    clips = [
        _clips([chunk], each.sample_rate, [functools.partial(np.asarray, each.sound)])[0]
        for chunk, each in zip(chunks, said, strict=True)
    ]
    return dataclasses.replace(row, clips=clips)


def _recorded_excerpt(said: recordings.Said, chunk: Chunk, dialogue: Dialogue, role: str) -> gallery.Excerpt | None:
    if said.sound is None or dialogue.audio is None:
        return None
    start, samples = (round(seconds * dialogue.sample_rate) for seconds in (chunk.start_seconds, chunk.seconds))
    partner = dialogue.audio[1 - dialogue.channel_of(role)][start : start + samples]
    partner = audio_lib.resample(partner, dialogue.sample_rate, said.sample_rate)[: len(said.sound)]
    return gallery.Excerpt(said.sound, partner, chunk.own_ipus, chunk.partner_ipus, said.sample_rate)


def _clips(chunks: Sequence[Chunk], sample_rate: int, sounds: Sequence[Callable[[], np.ndarray]]) -> list[Clip]:
    pairs = zip(chunks, sounds, strict=True)
    return [Clip(chunk.dialogue, chunk.own_ipus, chunk.seconds, sample_rate, sound) for chunk, sound in pairs]


def _own_channel(answer: open_loop.Answer) -> np.ndarray:
    return answer.audio()[0]


def _answers(agent: Agent, corpus: Corpus, settings: Settings, role: str, spans, swap: bool):
    folder = settings.out / "audio" / agent.name / (f"{role}-swapped" if swap else role)
    what = f"{agent.name} as {role}{', partner swapped' if swap else ''}"
    with tqdm.tqdm(total=sum(span.seconds for span in spans), desc=what, unit="s", bar_format=BAR) as progress:
        return open_loop.generate(
            agent, open_loop.places(role, spans, swap), corpus.load, folder, settings.seed, corpus.key(), progress
        )


def _chunks(reference: protocol.Reference, spans, answers, agent: Agent, settings: Settings) -> list[Chunk]:
    """What was said, by the same detector, beside what the humans' partner said at the same places."""
    spoken = [activity_lib.detect(answer.audio()[0], agent.sample_rate, settings.detector) for answer in answers]
    return _beside_partner(reference, spans, spoken)


def _beside_partner(reference: protocol.Reference, spans, spoken: Sequence[np.ndarray]) -> list[Chunk]:
    nothing = np.zeros((0, 2))
    chunks = [
        Chunk(span.dialogue, span.index, span.start_seconds, span.seconds, own, nothing)
        for span, own in zip(spans, spoken, strict=True)
    ]
    return protocol.against_original(reference, chunks)


class _Example:
    """One span of one dialogue (the one at `place` of all), at which every reference row is shown and played."""

    def __init__(self, dialogue: Dialogue, span: Span, place: int, reference: protocol.Reference, seed: int):
        own = dialogue.channel_of(reference.role)
        self._own, self._partner, self._rate = (dialogue.audio[own], dialogue.audio[1 - own], dialogue.sample_rate)
        self._span, self._place, self._seed = span, place, seed
        self._human = self._here(reference.chunks)

    def of(self, name: str, chunks: Sequence[Chunk]) -> gallery.Excerpt:
        chunk = self._here(chunks)
        own, note = self._sound(name, chunk)
        return gallery.Excerpt(own, self._cut(self._partner), chunk.own_ipus, chunk.partner_ipus, self._rate, note)

    def _sound(self, name: str, chunk: Chunk) -> tuple[np.ndarray, str]:
        if name == "human":
            return self._cut(self._own), ""
        if name == "shifted":
            # `rows.shifted` draws one number a dialogue.
            share = _row_rng(self._seed, name).uniform(*rows.ROTATED_SHARE, size=self._place + 1)[-1]
            return self._cut(np.roll(self._own, round(share * len(self._own)))), "The real channel, rotated."
        noise = gallery.speech_shaped_noise(
            chunk.own_ipus, self._cut(self._own), self._human.own_ipus, self._rate, np.random.default_rng(self._seed)
        )
        return (noise, "This row decides when to speak and has no voice: speech-shaped noise stands for it.")

    def _here(self, chunks: Sequence[Chunk]) -> Chunk:
        place = (self._span.dialogue, self._span.start_seconds)
        return next(chunk for chunk in chunks if (chunk.dialogue, chunk.start_seconds) == place)

    def _cut(self, channel: np.ndarray) -> np.ndarray:
        start = round(self._span.start_seconds * self._rate)
        return channel[start : start + round(self._span.seconds * self._rate)]


def _as_row(name: str, kind: str, scores: dict, chunks: Sequence[Chunk], excerpt: gallery.Excerpt | None) -> Row:
    per_dialogue = scores.pop("per_dialogue")
    ftos, onsets = shape.EventTable(chunks).pool().durations["fto"], profile.onset_hazard(chunks)
    return Row(name, kind, scores, ftos, excerpt, per_dialogue, (), onsets, profile.floor_shares(chunks))


def _row_rng(seed: int, name: str) -> np.random.Generator:
    return np.random.default_rng([seed, *name.encode()])
