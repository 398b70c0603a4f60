"""Shards: TFRecord files of whole dialogues, and the index that says where in them everything lies.

A record is a `tf.train.Example` of one dialogue:

    name             bytes
    audio            bytes: int16 [2, samples], little endian; nothing where the shard is of timing alone
    activity         bytes: uint8 [2, frames], the IPUs at 50 Hz
    speech           bytes: uint8 [2, frames], the unbridged speech at 50 Hz
    roles, speakers  bytes, two each
    provenance       bytes: JSON of the corpus's name and key, the split, and what else it knows of the dialogue
    sample_rate      int64, Hz; 0 without audio

Nothing is compressed, so that a crop can be read where it lies; the index keeps the byte offsets. TensorFlow is
imported where it is used: it takes seconds, and a command answers a bad flag at once.
"""

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterable

import numpy as np

from datasets.audio import to_int16
from datasets.dialogue import FRAMES_PER_SECOND, Dialogue, activity
from datasets.errors import InputError

_RECORD_HEADER_BYTES = 12  # Length and its checksum.
_RECORD_FOOTER_BYTES = 4


@dataclasses.dataclass(frozen=True)
class Record:
    """Where one dialogue lies, and what is worth knowing without reading it.

    Offsets are bytes of its shard; samples and frames are those of a channel; `source_seconds` is the length of each
    channel before it was filled up to a whole frame.
    """

    name: str
    roles: tuple[str, str]
    speakers: tuple[str, str]
    n_samples: int
    n_frames: int
    audio_offset: int
    activity_offset: int
    speech_frames: tuple[int, int]
    silent_frames: int
    source_seconds: float

    @classmethod
    def from_json(cls, values: dict) -> "Record":
        return cls(**{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()})


def write_shard(
    path: str | os.PathLike, dialogues: Iterable[Dialogue], sample_rate: int | None, provenance: dict | None = None
) -> list[Record]:
    """Writes dialogues as one shard, one at a time.

    The audio is filled up with zeros to a whole 20 ms frame; nothing is cut.

    Args:
        path: of the shard.
        dialogues: with audio at `sample_rate`.
        sample_rate: Hz; None leaves the audio out.
        provenance: JSON values that go into every record.
    """
    import tensorflow as tf

    records, position = [], 0
    with tf.io.TFRecordWriter(os.fspath(path)) as writer:
        for dialogue in dialogues:
            serialized, record = _encode(dialogue, sample_rate, position + _RECORD_HEADER_BYTES, provenance or {})
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


def _encode(dialogue: Dialogue, sample_rate: int | None, offset: int, provenance: dict) -> tuple[bytes, Record]:
    from tensorflow.train import Example

    samples, n_frames = _whole_frames(dialogue, sample_rate)
    ipus = np.stack([activity(dialogue.ipus(channel), n_frames) for channel in (0, 1)])
    speech = np.stack([activity(dialogue.speech[channel], n_frames) for channel in (0, 1)])
    audio_bytes, ipu_bytes = samples.astype("<i2").tobytes(), ipus.astype(np.uint8).tobytes()
    known = provenance | {"split": dialogue.split, "info": dict(dialogue.info)}
    features = {
        "name": [dialogue.name.encode()],
        "audio": [audio_bytes],
        "activity": [ipu_bytes],
        "speech": [speech.astype(np.uint8).tobytes()],
        "roles": [role.encode() for role in dialogue.roles],
        "speakers": [speaker.encode() for speaker in dialogue.speakers],
        "provenance": [json.dumps(known, sort_keys=True).encode()],
    }
    example = Example()
    for key, values in features.items():
        example.features.feature[key].bytes_list.value.extend(values)
    example.features.feature["sample_rate"].int64_list.value.append(sample_rate or 0)
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
        source_seconds=dialogue.audio.shape[1] / sample_rate if sample_rate else dialogue.duration_seconds,
    )
    return serialized, record


def _whole_frames(dialogue: Dialogue, sample_rate: int | None) -> tuple[np.ndarray, int]:
    """int16 [2, samples], filled up with zeros, and the number of 20 ms frames; without a rate no samples."""
    if sample_rate is None:
        return np.zeros((2, 0), np.int16), int(np.ceil(round(dialogue.duration_seconds * FRAMES_PER_SECOND, 6)))
    if dialogue.audio is None:
        raise InputError(f"{dialogue.name}: has no audio; maptask-voiced and simulated speak what has none")
    if dialogue.audio.shape[0] != 2 or dialogue.audio.shape[1] == 0 or not np.isfinite(dialogue.audio).all():
        raise InputError(f"{dialogue.name}: audio must be two channels of finite samples, not {dialogue.audio.shape}")
    hop = sample_rate // FRAMES_PER_SECOND
    samples = np.pad(to_int16(dialogue.audio), [(0, 0), (0, -dialogue.audio.shape[1] % hop)])
    return samples, samples.shape[1] // hop


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
        "provenance": json.loads(values["provenance"][0]),
        "sample_rate": feature["sample_rate"].int64_list.value[0] or None,
    }
