"""What corpora of recordings share: their files, their length, their speech, and whose channel is whose."""

import collections
import dataclasses
import hashlib
import json
import os
import pathlib
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from datasets import activity, files
from datasets import audio as audio_lib
from datasets import dialogue as dialogue_lib
from datasets.errors import InputError

SOUND_SUFFIXES = (".wav", ".flac", ".ogg", ".sph")
_EXCHANGED_DB = 6.0
_LEAST_FRAMES = 25


def sound_files(root: pathlib.Path) -> Iterator[pathlib.Path]:
    """Sound files below a folder, sorted; folders that are links are not entered."""
    return (path for path in every_file(root, follow_links=False) if path.name.lower().endswith(SOUND_SUFFIXES))


def every_file(root: pathlib.Path, follow_links: bool = True) -> Iterator[pathlib.Path]:
    """Files below a folder, sorted, but hidden ones; no folder is entered twice, whatever links there are."""
    entered = {os.path.realpath(root)}
    for folder, folders, names in os.walk(root, followlinks=follow_links):
        real = {os.path.realpath(os.path.join(folder, name)): name for name in sorted(folders) if name[0] != "."}
        folders[:] = sorted(name for path, name in real.items() if path not in entered)
        entered.update(real)
        yield from (pathlib.Path(folder, name) for name in sorted(names) if not name.startswith("."))


def check_inside(path: pathlib.Path, root: pathlib.Path) -> None:
    """Raises `InputError` for a link that leaves the folder."""
    if not path.resolve().is_relative_to(root.resolve()):
        raise InputError(f"{path}: is a link that leaves {root}; copy the file into the folder")


def common_rate(paths: Iterable[pathlib.Path]) -> int:
    """Hz that most of the files have, of several such rates the lowest; raises `InputError` where none can be read."""
    rates, problem = collections.Counter(), None
    for path in paths:
        try:
            rates[audio_lib.read_header(path)[1]] += 1
        except InputError as error:
            problem = problem or error
    if not rates:
        raise problem or InputError("no sound files")
    return min(rates, key=lambda rate: (-rates[rate], rate))


def fingerprint(paths: Sequence[pathlib.Path]) -> str:
    """Changes when one of the files is added, removed, renamed or written; no sound is read for it."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        stat = path.stat() if path.exists() else None  # A link that leads nowhere.
        size, changed = (stat.st_size, stat.st_mtime_ns) if stat else (None, None)
        digest.update(f"{path.name}\0{size}\0{changed}\n".encode())
    return digest.hexdigest()


def beside(
    annotated: dialogue_lib.Dialogue, paths: Sequence[pathlib.Path], sample_rate: int | None
) -> dialogue_lib.Dialogue:
    """An annotated dialogue and its recording, if there is one; of the recording the length alone without a rate."""
    if not paths:
        return annotated
    return with_length(annotated, paths) if sample_rate is None else with_sound(annotated, paths, sample_rate)


def with_sound(
    annotated: dialogue_lib.Dialogue, paths: Sequence[pathlib.Path], sample_rate: int
) -> dialogue_lib.Dialogue:
    """An annotated dialogue with its recording; the longer of both gives the length, and nothing is cut.

    Args:
        annotated: channel 0 should be the left one.
        paths: one file of two channels, or the file of channel 0 and that of channel 1.
        sample_rate: Hz, to which the sound is resampled.

    Returns:
        With `info["recorded_hz"]`, and `info["channels_exchanged"]` where the recording had channel 0 on the right.
    """
    sound, recorded_hz = _read(paths)
    duration = max(annotated.duration_seconds, sound.shape[1] / recorded_hz)
    exchanged = is_exchanged(sound, recorded_hz, annotated.speech)
    sound = audio_lib.resample(sound[::-1] if exchanged else sound, recorded_hz, sample_rate)
    return dataclasses.replace(
        annotated,
        duration_seconds=duration,
        sample_rate=sample_rate,
        audio=as_long_as(sound, duration, sample_rate),
        info=annotated.info | {"recorded_hz": recorded_hz, "channels_exchanged": exchanged},
    )


def with_length(annotated: dialogue_lib.Dialogue, paths: Sequence[pathlib.Path]) -> dialogue_lib.Dialogue:
    """The same dialogue as long as `with_sound` makes it, without the sound; only headers are read."""
    seconds = (samples / rate for samples, rate in map(audio_lib.read_header, paths))
    return dataclasses.replace(annotated, duration_seconds=max(annotated.duration_seconds, *seconds))


def _read(paths: Sequence[pathlib.Path]) -> tuple[np.ndarray, int]:
    """Both channels, float32 [2, samples], and their rate in Hz."""
    if len(paths) == 1:
        return audio_lib.read_wav(paths[0], channels=2)
    (first, rate), (second, second_rate) = (audio_lib.read_wav(path, channels=1) for path in paths)
    second = audio_lib.resample(second, second_rate, rate)
    seconds = max(first.shape[1], second.shape[1]) / rate
    return np.concatenate([as_long_as(channel, seconds, rate) for channel in (first, second)]), rate


def as_long_as(audio: np.ndarray, seconds: float, sample_rate: int) -> np.ndarray:
    """[channels, samples] with zeros behind, up to so many seconds; what is longer stays whole."""
    missing = round(seconds * sample_rate) - audio.shape[1]
    return np.pad(audio, ((0, 0), (0, max(missing, 0))))


def detected(
    path: pathlib.Path, audio: np.ndarray, sample_rate: int, detector: str, cache_dir: str | os.PathLike | None
) -> tuple[np.ndarray, np.ndarray]:
    """Speech of both channels, found by a detector and kept in the cache under the content of the file.

    Args:
        path: of the file.
        audio: float32 [2, samples] as it was read from there.
        sample_rate: Hz.
        detector: of `datasets.activity`.
        cache_dir: None takes the user's.
    """
    digest = hashlib.sha256(json.dumps(activity.detector_key(detector), sort_keys=True).encode())
    digest.update(path.read_bytes())
    folder = pathlib.Path(cache_dir or files.cache_folder()) / "activity"
    kept = folder / f"{digest.hexdigest()[:32]}.json"
    try:
        speech = json.loads(kept.read_text(encoding="utf-8"))
        return tuple(_intervals(speech[channel], audio.shape[1] / sample_rate, kept) for channel in (0, 1))
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        pass
    speech = [activity.detect(audio[channel], sample_rate, detector) for channel in (0, 1)]
    files.write_json(kept, [intervals.tolist() for intervals in speech])
    return tuple(speech)


def _intervals(values: list, duration_seconds: float, path: pathlib.Path) -> np.ndarray:
    return dialogue_lib.validate_intervals(np.array(values, np.float64).reshape(-1, 2), duration_seconds, str(path))


def is_exchanged(audio: np.ndarray, sample_rate: int, speech: tuple[np.ndarray, np.ndarray]) -> bool:
    """Whether each channel is the louder one where the other's speaker is alone.

    Args:
        audio: float32 [2, samples].
        sample_rate: Hz.
        speech: per channel, [n, 2] seconds.

    Returns:
        True where both speakers are alone for half a second at least, and both differences exceed 6 dB.
    """
    levels = activity.frame_levels_db(audio, sample_rate)
    first, second = (dialogue_lib.activity(intervals, levels.shape[1]) for intervals in speech)
    difference = levels[0] - levels[1]
    alone = difference[first & ~second], -difference[second & ~first]
    return all(len(d) >= _LEAST_FRAMES and np.median(d) < -_EXCHANGED_DB for d in alone)


def split_of_hash(digest: str) -> str:
    """Eight of ten for training, one for validation, one for the test, by a hexadecimal hash."""
    place = int(digest[:12], 16) % 10
    return "test" if place == 0 else "validation" if place == 1 else "train"
