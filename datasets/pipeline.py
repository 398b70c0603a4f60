"""Prepared shards -> one `tf.data` graph for every model.

An epoch is first planned as a table of crops - which dialogue, from which frame, how many frames - and then read. The
plan is a pure function of (seed, epoch), so the stream is too, and resuming in the middle is dropping rows.

Every epoch cuts each dialogue at a fresh random offset into consecutive crops: the first and the last are shorter
and filled up, a mask tells, and every frame is seen exactly once.
"""

import hashlib
import os

import numpy as np
import tensorflow as tf

from datasets.audio import from_int16
from datasets.dialogue import FRAMES_PER_SECOND, role_index
from datasets.errors import InputError
from datasets.prepare import PreparedSplit

N_VOICES = 64
_NOTHING = -1  # In place of a dialogue, in the rows that fill up the last batch.


def crops(
    prepared: PreparedSplit,
    crop_seconds: float,
    batch_size: int,
    seed: int,
    epoch: int,
    shuffle: bool = True,
    skip_batches: int = 0,
    autotune: bool = False,
) -> tf.data.Dataset:
    """Batches of crops of one epoch.

    Args:
        prepared: of `datasets.prepare.prepare`.
        crop_seconds: length of a crop, rounded to whole frames.
        batch_size: crops of a batch; rows without a dialogue, all masked, fill up the last.
        seed, epoch: with `shuffle`, set the offsets and the order.
        shuffle: without it, dialogues follow each other from their first frame on.
        skip_batches: how many batches to leave out, for resuming.
        autotune: lets tf.data tune itself while it runs; off, for its model waits by quantised seconds beside a
            training step that uses the CPU itself.

    Returns:
        A dataset of dicts:
            audio: float32 [batch, 2, samples] in [-1, 1); zeros where the mask is 0.
            activity: float32 [batch, 2, frames], the IPUs as 0 and 1.
            mask: float32 [batch, frames], 0 beyond the end of the crop.
            voice: int32 [batch, 2], a number below `N_VOICES` that the speaker keeps.
            role: int32 [batch, 2], see `dialogue.role_index`.
            name: string [batch], empty in rows that only fill up.
            start_frame: int32 [batch], the frame of the dialogue at which the crop starts.
    """
    crop_frames = _frames(crop_seconds)
    batches = plan(prepared, crop_frames, batch_size, seed, epoch, shuffle)[skip_batches:]
    reader = _Reader(prepared, crop_frames)
    dataset = tf.data.Dataset.from_tensor_slices(batches)
    dataset = dataset.map(reader, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    options = tf.data.Options()
    options.autotune.enabled = autotune
    return dataset.prefetch(tf.data.AUTOTUNE).with_options(options)


def n_batches(
    prepared: PreparedSplit, crop_seconds: float, batch_size: int, seed: int, epoch: int, shuffle: bool = True
) -> int:
    """Batches of one epoch; with `shuffle` it varies a little from epoch to epoch, as the offsets do."""
    return len(plan(prepared, _frames(crop_seconds), batch_size, seed, epoch, shuffle))


def plan(
    prepared: PreparedSplit, crop_frames: int, batch_size: int, seed: int, epoch: int, shuffle: bool = True
) -> np.ndarray:
    """The crops of an epoch: int64 [n_batches, batch_size, 3] of (dialogue, first frame, frames)."""
    if batch_size < 1:
        raise InputError(f"batch size {batch_size}: must be at least 1")
    lengths = np.array([record.n_frames for _, record in prepared.records])
    rng = np.random.default_rng([seed, epoch])
    firsts = rng.integers(1, crop_frames, size=len(lengths), endpoint=True) if shuffle else [crop_frames] * len(lengths)
    rows = np.concatenate([_cut(i, *sizes, crop_frames) for i, sizes in enumerate(zip(lengths, firsts, strict=True))])
    if shuffle:
        rows = rng.permutation(rows)
    filling = np.tile([[_NOTHING, 0, 0]], (-len(rows) % batch_size, 1))
    return np.concatenate([rows, filling]).reshape(-1, batch_size, 3)


def voice_of(speaker: str) -> int:
    """A number below `N_VOICES`, always the same for the same speaker."""
    return int.from_bytes(hashlib.sha256(speaker.encode()).digest()[:8], "little") % N_VOICES


def _frames(crop_seconds: float) -> int:
    frames = round(crop_seconds * FRAMES_PER_SECOND)
    if frames < 1:
        raise InputError(f"--crop_seconds={crop_seconds:g}: must be at least one frame, 0.02")
    return frames


def _cut(dialogue: int, n_frames: int, first: int, crop_frames: int) -> np.ndarray:
    """Consecutive crops, the first of `first` frames: [n, 3]."""
    edges = np.unique(np.concatenate([[0], np.arange(first, n_frames, crop_frames), [n_frames]]))
    return np.stack([np.full(len(edges) - 1, dialogue), edges[:-1], np.diff(edges)], axis=1)


class _Reader:
    """Reads the rows of a plan; called in the graph."""

    def __init__(self, prepared: PreparedSplit, crop_frames: int):
        self._files = [path for path, _ in prepared.records]
        self._records = [record for _, record in prepared.records]
        self._hop, self._crop_frames = prepared.hop, crop_frames
        # One row more, which `_NOTHING` points at.
        self._voices = np.array([[voice_of(s) for s in r.speakers] for r in self._records] + [[0, 0]], np.int32)
        self._roles = np.array([[role_index(s) for s in r.roles] for r in self._records] + [[0, 0]], np.int32)
        self._names = np.array([r.name for r in self._records] + [""])

    def __call__(self, rows: tf.Tensor) -> dict[str, tf.Tensor]:
        batch, frames = rows.shape[0], self._crop_frames
        audio, activity = tf.numpy_function(self._read, [rows], [tf.float32, tf.float32], stateful=False)
        mask = tf.sequence_mask(rows[:, 2], frames, dtype=tf.float32)
        place = rows[:, 0] % len(self._names)
        return {
            "audio": tf.ensure_shape(audio, [batch, 2, frames * self._hop]),
            "activity": tf.ensure_shape(activity, [batch, 2, frames]),
            "mask": tf.ensure_shape(mask, [batch, frames]),
            "voice": tf.gather(self._voices, place),
            "role": tf.gather(self._roles, place),
            "name": tf.gather(self._names, place),
            "start_frame": tf.cast(rows[:, 1], tf.int32),
        }

    def _read(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        audio = np.zeros((len(rows), 2, self._crop_frames * self._hop), np.float32)
        activity = np.zeros((len(rows), 2, self._crop_frames), np.float32)
        for i, (dialogue, start, frames) in enumerate(rows.tolist()):
            if dialogue == _NOTHING:
                continue
            record, hop = self._records[dialogue], self._hop
            with open(self._files[dialogue], "rb", buffering=0) as file:
                for channel in (0, 1):
                    first = channel * record.n_samples + start * hop
                    raw = _bytes(file, record.audio_offset + 2 * first, 2 * frames * hop)
                    audio[i, channel, : frames * hop] = from_int16(np.frombuffer(raw, "<i2"))
                    first = channel * record.n_frames + start
                    raw = _bytes(file, record.activity_offset + first, frames)
                    activity[i, channel, :frames] = np.frombuffer(raw, np.uint8)
        return audio, activity


def _bytes(file, offset: int, length: int) -> bytes:
    raw = os.pread(file.fileno(), length, offset)
    if len(raw) < length:
        raise InputError(f"{file.name}: ends before byte {offset + length}; python -m datasets.prepare makes it again")
    return raw
