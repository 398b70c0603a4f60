"""The open loop: an agent takes a role of a held-out dialogue and answers the real partner (PROTOCOL section 3).

30 s of both real channels are the prompt, then the chunk is answered. Every answer is kept as a stereo FLAC (agent
left, partner right) with its gate beside it; an answer that is already there, made by the same agent from the same
input, is not made again. So a killed comparison goes on where it was.
"""

import dataclasses
import functools
import hashlib
import json
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import soundfile
import tqdm

from datasets import files
from datasets.dialogue import FRAMES_PER_SECOND, Dialogue, activity, intervals_from_activity
from datasets.errors import InputError
from eval.agents import Agent, Response
from eval.chunks import Span

GROUP_SIZE = 16
Load = Callable[[str], Dialogue]


@dataclasses.dataclass(frozen=True)
class Place:
    """Where an agent takes over, and whom it hears.

    Attributes:
        role: the role the agent takes.
        span: what it answers, and the prompt before it.
        heard: where the partner that it hears comes from; the prompt is the true partner's in any case.
    """

    role: str
    span: Span
    heard: Span

    @property
    def file_name(self) -> str:
        return f"{self.span.dialogue}-{self.span.index:02d}"


@dataclasses.dataclass(frozen=True, eq=False)
class Answer:
    """What an agent said at a place, as it is on disk.

    Attributes:
        path: the stereo FLAC.
        gate: bool [frames], or None where the agent has none.
    """

    path: pathlib.Path
    gate: np.ndarray | None

    def audio(self) -> tuple[np.ndarray, np.ndarray]:
        """Own and partner channel, each float32 [samples]."""
        stereo = soundfile.read(self.path, dtype="float32", always_2d=True)[0]
        return stereo[:, 0], stereo[:, 1]


def places(role: str, spans: Sequence[Span], swap: bool = False) -> list[Place]:
    """Where an agent answers: with the true partner, or (`swap`) with the one of the next dialogue of the list."""
    first = {span.dialogue: span for span in reversed(spans)}
    names = list(dict.fromkeys(span.dialogue for span in spans))
    following = dict(zip(names, names[1:] + names[:1], strict=True))
    return [Place(role, span, first[following[span.dialogue]] if swap else span) for span in spans]


def generate(
    agent: Agent,
    where: Sequence[Place],
    load: Load,
    folder: pathlib.Path,
    seed: int,
    corpus_key: dict[str, Any],
    progress: tqdm.tqdm,
) -> list[Answer]:
    """The agent's answers at all places (of one role), in groups of 8, from `folder` where they are there already.

    Args:
        agent: who answers.
        where: places of one role, all of one length.
        load: a dialogue with audio at the agent's sample rate, by name.
        folder: where the answers are kept.
        seed: of the agent's chance; the same for a place whomever it hears.
        corpus_key: what shaped the audio of the dialogues.
        progress: moved on by the seconds that are there.
    """
    load = functools.lru_cache(maxsize=4)(load)
    answers = []
    for number, group in enumerate(_groups(where)):
        key = _key(agent, group, seed, corpus_key)
        there = [kept(folder / place.file_name, key) for place in group]
        if None in there:
            there = _answer_group(agent, group, load, folder, group_seed(seed, number), key, progress)
        else:
            progress.update(sum(place.span.seconds for place in group))
        answers += there
    return answers


def prompt_and_partner(place: Place, load: Load) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(prompt_own, prompt_partner, partner), each float32 [samples]."""
    dialogue = load(place.span.dialogue)
    own = dialogue.channel_of(place.role)
    span, heard = place.span, place.heard
    prompt = _piece(dialogue, span.start_seconds - span.prompt_seconds, span.prompt_seconds)
    other = load(heard.dialogue)
    partner = _piece(other, heard.start_seconds, span.seconds)[1 - other.channel_of(place.role)]
    return prompt[own], prompt[1 - own], partner


def gate_obedience(gate: np.ndarray, ipus: np.ndarray) -> float:
    """Share of 20 ms frames in which the gate, bool [frames], agrees with the detected IPUs, [n, 2] seconds."""
    return float(np.mean(np.asarray(gate, bool) == activity(ipus, len(gate))))


def _answer_group(agent, group, load, folder, seed, key, progress) -> list[Answer]:
    inputs = [np.stack(channels) for channels in zip(*(prompt_and_partner(p, load) for p in group), strict=True)]
    each = len(group) / FRAMES_PER_SECOND
    responses = agent.respond_batch(
        *inputs, role=group[0].role, seed=seed, progress=lambda frames: progress.update(frames * each)
    )
    return [
        keep(folder / place.file_name, key, response, partner, agent.sample_rate)
        for place, response, partner in zip(group, responses, inputs[2], strict=True)
    ]


def keep(stem: pathlib.Path, key: str, response: Response, partner: np.ndarray, sample_rate: int) -> Answer:
    """Writes an answer beside what was heard, sound first; `kept` finds it again."""
    if response.audio.shape != partner.shape:
        raise ValueError(f"an agent answered {partner.shape} samples with {response.audio.shape}")
    if not np.isfinite(response.audio).all():
        raise InputError(f"{stem}: the model answered with samples that are not finite; its training went astray")
    stereo = np.stack([response.audio, partner], axis=1).clip(-1, 1)
    sound, note = _paths(stem)
    with files.replacing(sound) as part:
        soundfile.write(part, stereo, sample_rate, subtype="PCM_16", format="FLAC")
    gate = None if response.gate is None else np.asarray(response.gate, bool)
    spoken = None if gate is None else intervals_from_activity(gate).tolist()
    # The note comes last: with it, the sound is known to be whole.
    files.write_json(note, {"key": key, "gate": spoken, "frames": None if gate is None else len(gate)})
    return Answer(sound, gate)


def kept(stem: pathlib.Path, key: str) -> Answer | None:
    """The answer that was kept under this key, or None."""
    sound, note = _paths(stem)
    try:
        content = json.loads(note.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if content.get("key") != key or not sound.is_file():
        return None
    gate = None if content["gate"] is None else activity(np.array(content["gate"]), content["frames"])
    return Answer(sound, gate)


def _paths(stem: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    return stem.with_name(stem.name + ".flac"), stem.with_name(stem.name + ".json")


def _groups(where: Sequence[Place]) -> Iterator[Sequence[Place]]:
    for start in range(0, len(where), GROUP_SIZE):
        yield where[start : start + GROUP_SIZE]


def group_seed(seed: int, number: int) -> int:
    """A seed for each of several batches."""
    return int(np.random.SeedSequence((seed, number)).generate_state(1)[0] >> 1)


def _key(agent: Agent, group: Sequence[Place], seed: int, corpus_key: dict) -> str:
    """An answer depends on its place in the batch too, so the whole group is in the key."""
    shaped_by = [agent.fingerprint, [dataclasses.asdict(place) for place in group], seed, corpus_key]
    return hashlib.sha256(json.dumps(shaped_by, sort_keys=True).encode()).hexdigest()


def _piece(dialogue: Dialogue, start_seconds: float, seconds: float) -> np.ndarray:
    start, samples = (round(each * dialogue.sample_rate) for each in (start_seconds, seconds))
    piece = dialogue.audio[:, start : start + samples]
    if piece.shape[1] < samples:
        raise InputError(f"{dialogue.name}: the sound ends before {start_seconds + seconds:g} s, where a chunk ends")
    return piece
