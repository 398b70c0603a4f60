"""Shards: TFRecord files of whole dialogues, and the index that says where in them everything lies.

A record is a `tf.train.Example` of one dialogue:

    name             bytes
    audio            bytes: int16 [2, samples], little endian
    activity         bytes: uint8 [2, frames], the IPUs at 50 Hz
    speech           bytes: uint8 [2, frames], the unbridged speech at 50 Hz
    roles, speakers  bytes, two each
    sample_rate      int64, Hz

Nothing is compressed, so that a crop can be read where it lies; the index keeps the byte offsets. TensorFlow is
imported where it is used: it takes seconds, and a command answers a bad flag at once.
"""

import dataclasses
import hashlib
import os

import numpy as np

from datasets.audio import to_int16
from datasets.dialogue import FRAMES_PER_SECOND, Dialogue, activity
from datasets.errors import InputError

_RECORD_HEADER_BYTES = 12  # Length and its checksum.
_RECORD_FOOTER_BYTES = 4
_CHUNK_BYTES = 1 << 20


@dataclasses.dataclass(frozen=True)
class Record:
    """Where one dialogue lies, and what is worth knowing without reading it. Offsets are bytes of its shard."""

    name: str
    roles: tuple[str, str]
    speakers: tuple[str, str]
    n_samples: int
    n_frames: int
    audio_offset: int
    activity_offset: int
    speech_frames: tuple[int, int]
    silent_frames: int
    source_samples: int

    @classmethod
    def from_json(cls, values: dict) -> "Record":
        return cls(**{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()})


def write_shard(path: str | os.PathLike, dialogues: list[Dialogue], sample_rate: int) -> list[Record]:
    """Writes dialogues with audio at `sample_rate` as one shard.

    The audio is filled up with zeros to a whole 20 ms frame; nothing is cut.
    """
    import tensorflow as tf

    records, position = [], 0
    with tf.io.TFRecordWriter(os.fspath(path)) as writer:
        for dialogue in dialogues:
            serialized, record = _encode(dialogue, sample_rate, position + _RECORD_HEADER_BYTES)
            writer.write(serialized)
            records.append(record)
            position += _RECORD_HEADER_BYTES + len(serialized) + _RECORD_FOOTER_BYTES
    return records


def read_shard(path: str | os.PathLike) -> list[dict]:
    """Every record of a shard as a dict of arrays, strings and numbers; for a look, and for tests."""
    import tensorflow as tf

    return [_decode(tf.train.Example.FromString(raw.numpy())) for raw in tf.data.TFRecordDataset(os.fspath(path))]


def checksum(path: str | os.PathLike) -> str:
    """SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _encode(dialogue: Dialogue, sample_rate: int, offset: int) -> tuple[bytes, Record]:
    from tensorflow.train import Example

    samples = _whole_frames(dialogue, sample_rate)
    n_frames = samples.shape[1] * FRAMES_PER_SECOND // sample_rate
    ipus = np.stack([activity(dialogue.ipus(channel), n_frames) for channel in (0, 1)])
    speech = np.stack([activity(dialogue.speech[channel], n_frames) for channel in (0, 1)])
    audio_bytes, ipu_bytes = samples.astype("<i2").tobytes(), ipus.astype(np.uint8).tobytes()
    features = {
        "name": [dialogue.name.encode()],
        "audio": [audio_bytes],
        "activity": [ipu_bytes],
        "speech": [speech.astype(np.uint8).tobytes()],
        "roles": [role.encode() for role in dialogue.roles],
        "speakers": [speaker.encode() for speaker in dialogue.speakers],
    }
    example = Example()
    for key, values in features.items():
        example.features.feature[key].bytes_list.value.extend(values)
    example.features.feature["sample_rate"].int64_list.value.append(sample_rate)
    serialized = example.SerializeToString(deterministic=True)
    record = Record(
        name=dialogue.name,
        roles=tuple(dialogue.roles),
        speakers=tuple(dialogue.speakers),
        n_samples=samples.shape[1],
        n_frames=n_frames,
        # Wherever these bytes stand, they are what is wanted.
        audio_offset=offset + serialized.index(audio_bytes),
        activity_offset=offset + serialized.index(ipu_bytes),
        speech_frames=tuple(int(n) for n in ipus.sum(axis=1)),
        silent_frames=int((~ipus.any(axis=0)).sum()),
        source_samples=dialogue.audio.shape[1],
    )
    return serialized, record


def _whole_frames(dialogue: Dialogue, sample_rate: int) -> np.ndarray:
    """int16 [2, samples], filled up with zeros."""
    if dialogue.audio is None:
        raise InputError(f"{dialogue.name}: has no audio; maptask-voiced and simulated speak what has none")
    if dialogue.audio.shape[0] != 2 or dialogue.audio.shape[1] == 0 or not np.isfinite(dialogue.audio).all():
        raise InputError(f"{dialogue.name}: audio must be two channels of finite samples, not {dialogue.audio.shape}")
    hop = sample_rate // FRAMES_PER_SECOND
    return np.pad(to_int16(dialogue.audio), [(0, 0), (0, -dialogue.audio.shape[1] % hop)])


def _decode(example) -> dict:
    feature = example.features.feature
    values = {key: list(feature[key].bytes_list.value) for key in feature if key != "sample_rate"}
    return {
        "name": values["name"][0].decode(),
        "audio": np.frombuffer(values["audio"][0], "<i2").reshape(2, -1),
        "activity": np.frombuffer(values["activity"][0], np.uint8).reshape(2, -1),
        "speech": np.frombuffer(values["speech"][0], np.uint8).reshape(2, -1),
        "roles": tuple(role.decode() for role in values["roles"]),
        "speakers": tuple(speaker.decode() for speaker in values["speakers"]),
        "sample_rate": feature["sample_rate"].int64_list.value[0],
    }
