"""Any folder of recordings with one speaker a channel: wav, flac, ogg or sphere, at any rate.

    python -m datasets.prepare --corpus=stereo --data_dir=my_recordings

Channel 0 is left, channel 1 right. Who speaks when comes from a file of the same stem beside the recording - TextGrid,
RTTM, CSV or Audacity labels (`datasets.annotations`), in this order - and is detected where there is none.

The split is drawn from a hash of the recording itself, so that files which are added move no other, and two copies of
a recording fall on the same side. It knows nothing of speakers: where somebody is in several recordings, sort them
into folders called train, validation and test, which are then taken as they are.
"""

import collections
import dataclasses
import functools
import hashlib
import os
import pathlib
import re

import numpy as np

from datasets import activity, annotations, corpora
from datasets import audio as sound_lib
from datasets import dialogue as dialogue_lib
from datasets.corpora import recorded
from datasets.errors import InputError

ROLES = ("left", "right")
# As they are spelled, since a folder of thousands is too long to be searched for each file.
_ANNOTATION_SUFFIXES = (".TextGrid", *(spelled for s in annotations.SUFFIXES for spelled in (s, s.upper())))
_HASHED_BYTES = 1 << 16
_LABELS_LINE = re.compile(r"\s*\d[\d.,]*\t\d[\d.,]*\t")


@corpora.register("stereo")
class Stereo(corpora.Corpus):
    """The two-channel files below `data_dir`, at the rate that most of them have unless the options name another.

    A dialogue is called by its path in the folder, without suffix, "/" written as "--". `info` holds its `file`,
    `recorded_hz` and what its `activity` is from.
    """

    roles = ROLES
    detector = "silero"

    def __init__(self, options: corpora.Options):
        super().__init__(options)
        if not options.data_dir:
            raise InputError("stereo needs --data_dir: a folder of two-channel recordings (wav, flac, ogg, sph)")
        self._root = pathlib.Path(options.data_dir)
        if not self._root.is_dir():
            raise InputError(f"--data_dir={self._root} is not a folder; wanted is one of two-channel recordings")
        self._files = _named(list(recorded.sound_files(self._root)), self._root)
        if not self._files:
            suffixes = ", ".join(recorded.SOUND_SUFFIXES)
            raise InputError(
                f"--data_dir={self._root}: no sound files ({suffixes}) in it or below; is it the right one?"
            )

    def names(self, split: str | None = None) -> list[str]:
        corpora.check_split(split)
        return [name for name in self._files if split is None or self._splits[name] == split]

    def load(self, name: str, audio: bool = True) -> dialogue_lib.Dialogue:
        path = self._path(name)
        beside = annotation_of(path)
        sound = None
        if audio or beside is None:
            sound, recorded_hz = sound_lib.read_wav(path, channels=2)
            seconds = sound.shape[1] / recorded_hz
        else:
            samples, recorded_hz = sound_lib.read_header(path, channels=2)
            seconds = samples / recorded_hz
        if beside is None:
            found = self._detected(path, sound, recorded_hz)
        else:
            found = self._annotated(beside, sound, recorded_hz, seconds)
        rate = self.sample_rate if audio else None
        return dialogue_lib.Dialogue(
            name=name,
            split=_split(path, self._root),
            duration_seconds=seconds,
            speech=found.speech,
            words=found.words,
            roles=ROLES,
            speakers=tuple(who or f"{name}:{role}" for who, role in zip(found.speakers, ROLES, strict=True)),
            sample_rate=rate,
            audio=sound_lib.resample(sound, recorded_hz, rate) if audio else None,
            info={
                "file": path.relative_to(self._root).as_posix(),
                "recorded_hz": recorded_hz,
                "activity": found.source,
            },
        )

    @functools.cached_property
    def sample_rate(self) -> int:
        """Hz: what the options ask for, else that of most recordings."""
        return self.options.sample_rate or recorded.common_rate(self._files.values())

    def key(self) -> dict:
        beside = [found for path in self._files.values() if (found := annotation_of(path))]
        return super().key() | {
            "sample_rate": self.sample_rate,
            "detector": activity.detector_key(self.options.detector or self.detector),
            "files": recorded.fingerprint([*self._files.values(), *beside]),
        }

    @functools.cached_property
    def _splits(self) -> dict[str, str]:
        return {name: _split(path, self._root) for name, path in self._files.items()}

    def _path(self, name: str) -> pathlib.Path:
        if name not in self._files:
            raise InputError(f"{name}: no such recording in {self._root}; names are like {next(iter(self._files))}")
        path = self._files[name]
        recorded.check_inside(path, self._root)
        return path

    def _annotated(self, beside: pathlib.Path, sound: np.ndarray | None, rate: int, seconds: float) -> "_Found":
        recorded.check_inside(beside, self._root)
        read = annotations.read(beside)
        labels = annotations.channel_labels(read.labels, beside)
        speech = annotations.pair_of_channels(read.intervals(seconds), beside)
        if sound is not None and recorded.is_exchanged(sound, rate, speech):
            raise InputError(
                f"{beside}: its labels {labels[0]!r} and {labels[1]!r} are loud in each other's channel; exchange them"
            )
        words, speakers = (tuple(of(label) for label in labels) for of in (read.words, read.speaker))
        return _Found(speech, words, speakers, beside.suffix)

    def _detected(self, path: pathlib.Path, sound: np.ndarray, rate: int) -> "_Found":
        detector = self.options.detector or self.detector
        if detector == activity.ANNOTATIONS:
            raise InputError(f"{path}: has no annotation beside it, which --detector=annotations asks for")
        speech = recorded.detected(path, sound, rate, detector, self.options.cache_dir)
        return _Found(speech, ((), ()), ("", ""), detector)


@dataclasses.dataclass(frozen=True, eq=False)
class _Found:
    """Who says what when, by channel, and where that is from."""

    speech: tuple[np.ndarray, np.ndarray]
    words: tuple[tuple[dialogue_lib.Word, ...], tuple[dialogue_lib.Word, ...]]
    speakers: tuple[str, str]
    source: str


def annotation_of(path: pathlib.Path) -> pathlib.Path | None:
    """The file of speech intervals beside a recording; of several the first kind in `datasets.annotations`.

    A .txt that does not start like Audacity labels is a transcript, and left alone.
    """
    for suffix in _ANNOTATION_SUFFIXES:
        beside = path.with_name(path.stem + suffix)
        if beside.is_file() and _is_annotation(beside):
            return beside
    return None


def _is_annotation(path: pathlib.Path) -> bool:
    if path.suffix.lower() != ".txt":
        return True
    try:
        with open(path, encoding="utf-8-sig", errors="replace") as file:
            return bool(_LABELS_LINE.match(file.readline(1000)))
    except OSError:  # Reading it says so.
        return True


def _named(paths: list[pathlib.Path], root: pathlib.Path) -> dict[str, pathlib.Path]:
    """The files by name; those that share one (a.wav and a.flac) keep their suffix."""
    relative = [path.relative_to(root).as_posix().replace("/", "--") for path in paths]
    stems = collections.Counter(name.rpartition(".")[0] for name in relative)
    names = [name if stems[stem] > 1 else stem for name in relative for stem in [name.rpartition(".")[0]]]
    named: dict[str, pathlib.Path] = {}
    for name, path in zip(names, paths, strict=True):
        if named.setdefault(name, path) is not path:
            raise InputError(f"{path} and {named[name]} would both be called {name}; rename one")
    return dict(sorted(named.items()))


def _split(path: pathlib.Path, root: pathlib.Path) -> str:
    first = path.relative_to(root).parts[0]
    if first in dialogue_lib.SPLITS:
        return first
    return recorded.split_of_hash(_content_hash(path))


def _content_hash(path: pathlib.Path) -> str:
    """Of the length and both ends of a file: to hash thousands of hours whole would take hours."""
    try:
        if not path.is_file():
            raise FileNotFoundError
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            head = file.read(_HASHED_BYTES)
            file.seek(max(size - _HASHED_BYTES, 0))
            return hashlib.sha256(str(size).encode() + head + file.read()).hexdigest()
    except OSError:  # A pipe, a link that leads nowhere, a file of somebody else: loading it says so.
        return hashlib.sha256(path.name.encode()).hexdigest()
