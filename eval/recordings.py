"""Agents made elsewhere, as folders of what they said: sound or intervals, a file for each chunk.

`python -m eval.prompts` writes what an agent needs to hear. Where it was, or in a folder of its own, the agent leaves

    follower/q4ec1-00.own.wav     its own channel over the 60 s of the chunk, and nothing else
    follower/q4ec1-00.wav         or both channels, its own left and the partner's right
    follower/q4ec1-00.rttm        or no sound but who speaks when, in seconds from the start of the chunk: .TextGrid,
                                  .rttm, .csv or .txt (Audacity); of two channels the first is its own
    follower/q4ec1-00.probabilities.csv     of a model that predicts, beside these or alone: see `eval.prediction`
    follower-swapped/...          the same, another partner heard; may be absent

`python -m eval.compare --wavs=folder` scores it. Sound is detected as all other sound of a comparison is; intervals are
compared with the intervals of the corpus (--detector=annotations) and never with what a detector found.
"""

import dataclasses
import json
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from datasets import activity, annotations
from datasets import audio as audio_lib
from datasets.dialogue import FRAMES_PER_SECOND, cut, seconds_to_frames
from datasets.dialogue import activity as frames_of
from datasets.errors import InputError
from eval import prediction, protocol
from eval.chunks import Span

MANIFEST = "manifest.json"
PROBABILITIES = ".probabilities.csv"
SOUND_SUFFIXES = (".own.wav", ".wav", ".own.flac", ".flac")
INTERVAL_SUFFIXES = tuple(own + suffix for own in ("", ".own") for suffix in (".TextGrid", ".rttm", ".csv", ".txt"))
_OWN_SOUND = tuple(suffix for suffix in SOUND_SUFFIXES if suffix.startswith(".own"))
_TOLERANCE_SECONDS = 1 / FRAMES_PER_SECOND


@dataclasses.dataclass(frozen=True, eq=False)
class Said:
    """What an agent said in a chunk.

    Attributes:
        speech: its own intervals [n, 2] in seconds from the start of the chunk, detected or as they were given.
        sound: its own channel, float32 [samples], or None where there are intervals only.
        sample_rate: Hz of the sound, or None.
        path: of the file.
    """

    speech: np.ndarray
    sound: np.ndarray | None
    sample_rate: int | None
    path: pathlib.Path


class Recordings:
    """A folder of recordings.

    Attributes:
        name: of the folder, which tables call it.
        fingerprint: changes with the files.
    """

    def __init__(self, folder: str | os.PathLike):
        self.folder = pathlib.Path(folder)
        if not self.folder.is_dir():
            raise InputError(f"--wavs={folder}: no such folder; its layout is written by python -m eval.prompts")
        self.name = self.folder.resolve().name

    @property
    def fingerprint(self) -> str:
        from eval.agents import digest

        return digest(path for path in self.folder.rglob("*") if path.is_file())

    def roles(self, choices: Sequence[str]) -> list[str]:
        """Those of `choices` for which there is a folder with an answer in it."""
        found = [role for role in choices if self.says(role) or any((self.folder / role).glob(f"*{PROBABILITIES}"))]
        if not found:
            wanted = ", ".join(f"{role}/" for role in choices)
            raise InputError(
                f"{self.folder}: no answers in it; wanted are folders {wanted} with a file a chunk, such as"
                f" {choices[0]}/q4ec1-00.own.wav"
            )
        return found

    def said(self, role: str, spans: Sequence[Span], partners: Sequence[np.ndarray], detector: str, swap: bool = False):
        """What the agent said in each span, or None where nothing was recorded with swapped partners.

        Args:
            role: that it took.
            spans: the chunks.
            partners: speech of each partner, [n, 2] seconds from the start of the chunk, by the same detector.
            detector: of `datasets.activity`.
            swap: with another partner heard.

        Raises:
            InputError: a chunk is missing, has another length, exchanged channels, or intervals where sound is needed.
        """
        folder = self.folder / (f"{role}-swapped" if swap else role)
        if swap and not any(self._answers_in(folder)):
            return None
        paths = [_answer(folder, file_name(span)) for span in spans]
        missing = [span for span, path in zip(spans, paths, strict=True) if path is None]
        if missing:
            raise InputError(
                f"{folder}: {len(missing)} of {len(spans)} chunks are not there, such as"
                f" {file_name(missing[0])}{SOUND_SUFFIXES[0]}; python -m eval.prompts lists all in {MANIFEST}"
            )
        return [
            _read(path, span, detector, None if swap else partner)
            for path, span, partner in zip(paths, spans, partners, strict=True)
        ]

    def says(self, role: str) -> bool:
        """Whether there are answers, and not probabilities alone."""
        return any(self._answers_in(self.folder / role))

    def probabilities(self, role: str, spans: Sequence[Span]) -> list[dict[str, np.ndarray]] | None:
        """What it predicted in each span, by name [n_frames]; None if it predicts nothing."""
        folder = self.folder / role
        if not any(folder.glob(f"*{PROBABILITIES}")):
            return None
        paths = [folder / f"{file_name(span)}{PROBABILITIES}" for span in spans]
        missing = [path.name for path in paths if not path.is_file()]
        if missing:
            raise InputError(f"{folder}: {len(missing)} of {len(spans)} chunks are not there, such as {missing[0]}")
        return [
            prediction.read_probabilities(path, seconds_to_frames(span.seconds))
            for path, span in zip(paths, spans, strict=True)
        ]

    def check_manifest(self, expected: dict[str, Any]) -> None:
        """Raises `InputError` if the folder has the manifest of another protocol, corpus or chunk list."""
        path = self.folder / MANIFEST
        if not path.is_file():
            return
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            found = {key: content[key] for key in expected}
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path}: not a manifest of python -m eval.prompts ({error!r})") from error
        for key, value in expected.items():
            if found[key] != value:
                raise InputError(f"{path}: was made for {key} {found[key]}, and this comparison has {value}")

    @staticmethod
    def _answers_in(folder: pathlib.Path):
        suffixes = {suffix.rpartition(".")[2].lower() for suffix in (*SOUND_SUFFIXES, *INTERVAL_SUFFIXES)}
        return (
            path
            for path in folder.glob("*")
            if path.suffix.lstrip(".").lower() in suffixes and path.stem.rpartition(".")[2] not in _NOT_SAID
        )


_NOT_SAID = ("prompt", "partner", "both", "probabilities")


def file_name(span: Span) -> str:
    """What the files of a chunk are called, without suffix."""
    return f"{span.dialogue}-{span.index:02d}"


def expected_manifest(corpus_name: str, split: str, prompt_seconds: float) -> dict[str, Any]:
    """What a manifest and a comparison must agree on."""
    return {
        "protocol": protocol.VERSION,
        "corpus": corpus_name,
        "split": split,
        "prompt_seconds": prompt_seconds,
    }


def _answer(folder: pathlib.Path, stem: str) -> pathlib.Path | None:
    candidates = (folder / f"{stem}{suffix}" for suffix in (*SOUND_SUFFIXES, *INTERVAL_SUFFIXES))
    return next((path for path in candidates if path.is_file()), None)


def _read(path: pathlib.Path, span: Span, detector: str, partner: np.ndarray | None) -> Said:
    is_sound = path.name.endswith(SOUND_SUFFIXES)
    if is_sound and detector == activity.ANNOTATIONS:
        raise InputError(f"{path}: is sound, and --detector=annotations detects nothing; take --detector=silero")
    if not is_sound and detector != activity.ANNOTATIONS:
        raise InputError(
            f"{path}: are intervals, and what {detector} found in the humans is not comparable with them: give sound,"
            " or compare with the corpus's intervals, --detector=annotations"
        )
    return _read_sound(path, span, detector, partner) if is_sound else _read_intervals(path, span)


def _read_sound(path: pathlib.Path, span: Span, detector: str, partner: np.ndarray | None) -> Said:
    audio, rate = audio_lib.read_wav(path, channels=1 if path.name.endswith(_OWN_SOUND) else None)
    seconds = audio.shape[1] / rate
    if abs(seconds - span.seconds) > _TOLERANCE_SECONDS:
        hint = "; the prompt does not belong in it" if seconds > span.seconds else ""
        raise InputError(f"{path}: lasts {seconds:.2f} s and its chunk {span.seconds:g} s{hint}")
    speech = [cut(activity.detect(channel, rate, detector), 0, span.seconds) for channel in audio]
    if len(audio) == 2 and partner is not None:
        real, *heard = (frames_of(each, seconds_to_frames(span.seconds)) for each in (partner, *speech))
        own_is_partner, other_is_partner = (float(np.mean(each == real)) for each in heard)
        if own_is_partner > max(other_is_partner, 0.9):
            raise InputError(f"{path}: its left channel is the partner's; the agent's own channel goes left")
    n_samples = round(span.seconds * rate)
    own = np.pad(audio[0], (0, max(n_samples - len(audio[0]), 0)))[:n_samples]
    return Said(speech[0], own, rate, path)


def _read_intervals(path: pathlib.Path, span: Span) -> Said:
    # An agent may say nothing for a minute, and not every format has a way to write that.
    if not path.read_bytes().strip():
        return Said(np.zeros((0, 2)), None, None, path)
    by_label = annotations.read_intervals(path, span.seconds)
    own = next(iter(by_label.values())) if len(by_label) == 1 else annotations.pair_of_channels(by_label, path)[0]
    return Said(cut(own, 0, span.seconds), None, None, path)
