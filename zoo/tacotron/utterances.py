"""Stretches of speech with their words, cut from prepared dialogues: what a Tacotron learns to read aloud.

A stretch is a breath group, words of one speaker with less than 0.2 s between them, and up to 0.1 s of what is around
it. The sound lies in the prepared shards; the words, which shards do not hold, come from the corpus. The shards stay
whole: nothing is trimmed from them, stretches are places in them.

An epoch is a plan, a function of (seed, epoch): stretches of about the same length share a batch, and every batch has
one of a few shapes, for each of which the recurrences are compiled once.
"""

import dataclasses
import pathlib
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from datasets.audio import from_int16
from datasets.corpora import Corpus
from datasets.dialogue import BRIDGE_SECONDS, FRAMES_PER_SECOND, Word
from datasets.errors import InputError
from datasets.pipeline import voice_of
from datasets.prepare import PreparedSplit
from zoo.tacotron import spectra, text

_MARGIN_SECONDS = 0.1
# Batches are filled up to whole units: so many frames, and so many letters.
_UNIT_SECONDS = 1.0
_UNIT_LETTERS = 24
_NOTHING = -1


@dataclasses.dataclass(frozen=True)
class Utterance:
    """A stretch of one channel: `n_frames` of 20 ms from `start_frame` on, of the dialogue with this number."""

    dialogue: int
    channel: int
    start_frame: int
    n_frames: int
    text: str


@dataclasses.dataclass(frozen=True)
class SpokenSplit(PreparedSplit):
    """A prepared split and the stretches of speech in it.

    Attributes:
        utterances: in order of dialogue, channel and time.
        too_long: how many more there are that are longer than was asked for.
    """

    utterances: tuple[Utterance, ...] = ()
    too_long: int = 0


def spoken(corpus: Corpus, prepared: PreparedSplit, longest_seconds: float) -> SpokenSplit:
    """The stretches of a prepared split that last no longer than so many seconds.

    Raises:
        InputError: the corpus knows no words, or no stretch is short enough.
    """
    found = []
    for i, (_, record) in enumerate(prepared.records):
        words = corpus.load(record.name, audio=False).words
        for channel in (0, 1):
            found += [_place(breath, i, channel, record.n_frames, *edges) for breath, *edges in breaths(words[channel])]
    readable = [each for each in found if any(letter.isalpha() for letter in each.text)]
    short = tuple(each for each in readable if each.n_frames <= longest_seconds * FRAMES_PER_SECOND)
    if not readable:
        raise InputError(f"corpus {corpus.name}: knows no words, and --mode=text learns to read them")
    if not short:
        raise InputError(f"--crop_seconds={longest_seconds:g}: all {len(readable)} breath groups are longer")
    return SpokenSplit(prepared.folder, prepared.index, short, len(readable) - len(short))


def breaths(words: Sequence[Word]) -> Iterator[tuple[list[Word], float, float]]:
    """Breath groups of one channel's words, and the seconds in which nobody else of that channel is cut into."""
    words = sorted(words, key=lambda word: word.start)
    groups: list[list[Word]] = []
    for word in words:
        if not groups or word.start - max(each.end for each in groups[-1]) >= BRIDGE_SECONDS:
            groups.append([])
        groups[-1].append(word)
    for group in groups:
        yield group, group[0].start - _MARGIN_SECONDS, max(word.end for word in group) + _MARGIN_SECONDS


def _place(breath, dialogue: int, channel: int, n_frames: int, start: float, end: float) -> Utterance:
    first = min(max(0, round(start * FRAMES_PER_SECOND)), n_frames - 1)
    last = min(n_frames, max(round(end * FRAMES_PER_SECOND), first + 1))
    return Utterance(dialogue, channel, first, last - first, " ".join(word.text for word in breath))


@dataclasses.dataclass(frozen=True)
class Reading:
    """How stretches become batches.

    Attributes:
        spectra: of their sound.
        reduction: frames of a decoder step; a stretch is filled up with silence to whole steps.
        batch_size: rows; some have nothing in them, at the end of each length.
        linear: whether batches hold linear spectra too.
    """

    spectra: spectra.Spectra
    reduction: int
    batch_size: int
    linear: bool

    def plan(self, split: SpokenSplit, seed: int, epoch: int) -> list[np.ndarray]:
        """The batches of an epoch, each int [batch_size] of numbers of stretches, -1 for nothing."""
        rng = np.random.default_rng([seed, epoch])
        units = np.array([self._units(each) for each in split.utterances])
        batches = []
        for unit in np.unique(units):
            rows = rng.permutation(np.flatnonzero(units == unit))
            rows = np.pad(rows, (0, -len(rows) % self.batch_size), constant_values=_NOTHING)
            batches += list(rows.reshape(-1, self.batch_size))
        return [batches[i] for i in rng.permutation(len(batches))]

    def batches(self, split: SpokenSplit, seed: int, epoch: int, skip_batches: int = 0) -> tf.data.Dataset:
        """One epoch.

        Returns:
            A dataset of dicts:
                text: int32 [batch, letters], see `text.letters`; 0 beyond the end.
                mel, and linear where asked for: float32 [batch, frames, bands], see `Spectra`.
                n_frames: int32 [batch], those of the stretch; a multiple of `reduction`, 0 for nothing.
                voice: int32 [batch], of the speaker, see `datasets.pipeline`.
                mask: float32 [batch], 0 for nothing.
        """
        plan = self.plan(split, seed, epoch)[skip_batches:]
        rate = self.spectra.sample_rate
        if split.sample_rate != rate:
            raise InputError(f"{split.folder}: holds sound at {split.sample_rate} Hz, and the model is of {rate} Hz")
        shapes = {"text": (tf.int32, [None, None]), "mel": (tf.float32, [None, None, self.spectra.mel_bands])}
        if self.linear:
            shapes["linear"] = tf.float32, [None, None, self.spectra.bins]
        shapes |= {"n_frames": (tf.int32, [None]), "voice": (tf.int32, [None]), "mask": (tf.float32, [None])}

        def read(i):
            made = tf.numpy_function(lambda i: self._read(split, plan[i]), [i], [kind for kind, _ in shapes.values()])
            return {
                key: tf.ensure_shape(value, [self.batch_size, *shape[1:]])
                for (key, (_, shape)), value in zip(shapes.items(), made, strict=True)
            }

        dataset = tf.data.Dataset.range(len(plan)).map(read, num_parallel_calls=2, deterministic=True)
        options = tf.data.Options()
        options.autotune.enabled = False
        return dataset.with_options(options).prefetch(2)

    def _units(self, utterance: Utterance) -> int:
        by_sound = self._n_frames(utterance) / self._unit_frames
        by_text = len(text.letters(utterance.text)) / _UNIT_LETTERS
        return int(np.ceil(max(by_sound, by_text)))

    @property
    def _unit_frames(self) -> int:
        steps = _UNIT_SECONDS * spectra.FRAMES_PER_SECOND / self.reduction
        return int(np.ceil(steps)) * self.reduction

    def _n_frames(self, utterance: Utterance) -> int:
        seconds = utterance.n_frames / FRAMES_PER_SECOND
        steps = np.ceil(seconds * spectra.FRAMES_PER_SECOND / self.reduction - 1e-6)
        return int(steps) * self.reduction

    def _read(self, split: SpokenSplit, rows: np.ndarray) -> list[np.ndarray]:
        chosen = [split.utterances[row] for row in rows if row != _NOTHING]
        units, n = max(map(self._units, chosen)), len(rows)
        made = {
            "text": np.zeros((n, units * _UNIT_LETTERS), np.int32),
            "mel": np.zeros((n, units * self._unit_frames, self.spectra.mel_bands), np.float32),
        }
        if self.linear:
            made["linear"] = np.zeros((*made["mel"].shape[:2], self.spectra.bins), np.float32)
        made |= {"n_frames": np.zeros(n, np.int32), "voice": np.zeros(n, np.int32), "mask": np.zeros(n, np.float32)}
        for i, each in enumerate(chosen):
            numbers, frames = text.letters(each.text), self._n_frames(each)
            audio = sound(split, each)
            audio = np.pad(audio, (0, frames * self.spectra.hop - len(audio)))
            made["text"][i, : len(numbers)] = numbers
            made["mel"][i, :frames] = self.spectra.mel(audio)
            if self.linear:
                made["linear"][i, :frames] = self.spectra.linear(audio)
            made["n_frames"][i], made["mask"][i] = frames, 1.0
            made["voice"][i] = voice_of(split.records[each.dialogue][1].speakers[each.channel])
        return list(made.values())


def sound(split: SpokenSplit, utterance: Utterance) -> np.ndarray:
    """The samples of a stretch, float32 [n_frames * hop]."""
    path, record = split.records[utterance.dialogue]
    first = utterance.channel * record.n_samples + utterance.start_frame * split.hop
    samples = utterance.n_frames * split.hop
    return from_int16(np.fromfile(pathlib.Path(path), "<i2", samples, offset=record.audio_offset + 2 * first))
