"""Reading, writing and resampling of sound, float32 [channels, samples] in [-1, 1]."""

import contextlib
import os
import pathlib
from collections.abc import Iterator

import numpy as np
import soundfile
import soxr

from datasets import files, sound_headers
from datasets.errors import InputError

FULL_SCALE = 32768.0
_MOST_CHANNELS = 2
_BLOCK_SAMPLES = 1 << 20


def read_wav(
    path: str | os.PathLike, channels: int | None = None, sample_rate: int | None = None
) -> tuple[np.ndarray, int]:
    """Reads a sound file of one or two channels (wav, flac, ogg, NIST sphere).

    Args:
        path: of the file.
        channels: 1 or 2 where the caller needs so many; None takes either.
        sample_rate: Hz that the caller needs; None takes any.

    Returns:
        float32 [channels, samples], and the sample rate in Hz.

    Raises:
        InputError: not a sound file, no samples, NaN, or another rate or number of channels than asked for.
    """
    path = pathlib.Path(path)
    with _opened(path, channels, sample_rate) as sound:
        # By blocks: a compressed file may promise a length that no memory could hold.
        blocks = list(_blocks(sound))
        rate, promised = sound.samplerate, sound.frames
    audio = np.empty((blocks[0].shape[1], sum(map(len, blocks))), np.float32)
    np.concatenate([block.T for block in blocks], axis=1, out=audio)
    if audio.shape[1] < promised:
        raise InputError(f"{path}: ends after {audio.shape[1]} of {promised} samples; the file is cut short")
    if not np.isfinite(audio).all():
        raise InputError(f"{path}: has samples that are not finite (NaN or infinity); export it again")
    return audio, rate


def read_header(path: str | os.PathLike, channels: int | None = None) -> tuple[int, int]:
    """Samples and sample rate in Hz of a sound file, of which the header alone is read; errors as `read_wav`."""
    with _opened(pathlib.Path(path), channels, None) as sound:
        return sound.frames, sound.samplerate


def _blocks(sound: soundfile.SoundFile) -> Iterator[np.ndarray]:
    """[samples, channels] until there are no more, whatever the header promised; at least one."""
    while True:
        block = sound.read(_BLOCK_SAMPLES, dtype="float32", always_2d=True)
        yield block
        if len(block) < _BLOCK_SAMPLES:
            return


@contextlib.contextmanager
def _opened(path: pathlib.Path, channels: int | None, sample_rate: int | None) -> Iterator[soundfile.SoundFile]:
    """The open file; what its header claims is refused before any sample is read."""
    if not path.is_file():
        raise InputError(f"{path}: {'is a folder, not a sound file' if path.is_dir() else 'no such sound file'}")
    try:
        sound_headers.check_before_opening(path)
        with soundfile.SoundFile(path) as sound:
            sound_headers.check_opened(path, sound)
            _check_header(path, sound, channels, sample_rate)
            yield sound
    except (soundfile.LibsndfileError, ValueError, OSError) as error:
        if isinstance(error, InputError):
            raise
        wanted = "wav, flac, ogg or sphere (sph)"
        raise InputError(f"{path}: not a sound file that can be read ({error}); wanted is {wanted}") from error


def _check_header(
    path: pathlib.Path, sound: soundfile.SoundFile, channels: int | None, sample_rate: int | None
) -> None:
    if sound.frames == 0:
        raise InputError(f"{path}: has zero length; was its recording or conversion interrupted?")
    if sound.channels > _MOST_CHANNELS or channels not in (None, sound.channels):
        wanted = {None: "one or two channels", 1: "one channel", 2: "two channels, one a speaker"}[channels]
        raise InputError(f"{path}: has {sound.channels} channels, wanted is {wanted}; mix or split it first")
    if sample_rate not in (None, sound.samplerate):
        raise InputError(
            f"{path}: has a sample rate of {sound.samplerate} Hz, wanted is {sample_rate} Hz; resample it first "
            f"(sox IN -r {sample_rate} OUT)"
        )


def write_wav(path: str | os.PathLike, audio: np.ndarray, sample_rate: int) -> None:
    """Writes float32 [channels, samples] or [samples] as 16-bit wav, whole or not at all."""
    with files.replacing(path) as part:
        soundfile.write(part, to_int16(np.atleast_2d(audio)).T, sample_rate, format="WAV", subtype="PCM_16")


def resample(audio: np.ndarray, from_rate: int, to_rate: int) -> np.ndarray:
    """Resamples [..., samples] to float32 [..., round(samples * to_rate / from_rate)] by soxr at high quality."""
    audio = np.asarray(audio, np.float32)
    if from_rate == to_rate or audio.shape[-1] == 0:
        return audio
    flat = audio.reshape(-1, audio.shape[-1]).T
    resampled = soxr.resample(flat, from_rate, to_rate, quality="HQ").T
    return np.ascontiguousarray(resampled).reshape(*audio.shape[:-1], -1)


def to_int16(audio: np.ndarray) -> np.ndarray:
    """[-1, 1] to int16; 16-bit sound that was read as float comes back bit by bit."""
    return np.clip(np.rint(np.asarray(audio) * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)


def from_int16(samples: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """int16 to float32 in [-1, 1), into `out` where that is given."""
    return np.multiply(samples, np.float32(1 / FULL_SCALE), out=out, dtype=np.float32)
