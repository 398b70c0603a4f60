"""What the proxies measure: one channel, float [samples], and the parts of it that are speech."""

import numpy as np

from datasets import audio as audio_lib
from datasets.errors import InputError

LEVEL_DB = -26.0
RAMP_SECONDS = 0.005
LOWEST_RATE = 8000
_INAUDIBLE_DB = -90.0


def validate(audio: np.ndarray, sample_rate: int, what: str = "audio") -> np.ndarray:
    """The audio as float32 [samples].

    Raises:
        InputError: more than one channel, no samples, samples that are not finite, or a rate below 8000 Hz.
    """
    audio = np.asarray(audio)
    if audio.ndim != 1:
        raise InputError(
            f"{what}: one channel [samples] is meant and its shape is {audio.shape}; measure each channel for itself"
        )
    if not len(audio):
        raise InputError(f"{what}: has no samples")
    if not np.issubdtype(audio.dtype, np.floating):
        raise InputError(f"{what}: samples are {audio.dtype}, and floats in [-1, 1] are meant; divide by full scale")
    if not np.isfinite(audio).all():
        raise InputError(f"{what}: has samples that are not finite (NaN or infinity)")
    if sample_rate < LOWEST_RATE:
        raise InputError(f"{what}: {sample_rate} Hz is below {LOWEST_RATE} Hz; speech is not measured at such rates")
    return audio.astype(np.float32, copy=False)


def level_db(audio: np.ndarray) -> float:
    """Root mean square in dB below full scale; -inf for silence."""
    power = float(np.mean(np.square(audio, dtype=np.float64))) if len(audio) else 0.0
    return 10 * np.log10(power) if power else -np.inf


def join(audio: np.ndarray, sample_rate: int, speech: np.ndarray) -> np.ndarray:
    """The stretches of speech, one after another, with ramps of 5 ms at each joint.

    Args:
        audio: float [samples].
        sample_rate: Hz.
        speech: [n, 2] seconds.

    Returns:
        float32 [samples].
    """
    audio = validate(audio, sample_rate)
    edges = np.round(np.reshape(speech, (-1, 2)) * sample_rate).astype(int).clip(0, len(audio))
    pieces = [_ramped(audio[start:end], round(RAMP_SECONDS * sample_rate)) for start, end in edges]
    return np.concatenate([np.zeros(0, np.float32), *pieces])


def to_level(audio: np.ndarray, wanted_db: float = LEVEL_DB) -> np.ndarray:
    """The audio at a level, float32 [samples]; empty where nothing is to be heard."""
    found = level_db(audio)
    if found < _INAUDIBLE_DB:
        return np.zeros(0, np.float32)
    return (audio * 10 ** ((wanted_db - found) / 20)).astype(np.float32)


def at_rate(audio: np.ndarray, sample_rate: int, wanted_rate: int) -> np.ndarray:
    """Resampled, float32 [samples]."""
    return audio_lib.resample(validate(audio, sample_rate), sample_rate, wanted_rate)


def frames(audio: np.ndarray, length: int, hop: int) -> np.ndarray:
    """Views of `length` samples each `hop` samples, [n, length]; what is left at the end is not used."""
    if len(audio) < length:
        return np.zeros((0, length), audio.dtype)
    return np.lib.stride_tricks.sliding_window_view(audio, length)[::hop]


def _ramped(piece: np.ndarray, ramp: int) -> np.ndarray:
    ramp = min(ramp, len(piece) // 2)
    piece = piece.copy()
    rise = np.linspace(0, 1, ramp, endpoint=False, dtype=np.float32)
    piece[:ramp] *= rise
    piece[len(piece) - ramp :] *= rise[::-1]
    return piece
