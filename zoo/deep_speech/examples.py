"""Stretches of speech as Deep Speech hears them: log-mel spectra, and the letters to write."""

import dataclasses

import numpy as np
import tensorflow as tf

from datasets.filterbank import FilterBank, levelled
from zoo import utterances
from zoo.deep_speech import transcript
from zoo.deep_speech.config import STRIDE

# Batches are filled up to whole units.
_UNIT_STEPS = 32


@dataclasses.dataclass(frozen=True)
class Examples(utterances.Reading):
    """Batches for a Deep Speech.

    Attributes:
        bank: of the spectra.
        batch_size: as of `zoo.utterances.Reading`.
    """

    bank: FilterBank
    batch_size: int

    @property
    def sample_rate(self) -> int:
        return self.bank.sample_rate

    @property
    def shapes(self):
        spectra = tf.float32, [None, self.bank.bands]
        return {"spectra": spectra, "letters": (tf.int32, [None])} | {
            name: (kind, []) for name, kind in (("n_steps", tf.int32), ("n_letters", tf.int32), ("mask", tf.float32))
        }

    def units(self, utterance):
        return -(-utterance.n_frames // _UNIT_STEPS)

    def read(self, split, chosen, rows):
        """Reads a batch.

        Returns:
            spectra: float32 [rows, 2 * steps, bands], see `FilterBank`, of each stretch at one level; 0 beyond its end.
            letters: int32 [rows, n], see `transcript.numbers`; 0 beyond the end.
            n_steps, n_letters: int32 [rows]; 0 for nothing.
            mask: float32 [rows], 1 where there are letters, and steps enough for them.
        """
        steps = max(map(self.units, chosen)) * _UNIT_STEPS
        written = [transcript.numbers(each.text) for each in chosen]
        made = {
            "spectra": np.zeros((rows, steps * STRIDE, self.bank.bands), np.float32),
            "letters": np.zeros((rows, max(1, *map(len, written))), np.int32),
            "n_steps": np.zeros(rows, np.int32),
            "n_letters": np.zeros(rows, np.int32),
            "mask": np.zeros(rows, np.float32),
        }
        for i, (each, numbers) in enumerate(zip(chosen, written, strict=True)):
            spectra = self.bank(levelled(utterances.sound(split, each)))
            made["spectra"][i, : len(spectra)] = spectra
            made["letters"][i, : len(numbers)] = numbers
            made["n_steps"][i], made["n_letters"][i] = len(spectra) // STRIDE, len(numbers)
            made["mask"][i] = float(0 < transcript.steps_needed(numbers) <= len(spectra) // STRIDE)
        return made
