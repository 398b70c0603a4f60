"""All that is measured of one clip, and where it is kept: by the hash of the sound and of everything that shapes it."""

import concurrent.futures
import dataclasses
import functools
import hashlib
import json
import multiprocessing
import os
import pathlib
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import threadpoolctl

from datasets import files
from eval.audio import damages, dnsmos, extras, fingerprint, guards, phones, pitch, signals, spectra
from eval.audio.embedding import EMBEDDINGS

# Raised with every change of what is measured, embeddings apart.
VERSION = 2
GUARDS = ("clipped_share", "digital_silence", "tone_share", "level_range")
Features = dict[str, np.ndarray]
_FEWEST_FOR_WORKERS = 4


@dataclasses.dataclass(frozen=True, eq=False)
class Clip:
    """A speaker's own channel in one chunk.

    Attributes:
        dialogue: name of the dialogue; intervals are drawn by dialogue.
        speech: [n, 2] seconds, by the one detector.
        seconds: length of the chunk.
        sample_rate: Hz.
        read: gives the sound, float32 [samples].
    """

    dialogue: str
    speech: np.ndarray
    seconds: float
    sample_rate: int
    read: Callable[[], np.ndarray]

    @functools.cached_property
    def digest(self) -> str:
        """Of the sound and of its speech; `InputError` where the sound cannot be measured."""
        audio = signals.validate(self.read(), self.sample_rate, f"{self.dialogue}, own channel")
        told = json.dumps([self.sample_rate, np.round(self.speech, 6).tolist()])
        return hashlib.sha256(np.ascontiguousarray(audio).tobytes() + told.encode()).hexdigest()


@dataclasses.dataclass(frozen=True)
class Job:
    """A clip to be measured.

    Attributes:
        clip: the clip.
        damage: of `damages.DAMAGES`, done to its speech first.
        sample_rate: Hz at which it is measured.
        seed: of the damage.
    """

    clip: Clip
    damage: str
    sample_rate: int
    seed: int = 0


def measure(audio: np.ndarray, sample_rate: int, speech: np.ndarray, damage: str, seed: int, rate: int) -> Features:
    """All features of the speech in a channel.

    Args:
        audio: float32 [samples].
        sample_rate: Hz.
        speech: [n, 2] seconds.
        damage: of `damages.DAMAGES`, done to the speech first.
        seed: of the damage.
        rate: Hz at which all is measured.

    Returns:
        seconds []: of speech. embedding/<name> [n, d]. f0 (Hz) and hnr (dB) [frames], NaN where there is no voice.
        phones [39]. dnsmos [windows, 3]. spectrum [32]. modulation [8, 7], modulation_windows []. guards [4], of speech
        at its own level. blocks [n, 50], see `fingerprint`, of what is not damaged. What needs a package that is not
        installed is absent; without anything to be heard there is nothing but seconds.
    """
    native = signals.join(audio, sample_rate, speech)
    audio = signals.at_rate(audio, sample_rate, rate)
    joined = signals.join(audio, rate, speech)
    made = damages.DAMAGES[damage](joined, rate, np.random.default_rng(seed)) if len(joined) else joined
    sound = signals.to_level(made)
    result: Features = {"seconds": np.array(len(sound) / rate)}
    if not len(sound):
        return result
    for name, embedding in EMBEDDINGS.items():
        if embedding.available():
            result[f"embedding/{name}"] = np.asarray(embedding.vectors(sound, rate), np.float32)
    result["f0"], result["hnr"] = (np.asarray(each, np.float32) for each in pitch.track(sound, rate))
    if not extras.missing("phones"):
        result["phones"] = phones.phone_counts(sound, rate)
    if not extras.missing("dnsmos"):
        result["dnsmos"] = dnsmos.dnsmos(sound, rate)
    result["spectrum"] = spectra.long_term_spectrum(sound, rate)
    result["modulation"] = spectra.modulation_spectrum(sound, rate)
    result["modulation_windows"] = np.array(spectra.modulation_windows(sound, rate))
    # A resampled peak is no longer flat: what has no damage is looked at as it came.
    source = (native, sample_rate) if damage == "clean" else (made, rate)
    result["guards"] = np.array(
        [
            guards.clipped_share(*source),
            guards.digital_silence_share(*source),
            guards.tone_share(made, rate),
            guards.level_range_db(made, rate),
        ]
    )
    if damage == "clean":
        result["blocks"] = fingerprint.blocks(audio, rate, speech)
    return result


def measure_all(jobs: Sequence[Job], cache: pathlib.Path, progress: Callable[[], Any]) -> list[Features]:
    """The features of every job, from the cache or by as many processes as there are cores.

    Args:
        jobs: what is wanted.
        cache: folder of what was measured before.
        progress: called after each.
    """
    found: list[Features | None] = [None] * len(jobs)
    todo = []
    for place, job in enumerate(jobs):
        path = cache / f"{key(job)}.npz"
        found[place] = _kept(path)
        if found[place] is None:
            todo.append((place, path))
        else:
            progress()
    for place, path, features in _measured([(place, path, jobs[place]) for place, path in todo]):
        _keep(path, features)
        found[place] = features
        progress()
    return found


def key(job: Job) -> str:
    """A hash of the sound and of all that shapes its features."""
    shaped_by = {
        "version": VERSION,
        "embeddings": {name: each.version for name, each in EMBEDDINGS.items() if each.available()},
        "left_out": [name for name in extras.PACKAGES if extras.missing(name)],
        "clip": job.clip.digest,
        "sample_rate": job.sample_rate,
        "damage": [job.damage, job.seed],
    }
    return hashlib.sha256(json.dumps(shaped_by, sort_keys=True).encode()).hexdigest()[:32]


def _measured(todo: Sequence[tuple[int, pathlib.Path, Job]]) -> Iterator[tuple[int, pathlib.Path, Features]]:
    workers = min(len(os.sched_getaffinity(0)), len(todo))
    if len(todo) < _FEWEST_FOR_WORKERS or workers < 2:
        for place, path, job in todo:
            yield place, path, measure(*_arguments(job))
        return
    # Spawned, for a forked child would inherit the threads and locks of whatever else runs here.
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(workers, context, threadpoolctl.threadpool_limits, (1,)) as pool:
        waiting: dict[concurrent.futures.Future, tuple[int, pathlib.Path]] = {}
        left = iter(todo)
        while True:
            # No more sound is held than is about to be measured.
            for place, path, job in left:
                waiting[pool.submit(measure, *_arguments(job))] = (place, path)
                if len(waiting) >= 2 * workers:
                    break
            if not waiting:
                return
            for done in concurrent.futures.wait(waiting, return_when="FIRST_COMPLETED").done:
                yield *waiting.pop(done), done.result()


def _arguments(job: Job) -> tuple:
    clip = job.clip
    return clip.read(), clip.sample_rate, clip.speech, job.damage, job.seed, job.sample_rate


def _kept(path: pathlib.Path) -> Features | None:
    try:
        with np.load(path, allow_pickle=False) as content:
            return {name: content[name] for name in content.files}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None


def _keep(path: pathlib.Path, features: Features) -> None:
    with files.replacing(path) as part:
        np.savez_compressed(part, **features)
