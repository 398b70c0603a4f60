"""Mel spectra against librosa, and the distances that are made of them."""

import librosa
import numpy as np
import pytest

from datasets.errors import InputError
from eval.audio import spectra

RATE = 16000


def noise(seconds, seed=0):
    return (0.05 * np.random.default_rng(seed).standard_normal(round(seconds * RATE))).astype(np.float32)


def test_mel_power_is_that_of_librosa(buzz):
    audio = buzz(140, 1.0) + noise(1.0)
    length = round(0.032 * RATE)
    ours = spectra.mel_power(audio, RATE)
    theirs = librosa.feature.melspectrogram(
        y=audio, sr=RATE, n_fft=length, hop_length=RATE // 100, window=np.hanning(length), center=False,
        n_mels=32, fmin=60, fmax=7600, norm=None,
    ).T  # fmt: skip
    floor = 10**-4.5 * theirs.mean()
    np.testing.assert_allclose(ours, theirs + floor, rtol=1e-3)


def test_statistics_have_the_shape_and_do_not_hear_level(buzz):
    audio = buzz(140, 3.0)
    statistics = spectra.logmel_statistics(audio, RATE)
    assert statistics.shape == ((297 - 40) // 20 + 1, 64)
    shift = spectra.logmel_statistics(0.1 * audio, RATE) - statistics
    np.testing.assert_allclose(shift[:, :32], np.log(0.01), atol=1e-3)
    np.testing.assert_allclose(shift[:, 32:], 0, atol=1e-3)
    assert spectra.logmel_statistics(audio[:1000], RATE).shape == (0, 64)


def test_long_term_spectrum_distance():
    a, b = (spectra.long_term_spectrum(noise(2.0, seed), RATE) for seed in (0, 1))
    assert spectra.spectrum_distance(a, a) == 0
    assert spectra.spectrum_distance(a, 7 * b) < 0.5
    tilted = b * np.linspace(1, 10, 32)
    assert spectra.spectrum_distance(a, tilted) > 2


def test_modulation_is_found_at_its_rate():
    t = np.arange(4 * RATE) / RATE
    swelling = noise(4.0) * (1 + np.sin(2 * np.pi * 4 * t)).astype(np.float32)
    found = spectra.modulation_spectrum(swelling, RATE) / spectra.modulation_windows(swelling, RATE)
    assert (spectra.MODULATION_HZ[found.argmax(axis=1)] == 4).all()
    still = spectra.modulation_spectrum(noise(4.0), RATE) / spectra.modulation_windows(noise(4.0), RATE)
    assert spectra.modulation_distance(found, found) == 0
    assert spectra.modulation_distance(still, found) > 5


def test_short_and_malformed():
    assert not spectra.modulation_spectrum(noise(0.5), RATE).any() and spectra.modulation_windows(noise(0.5), RATE) == 0
    for function in (spectra.logmel_statistics, spectra.long_term_spectrum, spectra.modulation_spectrum):
        with pytest.raises(InputError, match="not finite"):
            function(np.full(RATE, np.nan), RATE)
