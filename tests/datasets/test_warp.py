"""Bending time and keeping pitch."""

import numpy as np
import pytest

from datasets.corpora.warp import warp

RATE = 8000


def tone(hz: float, seconds: float) -> np.ndarray:
    return np.sin(2 * np.pi * hz * np.arange(int(seconds * RATE)) / RATE).astype(np.float32)


def peak_hz(audio: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(audio * np.hanning(len(audio)), 1 << 16))
    return np.argmax(spectrum) * RATE / (1 << 16)


@pytest.mark.parametrize("factor", [0.3, 0.7, 1.0, 1.5, 4.0])
def test_length_is_exact_and_pitch_and_level_stay(factor):
    audio = tone(150, 1.0)
    length = int(factor * RATE)
    bent = warp(audio, np.array([0, len(audio)]), np.array([0, length]), RATE)
    assert bent.shape == (length,)
    middle = bent[length // 10 : -length // 10]
    assert peak_hz(middle) == pytest.approx(150, abs=3)
    assert middle.std() == pytest.approx(audio.std(), rel=0.05)


def test_the_same_times_give_the_same_samples():
    audio = np.random.default_rng(0).standard_normal(4000).astype(np.float32)
    np.testing.assert_allclose(warp(audio, np.array([0, 4000]), np.array([0, 4000]), RATE), audio, atol=1e-5)


def test_each_mark_comes_to_its_place():
    # Two tones that meet at .2 s are to meet at .5 s.
    audio = np.concatenate([tone(200, 0.2), tone(900, 0.6)])
    bent = warp(audio, np.array([0, 1600, 6400]), np.array([0, 4000, 6000]), RATE)
    assert peak_hz(bent[:3800]) == pytest.approx(200, abs=5)
    assert peak_hz(bent[4200:]) == pytest.approx(900, abs=10)


def test_what_lies_outside_the_marks_is_not_heard():
    audio = np.concatenate([np.ones(800), np.zeros(1600), np.ones(800)]).astype(np.float32)
    assert not warp(audio, np.array([800, 2400]), np.array([0, 3000]), RATE).any()


@pytest.mark.parametrize("length", [0, 1, 7, 100])
def test_very_short_places(length):
    bent = warp(tone(150, 0.1), np.array([0, 800]), np.array([0, length]), RATE)
    assert bent.shape == (length,)
    assert np.isfinite(bent).all()
