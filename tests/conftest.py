"""What all tests share: the Map Task annotations, and a corpus of noise bursts that needs no voices."""

import os
import pathlib

import hypothesis
import numpy as np
import pytest

from datasets import corpora
from datasets.dialogue import Dialogue

ROOT = pathlib.Path(__file__).parent.parent

# How long an example takes says more of what else the machine does.
hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")


@pytest.fixture(scope="session")
def maptask_dir() -> pathlib.Path:
    """The Map Task annotations: $MAPTASK_DIR, else ../shared/data/maptaskv2-1 beside the repository, else a skip."""
    folder = pathlib.Path(os.environ.get("MAPTASK_DIR") or ROOT.parent / "shared" / "data" / "maptaskv2-1")
    if not folder.is_dir():
        pytest.skip(f"needs the Map Task annotations: set MAPTASK_DIR ({folder} is not there)")
    return folder


@pytest.fixture(scope="session")
def real_audio_dir() -> pathlib.Path:
    """Recorded speech: $REAL_AUDIO_DIR, else ../shared/data/real_audio beside the repository, else a skip."""
    folder = pathlib.Path(os.environ.get("REAL_AUDIO_DIR") or ROOT.parent / "shared" / "data" / "real_audio")
    if not folder.is_dir():
        pytest.skip(f"needs recorded speech: set REAL_AUDIO_DIR ({folder} is not there)")
    return folder


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """No test reads or writes the user's cache."""
    monkeypatch.setenv("BABBLEZOO_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


class Bursts(corpora.Corpus):
    """Noise bursts in room tone: `n` dialogues a split, each longer than the one before by an odd bit."""

    name = "bursts"

    def __init__(self, options: corpora.Options, n: int = 6, seconds: float = 6.0):
        super().__init__(options)
        self.n, self.seconds = n, seconds
        self.loaded: list[str] = []

    def names(self, split: str | None = None) -> list[str]:
        splits = ("train", "validation", "test") if split is None else (split,)
        return [f"{split}{i}" for split in splits for i in range(self.n)]

    def load(self, name: str, audio: bool = True) -> Dialogue:
        self.loaded.append(name)
        split, number = name.rstrip("0123456789"), int(name[-1])
        rng = np.random.default_rng([self.options.seed, *name.encode()])
        rate, seconds = self.options.sample_rate or 8000, self.seconds + 0.7133 * number
        speech = tuple(_random_speech(rng, seconds) for _ in range(2))
        sound = np.stack([noise_bursts(intervals, seconds, rate, rng) for intervals in speech])
        return Dialogue(
            name=name,
            split=split,
            duration_seconds=sound.shape[1] / rate,
            speech=speech,
            speakers=(f"{split}-a{number}", f"{split}-b{number}"),
            sample_rate=rate if audio else None,
            audio=sound if audio else None,
        )

    def key(self) -> dict:
        return super().key() | {"n": self.n, "seconds": self.seconds, "seed": self.options.seed}


def noise_bursts(intervals, seconds: float, sample_rate: int, rng, burst_db=-23.0, room_db=-65.0) -> np.ndarray:
    """White noise at `burst_db` in the intervals [n, 2] and at `room_db` between: float32 [samples]."""
    n_samples = round(seconds * sample_rate)
    level = np.full(n_samples, 10 ** (room_db / 20))
    for start, end in np.round(np.asarray(intervals).reshape(-1, 2) * sample_rate).astype(int):
        level[start:end] = 10 ** (burst_db / 20)
    return np.clip(level * rng.standard_normal(n_samples), -1, 1).astype(np.float32)


def _random_speech(rng, seconds: float) -> np.ndarray:
    edges = np.cumsum(rng.uniform(0.3, 1.2, size=40))
    edges = edges[edges < seconds - 0.1]
    return edges[: len(edges) // 2 * 2].reshape(-1, 2)


@pytest.fixture
def bursts(tmp_path):
    """Makes a `Bursts` corpus: bursts(n=6, seconds=6.0, sample_rate=8000, seed=0)."""

    def make(n: int = 6, seconds: float = 6.0, sample_rate: int | None = 8000, seed: int = 0) -> Bursts:
        return Bursts(corpora.Options(cache_dir=tmp_path / "cache", sample_rate=sample_rate, seed=seed), n, seconds)

    return make
