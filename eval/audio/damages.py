"""Known damage: what the proxies are tried against, and what some reference rows are made by.

Each takes one channel of speech, float32 [samples], its rate in Hz and a source of chance, and returns as many samples.
"""

from collections.abc import Callable

import librosa
import numpy as np
import scipy.signal

SHUFFLED_SECONDS = 0.060
_SPECTRUM_SAMPLES = 512
_N_MELS = 80

Damage = Callable[[np.ndarray, int, np.random.Generator], np.ndarray]


def clean(audio, sample_rate, rng):
    """As it is."""
    return audio


def noise(snr_db: float) -> Damage:
    """White noise, so many dB below the speech."""

    def damage(audio, sample_rate, rng):
        scale = np.sqrt(np.mean(np.square(audio, dtype=np.float64)) / 10 ** (snr_db / 10))
        return (audio + scale * rng.standard_normal(len(audio))).astype(np.float32)

    return damage


def white_noise(audio, sample_rate, rng):
    """White noise and nothing else."""
    return rng.standard_normal(len(audio)).astype(np.float32)


def speech_shaped_noise(audio, sample_rate, rng):
    """Noise with the long-term spectrum of the speech: the worst end of every scale."""
    power = scipy.signal.welch(audio, nperseg=min(_SPECTRUM_SAMPLES, len(audio)))[1]
    spectrum = np.fft.rfft(rng.standard_normal(len(audio)))
    shape = np.interp(np.linspace(0, 1, len(spectrum)), np.linspace(0, 1, len(power)), np.sqrt(power))
    return np.fft.irfft(spectrum * shape, len(audio)).astype(np.float32)


def mu_law(bits: int) -> Damage:
    """Coded by mu-law (ITU-T G.711's curve, mu = 2^bits - 1) at the level that it has when its peak is full scale."""

    def damage(audio, sample_rate, rng):
        mu, peak = 2**bits - 1, max(float(np.abs(audio).max()), 1e-9)
        x = np.clip(audio / peak, -1, 1)
        squeezed = np.sign(x) * np.log1p(mu * np.abs(x)) / np.log1p(mu)
        # The levels are the middles of equal parts of [-1, 1].
        level = (np.floor((squeezed + 1) / 2 * mu + 0.5) / mu) * 2 - 1
        return (peak * np.sign(level) * np.expm1(np.abs(level) * np.log1p(mu)) / mu).astype(np.float32)

    return damage


def low_pass(cutoff_hz: float) -> Damage:
    """Nothing above so many Hz (Butterworth, eighth order, both ways)."""

    def damage(audio, sample_rate, rng):
        sections = scipy.signal.butter(8, cutoff_hz, fs=sample_rate, output="sos")
        return scipy.signal.sosfiltfilt(sections, audio).astype(np.float32)

    return damage


def phase_scramble(audio, sample_rate, rng):
    """The short-time magnitudes of the speech (32 ms) with random phases."""
    n_fft = round(0.032 * sample_rate)
    spectrum = librosa.stft(audio, n_fft=n_fft)
    scrambled = np.abs(spectrum) * np.exp(2j * np.pi * rng.random(spectrum.shape))
    return librosa.istft(scrambled, n_fft=n_fft, length=len(audio)).astype(np.float32)


def shuffle(audio, sample_rate, rng):
    """Pieces of 60 ms in random order."""
    step = round(SHUFFLED_SECONDS * sample_rate)
    pieces = [audio[i : i + step] for i in range(0, len(audio), step)]
    return np.concatenate([pieces[i] for i in rng.permutation(len(pieces))])


def reverse(audio, sample_rate, rng):
    """Backwards."""
    return audio[::-1].copy()


def griffin_lim(audio, sample_rate, rng):
    """Resynthesis from 80 log-mel bands by Griffin & Lim 1984, 32 fast iterations (Perraudin et al. 2013)."""
    n_fft, hop = round(0.050 * sample_rate), round(0.0125 * sample_rate)
    bank = librosa.filters.mel(sr=sample_rate, n_fft=n_fft, n_mels=_N_MELS)
    mels = bank @ np.abs(librosa.stft(audio, n_fft=n_fft, hop_length=hop))
    magnitude = np.maximum(np.linalg.pinv(bank) @ mels, 1e-8)
    seed = int(rng.integers(1 << 31))
    return librosa.griffinlim(
        magnitude, n_iter=32, hop_length=hop, n_fft=n_fft, length=len(audio), random_state=seed
    ).astype(np.float32)


DAMAGES: dict[str, Damage] = {
    "clean": clean,
    "noise 20 dB": noise(20),
    "noise 10 dB": noise(10),
    "noise 0 dB": noise(0),
    "white noise": white_noise,
    "mu-law 4 bits": mu_law(4),
    "low-pass 1 kHz": low_pass(1000),
    "phase scramble": phase_scramble,
    "shuffled 60 ms": shuffle,
    "reversed": reverse,
    "mu-law 8 bits": mu_law(8),
    "Griffin-Lim": griffin_lim,
    "gated noise": speech_shaped_noise,
}
