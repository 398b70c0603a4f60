"""Stretches of speech with their words, cut from prepared dialogues: what reads a text and what writes one learns of.

A stretch is a breath group, words of one speaker with less than 0.2 s between them, and up to 0.1 s of what is around
it. The sound lies in the prepared shards; the words, which shards do not hold, come from the corpus. The shards stay
whole: nothing is trimmed from them, stretches are places in them.

An epoch is a plan, a function of (seed, epoch): stretches of about the same length share a batch, and every batch has
one of a few shapes, for each of which the recurrences are compiled once.
"""

import abc
import dataclasses
import pathlib
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from datasets.audio import from_int16
from datasets.corpora import Corpus
from datasets.dialogue import BRIDGE_SECONDS, FRAMES_PER_SECOND, Word
from datasets.errors import InputError
from datasets.prepare import PreparedSplit

_MARGIN_SECONDS = 0.1
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
        raise InputError(f"corpus {corpus.name}: knows no words, and these are learned here")
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


class Reading(abc.ABC):
    """How stretches become batches.

    Attributes:
        sample_rate: Hz, of their sound.
        batch_size: rows; some have nothing in them, at the end of each length.
        shapes: by name, the type and the shape of what `read` makes.
    """

    sample_rate: int
    batch_size: int
    shapes: dict[str, tuple[tf.DType, list[int | None]]]

    @abc.abstractmethod
    def units(self, utterance: Utterance) -> int:
        """The length of a stretch; those of one length share batches."""

    @abc.abstractmethod
    def read(self, split: SpokenSplit, chosen: Sequence[Utterance], rows: int) -> dict[str, np.ndarray]:
        """A batch of so many rows, the first of which are the chosen stretches, the others nothing."""

    def plan(self, split: SpokenSplit, seed: int, epoch: int) -> list[np.ndarray]:
        """The batches of an epoch, each int [batch_size] of numbers of stretches, -1 for nothing."""
        rng = np.random.default_rng([seed, epoch])
        units = np.array([self.units(each) for each in split.utterances])
        batches = []
        for unit in np.unique(units):
            rows = rng.permutation(np.flatnonzero(units == unit))
            rows = np.pad(rows, (0, -len(rows) % self.batch_size), constant_values=_NOTHING)
            batches += list(rows.reshape(-1, self.batch_size))
        return [batches[i] for i in rng.permutation(len(batches))]

    def batches(self, split: SpokenSplit, seed: int, epoch: int, skip_batches: int = 0) -> tf.data.Dataset:
        """One epoch: a dataset of dicts, each as of `read`."""
        plan = self.plan(split, seed, epoch)[skip_batches:]
        if split.sample_rate != self.sample_rate:
            raise InputError(
                f"{split.folder}: holds sound at {split.sample_rate} Hz, and the model is of {self.sample_rate} Hz"
            )
        shapes = self.shapes

        def read(i):
            made = tf.numpy_function(lambda i: self._batch(split, plan[i]), [i], [kind for kind, _ in shapes.values()])
            return {
                key: tf.ensure_shape(value, [self.batch_size, *shape])
                for (key, (_, shape)), value in zip(shapes.items(), made, strict=True)
            }

        dataset = tf.data.Dataset.range(len(plan)).map(read, num_parallel_calls=2, deterministic=True)
        options = tf.data.Options()
        options.autotune.enabled = False
        return dataset.with_options(options).prefetch(2)

    def _batch(self, split: SpokenSplit, rows: np.ndarray) -> list[np.ndarray]:
        chosen = [split.utterances[row] for row in rows if row != _NOTHING]
        made = self.read(split, chosen, len(rows))
        return [made[name] for name in self.shapes]


def sound(split: SpokenSplit, utterance: Utterance) -> np.ndarray:
    """The samples of a stretch, float32 [n_frames * hop]."""
    path, record = split.records[utterance.dialogue]
    first = utterance.channel * record.n_samples + utterance.start_frame * split.hop
    samples = utterance.n_frames * split.hop
    return from_int16(np.fromfile(pathlib.Path(path), "<i2", samples, offset=record.audio_offset + 2 * first))
