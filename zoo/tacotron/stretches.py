"""Stretches of speech as a Tacotron reads them: letters, and frames of the spectra that it makes of them."""

import dataclasses

import numpy as np
import tensorflow as tf

from datasets.dialogue import FRAMES_PER_SECOND
from datasets.pipeline import voice_of
from zoo import utterances
from zoo.tacotron import spectra, text

# Batches are filled up to whole units: so many frames, and so many letters.
_UNIT_SECONDS = 1.0
_UNIT_LETTERS = 24


@dataclasses.dataclass(frozen=True)
class Stretches(utterances.Reading):
    """Batches for a Tacotron.

    Attributes:
        spectra: of their sound.
        reduction: frames of a decoder step; a stretch is filled up with silence to whole steps.
        batch_size: as of `zoo.utterances.Reading`.
        linear: whether batches hold linear spectra too.
    """

    spectra: spectra.Spectra
    reduction: int
    batch_size: int
    linear: bool

    @property
    def sample_rate(self) -> int:
        return self.spectra.sample_rate

    @property
    def shapes(self):
        shapes = {"text": (tf.int32, [None]), "mel": (tf.float32, [None, self.spectra.mel_bands])}
        if self.linear:
            shapes["linear"] = tf.float32, [None, self.spectra.bins]
        return shapes | {"n_frames": (tf.int32, []), "voice": (tf.int32, []), "mask": (tf.float32, [])}

    def units(self, utterance):
        by_sound = self._n_frames(utterance) / self._unit_frames
        by_text = len(text.letters(utterance.text)) / _UNIT_LETTERS
        return int(np.ceil(max(by_sound, by_text)))

    def read(self, split, chosen, rows):
        """Reads a batch.

        Returns:
            text: int32 [rows, letters], see `text.letters`; 0 beyond the end.
            mel, and linear where asked for: float32 [rows, frames, bands], see `Spectra`.
            n_frames: int32 [rows], those of the stretch; a multiple of `reduction`, 0 for nothing.
            voice: int32 [rows], of the speaker, see `datasets.pipeline`.
            mask: float32 [rows], 0 for nothing.
        """
        units = max(map(self.units, chosen))
        made = {
            "text": np.zeros((rows, units * _UNIT_LETTERS), np.int32),
            "mel": np.zeros((rows, units * self._unit_frames, self.spectra.mel_bands), np.float32),
        }
        if self.linear:
            made["linear"] = np.zeros((*made["mel"].shape[:2], self.spectra.bins), np.float32)
        made |= {"n_frames": np.zeros(rows, np.int32), "voice": np.zeros(rows, np.int32)}
        made["mask"] = np.zeros(rows, np.float32)
        for i, each in enumerate(chosen):
            numbers, frames = text.letters(each.text), self._n_frames(each)
            audio = utterances.sound(split, each)
            audio = np.pad(audio, (0, frames * self.spectra.hop - len(audio)))
            made["text"][i, : len(numbers)] = numbers
            made["mel"][i, :frames] = self.spectra.mel(audio)
            if self.linear:
                made["linear"][i, :frames] = self.spectra.linear(audio)
            made["n_frames"][i], made["mask"][i] = frames, 1.0
            made["voice"][i] = voice_of(split.records[each.dialogue][1].speakers[each.channel])
        return made

    @property
    def _unit_frames(self) -> int:
        steps = _UNIT_SECONDS * spectra.FRAMES_PER_SECOND / self.reduction
        return int(np.ceil(steps)) * self.reduction

    def _n_frames(self, utterance) -> int:
        seconds = utterance.n_frames / FRAMES_PER_SECOND
        steps = np.ceil(seconds * spectra.FRAMES_PER_SECOND / self.reduction - 1e-6)
        return int(steps) * self.reduction
