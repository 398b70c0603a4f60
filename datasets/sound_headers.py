"""What the header of a sound file claims, held against the file itself before anything is allocated.

libsndfile quietly corrects a wav or sphere file that is shorter than its header says; here that is an error, for a
recording that was cut short is not the recording.
"""

import os
import pathlib
import struct

import soundfile

from datasets.errors import InputError

LOWEST_RATE, HIGHEST_RATE = 1000, 768_000
_STREAMED = 0xFFFFFFFF  # Written by those who did not know the length yet.
_SPHERE_BYTES = 1024
_WIDEST_CHUNK = 64


def check_before_opening(path: pathlib.Path) -> None:
    """Raises `InputError` for a wav or sphere header that promises more than the file holds, or no sample rate."""
    with open(path, "rb") as file:
        magic = file.read(12)
        if magic[:4] == b"RIFF" and magic[8:] == b"WAVE":
            _check_wav(path, file)
        elif magic[:7] == b"NIST_1A":
            file.seek(0)
            _check_sphere(path, file.read(_SPHERE_BYTES))


def check_opened(path: pathlib.Path, sound: soundfile.SoundFile) -> None:
    """Raises `InputError` for a rate that no recording has."""
    _check_rate(path, sound.samplerate)


def _check_wav(path: pathlib.Path, file) -> None:
    """Walks the chunks from the twelfth byte."""
    size = os.fstat(file.fileno()).st_size
    while len(head := file.read(8)) == 8:
        kind, length = struct.unpack("<4sI", head)
        if kind == b"fmt ":
            form = file.read(min(length, _WIDEST_CHUNK))
            if len(form) >= 8:
                _check_rate(path, struct.unpack_from("<I", form, 4)[0])
            file.seek(max(length - _WIDEST_CHUNK, 0) + length % 2, os.SEEK_CUR)
            continue
        if kind == b"data":
            if length != _STREAMED and length > size - file.tell():
                _refuse_short(path, length, size - file.tell())
            return
        file.seek(length + length % 2, os.SEEK_CUR)


def _check_sphere(path: pathlib.Path, head: bytes) -> None:
    lines = head.decode("latin-1").split("\n")
    fields = {parts[0]: parts[2].strip() for line in lines[2:] if len(parts := line.split(" ", 2)) == 3}
    if "shorten" in fields.get("sample_coding", ""):
        raise InputError(
            f"{path}: is sphere sound compressed by shorten, which cannot be read; convert it (sph2pipe -f wav IN OUT)"
        )
    try:
        start = int(lines[1])
        rate, samples = int(fields["sample_rate"]), int(fields["sample_count"])
        width = int(fields.get("channel_count", 1)) * int(fields.get("sample_n_bytes", 2))
    except (KeyError, ValueError, IndexError) as error:
        raise InputError(f"{path}: not a whole sphere header ({error}); copy the file again") from error
    _check_rate(path, rate)
    held = path.stat().st_size - start
    if samples * width > held:
        _refuse_short(path, samples * width, held)


def _check_rate(path: pathlib.Path, rate: int) -> None:
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        limits = f"{LOWEST_RATE} to {HIGHEST_RATE}"
        raise InputError(f"{path}: its header claims a sample rate of {rate} Hz, speech has {limits}; export it again")


def _refuse_short(path: pathlib.Path, promised: int, held: int) -> None:
    raise InputError(
        f"{path}: its header promises {promised} bytes of sound and {max(held, 0)} are there; the file is cut short, "
        "copy it again"
    )
