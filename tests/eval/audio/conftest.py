"""Sound whose properties are known, and real speech where it is at hand."""

import numpy as np
import pytest
import soundfile

from eval.audio import extras, features

RATE = 16000


@pytest.fixture
def buzz():
    """Makes a voice of harmonics: buzz(f0_hz, seconds, rate=16000) -> float32 [samples] that swells at 4 Hz."""

    def make(f0_hz, seconds, rate=RATE):
        t = np.arange(round(seconds * rate)) / rate
        voice = sum(np.cos(2 * np.pi * k * f0_hz * t + k) / k for k in range(1, int(3400 / f0_hz) + 1))
        return (0.05 * voice * (1 + 0.8 * np.sin(2 * np.pi * 4 * t))).astype(np.float32)

    return make


@pytest.fixture(scope="session")
def real_speech(real_audio_dir):
    """Ten seconds of a LibriSpeech reader: (float32 [samples], Hz)."""
    audio, rate = soundfile.read(real_audio_dir / "read" / "libri-1088-134315-0000.wav", dtype="float32")
    return audio[: 10 * rate], rate


@pytest.fixture
def light(monkeypatch):
    """Without the packages that take long, and in this process."""
    for proxy in list(extras.PACKAGES):
        monkeypatch.setitem(extras.PACKAGES, proxy, {"no_such_module": "no-such-package"})
    monkeypatch.setattr(features, "_FEWEST_FOR_WORKERS", 10**6)
