"""Whole dialogues of somebody's own, from a folder: two-channel sound, pairs of sound files, or intervals.

    talk1.wav                              two channels, one speaker each (wav, flac, ogg, sph)
    talk2.own.wav  talk2.partner.wav       or a file for each speaker, equally long
    talk3.rttm                             or intervals: .TextGrid, .rttm, .csv or .txt (Audacity), of two channels

Channel 0 is left, or own. Intervals beside sound are taken for the detector "annotations". Without sound a dialogue
ends with its last word.
"""

import os
import pathlib

import numpy as np

from datasets import activity, annotations
from datasets import audio as audio_lib
from datasets.corpora import recorded
from datasets.dialogue import validate_intervals
from datasets.errors import InputError
from eval.chunks import Chunk

_OWN, _PARTNER = ".own", ".partner"


def read_dialogues(
    folder: str | os.PathLike, detector: str | None = None, cache_dir: str | os.PathLike | None = None
) -> tuple[list[Chunk], str]:
    """All dialogues of a folder, each as one chunk from end to end, channel 0 as `own`.

    Args:
        folder: see above; what lies in folders below is not read.
        detector: of `datasets.activity`; None takes silero if every dialogue has sound, else annotations.
        cache_dir: where detected speech is kept; None takes the user's.

    Returns:
        The dialogues by name, and the detector.

    Raises:
        InputError: nothing to read, one channel, channels of different length, or no intervals where such are needed.
    """
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        raise InputError(f"--wavs={folder}: no such folder; wanted is one of two-channel sound or of intervals")
    sounds, intervals = _files(folder)
    names = sorted(set(sounds) | set(intervals))
    if not names:
        wanted = ", ".join((*recorded.SOUND_SUFFIXES, *annotations.SUFFIXES))
        raise InputError(f"--wavs={folder}: no dialogues in it; wanted are files {wanted}")
    if detector is None:
        detector = "silero" if set(names) == set(sounds) else activity.ANNOTATIONS
    lacking = [name for name in names if name not in (intervals if detector == activity.ANNOTATIONS else sounds)]
    if lacking:
        what = "intervals" if detector == activity.ANNOTATIONS else "sound"
        raise InputError(
            f"{folder / lacking[0]}: has no {what}, and one detector serves all dialogues ({detector}): give {what} of"
            f" all {len(names)}, or choose another by --detector"
        )
    dialogues = []
    for name in names:
        if detector == activity.ANNOTATIONS:
            dialogues.append(_from_intervals(name, intervals[name], sounds.get(name)))
        else:
            dialogues.append(_from_sound(name, sounds[name], detector, cache_dir))
    return dialogues, detector


def _files(folder: pathlib.Path) -> tuple[dict[str, list[pathlib.Path]], dict[str, pathlib.Path]]:
    """By name of the dialogue its sound files, one or two, and its intervals."""
    sounds, intervals = {}, {}
    for path in sorted(folder.iterdir()):
        suffix = path.suffix.lower()
        if path.name.startswith(".") or not path.is_file():
            continue
        if suffix in recorded.SOUND_SUFFIXES:
            sounds.setdefault(path.stem.removesuffix(_OWN).removesuffix(_PARTNER), []).append(path)
        elif suffix in annotations.SUFFIXES:
            intervals[path.stem] = path
    for name, paths in sounds.items():
        stems = [path.stem for path in paths]
        if stems not in ([name], [name + _OWN, name + _PARTNER]):
            raise InputError(
                f"{paths[0]}: of {name} there are {', '.join(path.name for path in paths)}; wanted is one two-channel"
                f" file, or {name}{_OWN}{paths[0].suffix} and {name}{_PARTNER}{paths[0].suffix}"
            )
    return sounds, intervals


def _from_sound(name: str, paths: list[pathlib.Path], detector: str, cache_dir) -> Chunk:
    if len(paths) == 1:
        audio, rate = audio_lib.read_wav(paths[0], channels=2)
        speech = recorded.detected(paths[0], audio, rate, detector, cache_dir)
        return Chunk(name, 0, 0.0, audio.shape[1] / rate, *speech)
    (own, rate), (partner, other_rate) = (audio_lib.read_wav(path, channels=1) for path in paths)
    seconds, other_seconds = own.shape[1] / rate, partner.shape[1] / other_rate
    if abs(seconds - other_seconds) > 1 / min(rate, other_rate):
        raise InputError(
            f"{paths[0]}: lasts {seconds:.3f} s and {paths[1].name} {other_seconds:.3f} s; both channels of a dialogue"
            " start and end together"
        )
    seconds = min(seconds, other_seconds)
    sides = ((own[0], rate), (partner[0], other_rate))
    speech = [activity.detect(channel, its_rate, detector).clip(0, seconds) for channel, its_rate in sides]
    return Chunk(name, 0, 0.0, seconds, *speech)


def _from_intervals(name: str, path: pathlib.Path, sounds: list[pathlib.Path] | None) -> Chunk:
    seconds = None
    if sounds:
        samples, rate = audio_lib.read_header(sounds[0])
        seconds = samples / rate
    by_label = annotations.read_intervals(path, seconds)
    if len(by_label) == 1:
        raise InputError(
            f"{path}: has one channel, {next(iter(by_label))!r}; the timing of a dialogue needs both speakers"
        )
    pair = annotations.pair_of_channels(by_label, path)
    if seconds is None:
        seconds = max((float(speech[:, 1].max()) for speech in pair if len(speech)), default=0.0)
    checked = [validate_intervals(speech, seconds, f"{path}, channel {side}") for side, speech in enumerate(pair)]
    return Chunk(name, 0, 0.0, seconds, *(np.asarray(speech) for speech in checked))
