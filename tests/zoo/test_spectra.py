"""The spectra that a text is read as, against scipy and librosa, and how much of speech survives them."""

import librosa
import numpy as np
import pytest
import scipy.signal

from datasets.corpora import espeak
from tests.zoo import sentences
from zoo.tacotron.spectra import Spectra


def _glide(rate: int) -> np.ndarray:
    """A voice-like pulse train whose pitch rises, in a little noise, and silence before and after: a second."""
    time = np.arange(rate) / rate
    phase = np.cumsum(100.0 + 80.0 * time) / rate
    sound = 0.2 * scipy.signal.lfilter([1.0], [1.0, -1.5, 0.8], np.diff(np.floor(phase), prepend=0.0))
    sound[: rate // 5], sound[-rate // 5 :] = 0.0, 0.0
    return (sound + 1e-3 * np.random.default_rng(0).standard_normal(rate)).astype(np.float32)


@pytest.mark.parametrize("rate", [8000, 16000])
def test_linear_spectra_are_those_of_scipy(rate):
    spectra, audio = Spectra(rate, 80), _glide(rate)
    found = spectra.linear(audio)
    assert found.shape == (80, spectra.bins) and found.dtype == np.float32
    n, hop = spectra.window, spectra.hop
    padded = np.pad(audio, n // 2)
    windows = np.stack([padded[i * hop : i * hop + n] for i in range(80)]) * scipy.signal.get_window("hann", n)
    wanted = np.log(np.maximum(np.abs(np.fft.rfft(windows)), 1e-4))
    np.testing.assert_allclose(found, wanted, atol=1e-3)


def test_mel_spectra_weigh_them_as_librosa_does():
    spectra, audio = Spectra(8000, 40), _glide(8000)
    filters = librosa.filters.mel(sr=8000, n_fft=400, n_mels=40, fmin=60.0)
    wanted = np.log(np.maximum(np.exp(spectra.linear(audio)) @ filters.T, 1e-4))
    np.testing.assert_allclose(spectra.mel(audio), wanted, atol=0.02)


def test_griffin_lim_is_librosas_and_gives_back_the_spectra():
    spectra, audio = Spectra(8000, 80), _glide(8000)
    mel = spectra.mel(audio)
    sound = spectra.sound_of_mel(mel, seed=3)
    assert sound.shape == audio.shape and sound.dtype == np.float32
    theirs = librosa.feature.inverse.mel_to_audio(
        np.pad(np.exp(mel.T), ((0, 0), (0, 1)), mode="edge"),
        sr=8000, n_fft=400, hop_length=100, power=1.0, n_iter=60, length=8000, fmin=60.0,
    )  # fmt: skip
    for each in (sound, theirs):
        again = spectra.mel(each)
        assert np.abs(again - mel)[mel > -4].mean() < 0.35
    np.testing.assert_array_equal(spectra.sound_of_mel(mel, seed=3), sound)
    assert np.abs(spectra.sound_of_mel(mel, seed=4) - sound).max() > 1e-3


def test_linear_spectra_are_sharpened():
    """Wang et al. 2017, section 3.3: magnitudes to the power of 1.2."""
    spectra, audio = Spectra(8000, 80), _glide(8000)
    linear = spectra.linear(audio)
    again = spectra.linear(spectra.sound_of_linear(linear))
    loud = linear > linear.max() - 4
    assert np.abs(again - 1.2 * linear)[loud].mean() < 0.35


@pytest.mark.skipif(not espeak.available(), reason="espeakng-loader is not installed")
@pytest.mark.parametrize(("rate", "bands", "least"), [(8000, 80, 0.9), (16000, 80, 0.85)])
def test_speech_survives_its_spectra(rate, bands, least):
    """What a reading can reach at best: the rendering's own mels, made sound again."""
    pytest.importorskip("pystoi", reason="pystoi is not installed: the extra test has it")
    audio, spectra = sentences.rendering(rate, n=3), Spectra(rate, bands)
    audio = audio[: len(audio) // spectra.hop * spectra.hop]
    copied = sentences.estoi(audio, spectra.sound_of_mel(spectra.mel(audio)), rate)
    assert copied > least, copied
    assert sentences.estoi(audio, audio, rate) == pytest.approx(1.0, abs=1e-6)
    assert sentences.estoi(audio, np.roll(audio, len(audio) // 2), rate) < 0.3
