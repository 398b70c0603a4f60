"""What our own Deep Speech hears: activations below its letters, for the DeepSpeech distances of GAN-TTS.

Binkowski et al. 2020, section 3.4, take the activations of a recogniser, averaged over windows. Here it is a
`zoo.deep_speech` (Hannun et al. 2014) trained on voiced Map Task, packed by `zoo.deep_speech.pack` and run by numpy:
no TensorFlow is needed, and `tests/zoo/test_deep_speech.py` holds the two against each other.
"""

import dataclasses
import functools
import hashlib
import io
import json
import pathlib

import numpy as np

from datasets.filterbank import FilterBank, levelled
from eval.audio import signals

PRETRAINED = pathlib.Path(__file__).parents[2] / "zoo" / "pretrained" / "deep_speech.npz"
_CEILING = 20.0
_STRIDE = 2
# As long as a breath group; the layers see nothing beyond.
_STRETCH_STEPS = 96


@dataclasses.dataclass(frozen=True, eq=False)
class Network:
    """A packed Deep Speech.

    Attributes:
        weights: by name, float32.
        about: sample_rate, bands, context, layer, window_steps, trained_on.
        digest: of the file.
    """

    weights: dict[str, np.ndarray]
    about: dict
    digest: str

    @classmethod
    def read(cls, path: pathlib.Path) -> "Network":
        content = path.read_bytes()
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            weights = {name: arrays[name].astype(np.float32) for name in arrays.files if name != "about"}
            about = json.loads(str(arrays["about"]))
        return cls(weights, about, hashlib.sha256(content).hexdigest()[:12])

    def activations(self, spectra: np.ndarray) -> np.ndarray:
        """Of the fifth layer, float32 [rows, steps, units], from log-mel spectra [rows, 2 * steps, bands]."""
        weights, context = self.weights, self.about["context"]
        x = (spectra - weights["band_mean"]) / weights["band_scale"]
        padded = np.pad(x, ((0, 0), (context, context), (0, 0)))
        n = x.shape[1]
        x = np.concatenate([padded[:, i : i + n : _STRIDE] for i in range(2 * context + 1)], axis=-1)
        for i in (1, 2, 3):
            x = self._layer(x, f"layer{i}")
        given = self._product(x, "given")
        x = _recurrence(given, weights["ahead"]) + _recurrence(given[:, ::-1], weights["back"])[:, ::-1]
        return self._layer(x, "layer5")

    def vectors(self, audio: np.ndarray, sample_rate: int) -> np.ndarray:
        """Means of the activations over `window_steps` steps, as principal components: float32 [n, components]."""
        audio = levelled(signals.at_rate(audio, sample_rate, self.about["sample_rate"]))
        spectra = FilterBank(self.about["sample_rate"], self.about["bands"])(audio)
        window = self.about["window_steps"]
        n_windows = len(spectra) // (_STRIDE * window)
        spectra = spectra[: n_windows * _STRIDE * window]
        # Whole stretches side by side, and what is left.
        stretch = _STRIDE * _STRETCH_STEPS
        whole = len(spectra) // stretch * stretch
        parts = [spectra[:whole].reshape(-1, stretch, self.about["bands"]), spectra[None, whole:]]
        units = len(self.weights["component_mean"])
        found = [self.activations(part).reshape(-1, window, units).mean(axis=1) for part in parts if part.size]
        if not found:
            return np.zeros((0, self.weights["components"].shape[1]), np.float32)
        return (np.concatenate(found) - self.weights["component_mean"]) @ self.weights["components"]

    def _layer(self, x: np.ndarray, name: str) -> np.ndarray:
        return np.clip(self._product(x, name), 0.0, _CEILING)

    def _product(self, x: np.ndarray, name: str) -> np.ndarray:
        return x @ self.weights[f"{name}_kernel"] + self.weights[f"{name}_bias"]


def deep_speech_activations(audio: np.ndarray, sample_rate: int) -> np.ndarray:
    """What the fifth layer of our Deep Speech makes of speech, float32 [n, 64], a vector each 160 ms.

    Sees what tells letters apart: noise, band limits, order within a word, reversal. Blind to what lies above 4 kHz, to
    loudness, and much to pitch and voice, which a recogniser learns to pass over. It was trained on synthetic voices.

    Args:
        audio: float [samples]; less than 160 ms gives no vector.
        sample_rate: Hz.
    """
    return pretrained().vectors(audio, sample_rate)


@functools.cache
def pretrained() -> Network:
    """The one in `zoo/pretrained/`."""
    return Network.read(PRETRAINED)


def provenance() -> str:
    """Which network it is: training data, layer and hash, for a score file."""
    about = pretrained().about
    return f"{about['layer']}, {about['trained_on']}, sha256 {pretrained().digest}"


def _recurrence(given: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """States of a clipped recurrence without gates, [rows, steps, units]."""
    states, state = np.empty_like(given), np.zeros_like(given[:, 0])
    for t in range(given.shape[1]):
        state = np.clip(given[:, t] + state @ kernel, 0.0, _CEILING)
        states[:, t] = state
    return states
