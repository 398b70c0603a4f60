"""Embeddings: vectors whose distribution is compared, by Frechet and kernel distance.

`EMBEDDINGS` holds them by name. Each is a function of one channel and its rate in Hz that returns vectors [n, d]; a
further one is one more entry, and all that follows from it (features, distances, percentages, columns) comes by itself.
"""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np

from eval.audio import deep_speech, extras, signals, spectra

SPEECH_RATE = 16000
SPEECH_HOP_SECONDS = 0.080
_WINDOW_MELS, _HOP_MELS, _N_MELS = 76, 8, 32
_BATCH = 32


def speech_embedding(audio: np.ndarray, sample_rate: int) -> np.ndarray:
    """What Google's speech embedding (Lin et al. 2020) hears, float32 [n, 96], one vector each 80 ms.

    The network is the one inside pyopen-wakeword; it was trained to tell keywords apart and sees 775 ms from 60 to
    3800 Hz. Sees noise, phase, order within a word and reversal. Blind to loudness, to what lies above 3.8 kHz, and to
    anything longer than its window. Needs a reference of the same domain and of over 1000 vectors.

    Args:
        audio: float [samples]; less than 0.8 s gives no vector.
        sample_rate: Hz.
    """
    audio = signals.at_rate(audio, sample_rate, SPEECH_RATE)
    windows = _mel_windows(audio)
    network = _interpreter("embedding_model", (_BATCH, _WINDOW_MELS, _N_MELS, 1))
    vectors = [np.zeros((0, 96), np.float32)]
    for start in range(0, len(windows), _BATCH):
        batch = np.zeros((_BATCH, _WINDOW_MELS, _N_MELS, 1), np.float32)
        part = windows[start : start + _BATCH]
        batch[: len(part), ..., 0] = part
        vectors.append(_invoke(network, batch).reshape(_BATCH, -1)[: len(part)])
    return np.concatenate(vectors)


@dataclasses.dataclass(frozen=True)
class Embedding:
    """One of `EMBEDDINGS`.

    Attributes:
        title: at the head of its columns.
        vectors: (audio [samples], sample rate in Hz) -> [n, d].
        version: raised with every change of what it gives.
        package: its name in `extras.PACKAGES`, or "".
    """

    title: str
    vectors: Callable[[np.ndarray, int], np.ndarray]
    version: str
    package: str = ""

    def available(self) -> bool:
        return not extras.missing(self.package)


EMBEDDINGS: dict[str, Embedding] = {
    "speech": Embedding("speech emb.", speech_embedding, "pyopen-wakeword 1", "speech"),
    "mel": Embedding("log-mel", spectra.logmel_statistics, "1"),
    "deep_speech": Embedding("DeepSpeech", deep_speech.deep_speech_activations, deep_speech.provenance()),
}


def _mel_windows(audio: np.ndarray) -> np.ndarray:
    """The network's own log-mels, in windows of 76 frames each 8 frames: float32 [n, 76, 32]."""
    # The spectrogram network takes the range of int16, and the embedding wants its decibels scaled so.
    samples = (audio.clip(-1, 1) * 32767)[None]
    if samples.shape[1] < 0.8 * SPEECH_RATE:
        return np.zeros((0, _WINDOW_MELS, _N_MELS), np.float32)
    mels = _invoke(_interpreter("melspectrogram", samples.shape), samples).reshape(-1, _N_MELS) / 10 + 2
    windows = np.lib.stride_tricks.sliding_window_view(mels, _WINDOW_MELS, axis=0)[::_HOP_MELS]
    return windows.transpose(0, 2, 1)


def _interpreter(name: str, shape: tuple[int, ...]):
    interpreter = _open(name)
    details = interpreter.get_input_details()[0]
    if tuple(details["shape"]) != shape:
        interpreter.resize_tensor_input(details["index"], shape)
    interpreter.allocate_tensors()
    return interpreter


@functools.cache
def _open(name: str):
    models = extras.folder("speech", "pyopen_wakeword") / "models"
    from ai_edge_litert.interpreter import Interpreter

    return Interpreter(model_path=str(models / f"{name}.tflite"), num_threads=1)


def _invoke(interpreter, values: np.ndarray) -> np.ndarray:
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], np.ascontiguousarray(values, np.float32))
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"]).copy()
