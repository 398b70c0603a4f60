"""Log-mel statistics, the long-term spectrum and the modulation spectrum of speech."""

import functools

import librosa
import numpy as np

from eval.audio import signals

N_MELS = 32
HOP_SECONDS = 0.010
WINDOW_SECONDS, STEP_SECONDS = 0.4, 0.2
MODULATION_HZ = np.arange(2, 9)
MODULATION_BANDS = 8
_LOWEST_HZ, _HIGHEST_HZ = 60.0, 7600.0
_FRAME_SECONDS = 0.032
_FLOOR = 10 ** (-45 / 10)  # Of the mean power: what lies below is masked by the rest.


def mel_power(audio: np.ndarray, sample_rate: int) -> np.ndarray:
    """Power in 32 mel bands from 60 Hz up, each 10 ms, above a floor 45 dB below its mean: float64 [frames, 32]."""
    audio = signals.validate(audio, sample_rate)
    length = round(_FRAME_SECONDS * sample_rate)
    windows = signals.frames(audio, length, round(HOP_SECONDS * sample_rate))
    power = np.abs(np.fft.rfft(windows * np.hanning(length), axis=1)) ** 2 @ _bank(sample_rate, length).T
    return power + _FLOOR * (power.mean() if power.any() else 1.0)


def logmel_statistics(audio: np.ndarray, sample_rate: int) -> np.ndarray:
    """Means and standard deviations of 32 log-mel bands in windows of 0.4 s, each 0.2 s: float64 [n, 64].

    Sees the spectrum and how much it moves. Blind to the order in time within a window, to phase, and to pitch but for
    its lowest harmonics.

    Args:
        audio: float [samples]; less than 0.43 s gives no vector.
        sample_rate: Hz; only sounds of one rate are comparable.
    """
    levels = np.log(mel_power(audio, sample_rate))
    length, hop = (round(seconds / HOP_SECONDS) for seconds in (WINDOW_SECONDS, STEP_SECONDS))
    if len(levels) < length:
        return np.zeros((0, 2 * N_MELS))
    windows = np.lib.stride_tricks.sliding_window_view(levels, length, axis=0)[::hop]
    return np.concatenate([windows.mean(axis=2), windows.std(axis=2)], axis=1)


def long_term_spectrum(audio: np.ndarray, sample_rate: int) -> np.ndarray:
    """Summed power in 32 mel bands, float64 [32]; sums of several clips may be added.

    Sees filters and hiss. Blind to everything in time: noise of the same colour cannot be told from speech, which is
    why this has no percentage.
    """
    return mel_power(audio, sample_rate).sum(axis=0)


def spectrum_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Root mean square difference in dB of two long-term spectra [bands], whatever their total."""
    return _rms_db(a / a.sum(), b / b.sum())


def modulation_spectrum(audio: np.ndarray, sample_rate: int) -> np.ndarray:
    """Power of the amplitude modulation at 2 to 8 Hz in 8 bands, float64 [8, 7], summed over windows of 1 s.

    Speech moves its energy at the rate of syllables (Houtgast & Steeneken 1985; 2 to 8 Hz). Sees noise. Blind to
    reversal and nearly so to shuffling by 60 ms, whose pieces come at random and so at these rates too; blind to pitch
    and to the fine spectrum.

    The envelope is divided by its mean in each window, so that loudness does not matter; the sum, divided by
    `modulation_windows`, is a mean.
    """
    power = mel_power(audio, sample_rate).reshape(-1, MODULATION_BANDS, N_MELS // MODULATION_BANDS).sum(axis=2)
    length = round(1 / HOP_SECONDS)
    if len(power) < length:
        return np.zeros((MODULATION_BANDS, len(MODULATION_HZ)))
    windows = np.lib.stride_tricks.sliding_window_view(np.sqrt(power), length, axis=0)[:: length // 2]
    mean = windows.mean(axis=2, keepdims=True)
    moving = (windows / mean - 1) * np.hanning(length)
    return (np.abs(np.fft.rfft(moving, axis=2)[..., MODULATION_HZ]) ** 2).sum(axis=0)


def modulation_windows(audio: np.ndarray, sample_rate: int) -> int:
    """How many windows `modulation_spectrum` sums."""
    length, hop = round(1 / HOP_SECONDS), round(0.5 / HOP_SECONDS)
    return len(range(0, len(mel_power(audio, sample_rate)) - length + 1, hop))


def modulation_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Root mean square difference in dB of two mean modulation spectra [bands, rates], above 1 % of the mean of `b`."""
    return _rms_db(a, b, 0.01 * float(b.mean()))


def _rms_db(a: np.ndarray, b: np.ndarray, floor: float = 1e-10) -> float:
    difference = 10 * np.log10((a + floor) / (b + floor))
    return float(np.sqrt(np.mean(difference**2)))


@functools.cache
def _bank(sample_rate: int, n_fft: int) -> np.ndarray:
    top = min(_HIGHEST_HZ, sample_rate / 2)
    return librosa.filters.mel(sr=sample_rate, n_fft=n_fft, n_mels=N_MELS, fmin=_LOWEST_HZ, fmax=top, norm=None)
