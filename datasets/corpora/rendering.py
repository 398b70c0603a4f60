"""Corpora whose sound is made here: rendered once, kept as FLAC in the cache, read ever after.

A file is written whole or not at all, so a render that was killed goes on where it stopped. The name of the folder
carries a hash of everything that shaped the sound, which its `key.json` spells out.
"""

import abc
import dataclasses
import hashlib
import json
import multiprocessing
import pathlib
from collections.abc import Sequence
from concurrent import futures

import numpy as np
import soundfile
import tqdm

from datasets import corpora, files
from datasets import dialogue as dialogue_lib
from datasets.corpora import espeak, natural, voices
from datasets.errors import InputError

_DEFAULT_SAMPLE_RATE = 8000
_SAMPLE_RATES = (8000, 48000)


class RenderedCorpus(corpora.Corpus):
    """A corpus of scripts - who says which word when - and the voices that read them."""

    takes = frozenset({"voices"})

    def __init__(self, options: corpora.Options):
        if options.voices not in (None, *voices.KINDS):
            raise InputError(f"--voices={options.voices}: no such voices; the choices are {', '.join(voices.KINDS)}")
        if options.voices == "natural":
            natural.versions()
        rate = _DEFAULT_SAMPLE_RATE if options.sample_rate is None else options.sample_rate
        low, high = _SAMPLE_RATES
        if not low <= rate <= high or rate % dialogue_lib.FRAMES_PER_SECOND:
            raise InputError(f"sample rate {rate} Hz: voices are rendered at {low} to {high} Hz, in multiples of 50")
        super().__init__(dataclasses.replace(options, sample_rate=int(rate)))

    @abc.abstractmethod
    def script(self, name: str) -> dialogue_lib.Dialogue:
        """The dialogue without sound."""

    def script_key(self) -> dict:
        """Everything that shapes each of the scripts, as JSON values."""
        return {}

    def sound_key(self) -> dict:
        """Everything that shapes the sound of one dialogue, as JSON values."""
        key = {
            "corpus": self.name,
            "sample_rate": self.options.sample_rate,
            "seed": self.options.seed,
            "script": self.script_key(),
            "render_version": voices.RENDER_VERSION,
            "espeak": espeak.version(),
        }
        return key | ({"natural": natural.versions()} if self.options.voices == "natural" else {})

    def key(self) -> dict:
        return self.sound_key()

    def folder(self) -> pathlib.Path:
        """Where the rendered dialogues are kept."""
        digest = hashlib.sha256(json.dumps(self.sound_key(), sort_keys=True).encode()).hexdigest()
        return pathlib.Path(self.options.cache_dir or files.cache_folder()) / f"{self.name}-{digest[:12]}"

    def load(self, name: str, audio: bool = True) -> dialogue_lib.Dialogue:
        """One dialogue; renders its sound where the cache lacks it."""
        script = self.script(name)
        if not audio:
            return script
        rate = self.options.sample_rate
        path = self.folder() / f"{name}.flac"
        sound = _read(path, script, rate)
        if sound is None:
            self._write(path, voices.render(script, rate, self.options.seed, self.options.voices or voices.KINDS[0]))
            sound = _read(path, script, rate)
        return dataclasses.replace(script, audio=sound, sample_rate=rate)

    def is_rendered(self, name: str) -> bool:
        """Whether the cache holds this dialogue."""
        return (self.folder() / f"{name}.flac").exists()

    def render_all(self, names: Sequence[str] | None = None, workers: int = 1, progress: bool = True) -> int:
        """Renders what the cache lacks of these dialogues (None: all), and returns how many that was."""
        todo = [name for name in (self.names() if names is None else names) if not self.is_rendered(name)]
        bar = tqdm.tqdm(
            total=len(todo), desc=f"voices for {self.name}", unit="dialogue", disable=not (progress and todo)
        )
        with bar:
            for _ in self._render(todo, min(workers, len(todo))):
                bar.update()
        return len(todo)

    def _render(self, names: Sequence[str], workers: int):
        if workers < 2:
            yield from (self.load(name) for name in names)
            return
        # Spawned, for a forked child would inherit the threads and locks of whatever else runs here.
        context = multiprocessing.get_context("spawn")
        with futures.ProcessPoolExecutor(workers, context, _open_in_worker, (type(self), self.options)) as pool:
            for done in futures.as_completed([pool.submit(_load_in_worker, name) for name in names]):
                yield done.result()

    def _write(self, path: pathlib.Path, audio: np.ndarray) -> None:
        key = path.parent / "key.json"
        if not key.exists():
            files.write_json(key, self.sound_key())
        samples = np.round(audio.T * 32767).astype(np.int16)
        with files.replacing(path) as part:
            soundfile.write(part, samples, self.options.sample_rate, format="FLAC", subtype="PCM_16")


def _read(path: pathlib.Path, script: dialogue_lib.Dialogue, sample_rate: int) -> np.ndarray | None:
    """float32 [2, samples], or None if the file is missing or not that of this script."""
    try:
        audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError):
        return None
    whole = audio.shape == (round(script.duration_seconds * sample_rate), 2) and rate == sample_rate
    return np.ascontiguousarray(audio.T) if whole else None


_worker_corpus: RenderedCorpus | None = None


def _open_in_worker(cls: type[RenderedCorpus], options: corpora.Options) -> None:
    global _worker_corpus
    _worker_corpus = cls(options)


def _load_in_worker(name: str) -> str:
    _worker_corpus.load(name)
    return name
