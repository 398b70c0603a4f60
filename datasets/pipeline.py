"""Prepared shards -> one `tf.data` graph for every model.

An epoch is first planned as a table of crops - which dialogue, from which frame, how many frames, how augmented - and
then read. The plan is a pure function of (seed, epoch), so the stream is too, however many threads read it, and
resuming in the middle is dropping rows.

Every epoch cuts each dialogue at a fresh random offset into consecutive crops: the first and the last are shorter
and filled up, a mask tells, and every frame is seen exactly once. For truncated backpropagation through time, with
`stateful`, a row of the batch walks through whole dialogues instead, crop after crop.
"""

import dataclasses
import hashlib
import os

import numpy as np
import tensorflow as tf

from datasets.audio import FULL_SCALE, from_int16
from datasets.dialogue import FRAMES_PER_SECOND, role_index
from datasets.errors import InputError
from datasets.prepare import PreparedSplit

N_VOICES = 64
READINGS = ("ranged", "graph")
# Columns of a plan.
DIALOGUE, START, FRAMES, RESET, FLIP, GAIN = range(6)
_NOTHING = -1  # In place of a dialogue, in the rows that fill up the last batch.
_GAIN_STEPS_PER_DB = 100
_OF_CHANNELS = {"audio", "activity", "voice", "role"}


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """What is changed at random, by default nothing.

    Attributes:
        flip_roles: exchanges the two channels, with all that belongs to them, in half of the crops.
        gain_db: the loudest change of level of each crop, up or down; both channels alike, for their balance is the
            recording's.
    """

    flip_roles: bool = False
    gain_db: float = 0.0


def crops(
    prepared: PreparedSplit,
    crop_seconds: float,
    batch_size: int,
    seed: int,
    epoch: int,
    shuffle: bool = True,
    skip_batches: int = 0,
    autotune: bool = False,
    *,
    stateful: bool = False,
    augmentation: Augmentation = Augmentation(),  # noqa: B008 - frozen
    reading: str = "ranged",
) -> tf.data.Dataset:
    """Batches of crops of one epoch.

    Args:
        prepared: of `datasets.prepare.prepare`.
        crop_seconds: length of a crop, rounded to whole frames.
        batch_size: crops of a batch; rows without a dialogue, all masked, fill up the last.
        seed, epoch: with `shuffle`, set the offsets and the order; also what augmentation draws.
        shuffle: without it, dialogues follow each other from their first frame on.
        skip_batches: how many batches to leave out, for resuming.
        autotune: lets tf.data tune itself while it runs; off, for its model waits by quantised seconds beside a
            training step that uses the CPU itself.
        stateful: row i of a batch goes on where row i of the batch before ended, dialogue after dialogue; only the
            last crop of a dialogue is filled up.
        augmentation: of the crops; with `stateful` the same for all crops of a dialogue.
        reading: "ranged" reads the bytes of the crop alone, by Python in this process; "graph" reads whole shards by
            TensorFlow operations, slower, but any process can run it (the tf.data service).

    Returns:
        A dataset of dicts:
            audio: float32 [batch, 2, samples] in [-1, 1]; zeros where the mask is 0. Not there in shards of timing
                alone.
            activity: float32 [batch, 2, frames], the IPUs as 0 and 1.
            mask: float32 [batch, frames], 0 beyond the end of the crop.
            reset: bool [batch], whether a recurrent state starts afresh before the crop.
            voice: int32 [batch, 2], a number below `N_VOICES` that the speaker keeps.
            role: int32 [batch, 2], see `dialogue.role_index`.
            name: string [batch], empty in rows that only fill up.
            start_frame: int32 [batch], the frame of the dialogue at which the crop starts.
    """
    if reading not in READINGS:
        raise InputError(f"reading {reading!r}: must be one of {', '.join(READINGS)}")
    crop_frames = _frames(crop_seconds)
    batches = plan(prepared, crop_frames, batch_size, seed, epoch, shuffle, stateful, augmentation)[skip_batches:]
    reader = _Reader(prepared, crop_frames, reading, augmentation)
    dataset = tf.data.Dataset.from_tensor_slices(batches)
    dataset = dataset.map(reader, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    options = tf.data.Options()
    options.autotune.enabled = autotune
    return _prefetched(dataset.with_options(options))


def n_batches(
    prepared: PreparedSplit, crop_seconds: float, batch_size: int, seed: int, epoch: int, shuffle: bool = True, **how
) -> int:
    """Batches of one epoch; with `shuffle` it varies a little from epoch to epoch, as the offsets do."""
    return len(plan(prepared, _frames(crop_seconds), batch_size, seed, epoch, shuffle, **how))


def plan(
    prepared: PreparedSplit,
    crop_frames: int,
    batch_size: int,
    seed: int,
    epoch: int,
    shuffle: bool = True,
    stateful: bool = False,
    augmentation: Augmentation = Augmentation(),  # noqa: B008 - frozen
) -> np.ndarray:
    """The crops of an epoch.

    Returns:
        int64 [n_batches, batch_size, 6]: dialogue, first frame, frames, whether the state is reset, whether the
        channels are exchanged, gain in 1/100 dB.
    """
    if batch_size < 1:
        raise InputError(f"batch size {batch_size}: must be at least 1")
    lengths = np.array([record.n_frames for _, record in prepared.records])
    rng = np.random.default_rng([seed, epoch])
    if stateful:
        order = rng.permutation(len(lengths)) if shuffle else np.arange(len(lengths))
        rows = _walks(lengths, order, crop_frames, batch_size)
    else:
        n = len(lengths)
        firsts = rng.integers(1, crop_frames, n, endpoint=True) if shuffle else np.full(n, crop_frames)
        rows = np.concatenate([_cut(i, *each, crop_frames) for i, each in enumerate(zip(lengths, firsts, strict=True))])
        rows = rng.permutation(rows) if shuffle else rows
        rows = np.concatenate([rows, np.tile(_FILLING, (-len(rows) % batch_size, 1))]).reshape(-1, batch_size, 4)
    return np.concatenate([rows, _augment(rows, len(lengths), augmentation, stateful, rng)], axis=2)


def voice_of(speaker: str) -> int:
    """A number below `N_VOICES`, always the same for the same speaker."""
    return int.from_bytes(hashlib.sha256(speaker.encode()).digest()[:8], "little") % N_VOICES


_FILLING = [[_NOTHING, 0, 0, 1]]


def _frames(crop_seconds: float) -> int:
    frames = round(crop_seconds * FRAMES_PER_SECOND)
    if frames < 1:
        raise InputError(f"--crop_seconds={crop_seconds:g}: must be at least one frame, 0.02")
    return frames


def _cut(dialogue: int, n_frames: int, first: int, crop_frames: int) -> np.ndarray:
    """Consecutive crops, the first of `first` frames, each with its state reset: [n, 4]."""
    edges = np.unique(np.concatenate([[0], np.arange(first, n_frames, crop_frames), [n_frames]]))
    n = len(edges) - 1
    return np.stack([np.full(n, dialogue), edges[:-1], np.diff(edges), np.ones(n, int)], axis=1)


def _walks(lengths: np.ndarray, order: np.ndarray, crop_frames: int, batch_size: int) -> np.ndarray:
    """[n_batches, batch_size, 4]: each dialogue goes to the row that is free first."""
    walks: list[list[np.ndarray]] = [[] for _ in range(batch_size)]
    n_crops = np.zeros(batch_size, int)
    for dialogue in order:
        rows = _cut(dialogue, lengths[dialogue], crop_frames, crop_frames)
        rows[1:, RESET] = 0
        row = int(n_crops.argmin())
        walks[row].append(rows)
        n_crops[row] += len(rows)
    fill = [np.tile(_FILLING, (n_crops.max() - n, 1)) for n in n_crops]
    return np.stack([np.concatenate([*walk, rest]) for walk, rest in zip(walks, fill, strict=True)], axis=1)


def _augment(rows: np.ndarray, n_dialogues: int, augmentation: Augmentation, stateful: bool, rng) -> np.ndarray:
    """Whether each crop is flipped, and its gain: [..., 2]."""
    if augmentation.gain_db < 0:
        raise InputError(f"--gain_db={augmentation.gain_db:g}: must be 0 or more, the loudest change up or down")
    shape = (n_dialogues + 1,) if stateful else rows.shape[:2]
    most = round(augmentation.gain_db * _GAIN_STEPS_PER_DB)
    flips = rng.integers(0, 1, shape, endpoint=True) * augmentation.flip_roles
    gains = rng.integers(-most, most, shape, endpoint=True)
    drawn = np.stack([flips, gains], axis=-1)
    return drawn[rows[..., DIALOGUE]] if stateful else drawn


def _prefetched(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """On the one GPU where there is just one; several are fed by their distribution strategy."""
    gpus = tf.config.list_logical_devices("GPU")
    if len(gpus) == 1:
        return dataset.apply(tf.data.experimental.prefetch_to_device(gpus[0].name))
    return dataset.prefetch(tf.data.AUTOTUNE)


class _Reader:
    """Reads the rows of a plan; called in the graph."""

    def __init__(self, prepared: PreparedSplit, crop_frames: int, reading: str, augmentation: Augmentation):
        self._files = [os.fspath(path) for path, _ in prepared.records]
        self._records = [record for _, record in prepared.records]
        self._hop, self._crop_frames, self._augmentation = prepared.hop, crop_frames, augmentation
        self._read = self._read_graph if reading == "graph" else self._read_ranged
        # One row more, which `_NOTHING` points at.
        self._voices = np.array([[voice_of(s) for s in r.speakers] for r in self._records] + [[0, 0]], np.int32)
        self._roles = np.array([[role_index(s) for s in r.roles] for r in self._records] + [[0, 0]], np.int32)
        self._names = np.array([r.name for r in self._records] + [""])

    def __call__(self, rows: tf.Tensor) -> dict[str, tf.Tensor]:
        batch, frames = rows.shape[0], self._crop_frames
        audio, activity = self._read(rows)
        place = rows[:, DIALOGUE] % len(self._names)
        found = {
            "activity": tf.ensure_shape(activity, [batch, 2, frames]),
            "mask": tf.sequence_mask(rows[:, FRAMES], frames, dtype=tf.float32),
            "reset": tf.cast(rows[:, RESET], tf.bool),
            "voice": tf.gather(self._voices, place),
            "role": tf.gather(self._roles, place),
            "name": tf.gather(self._names, place),
            "start_frame": tf.cast(rows[:, START], tf.int32),
        }
        if self._hop:
            found["audio"] = tf.ensure_shape(audio, [batch, 2, frames * self._hop])
        return self._augmented(found, rows)

    def _augmented(self, found: dict[str, tf.Tensor], rows: tf.Tensor) -> dict[str, tf.Tensor]:
        if self._augmentation.gain_db and self._hop:
            gain = 10.0 ** (tf.cast(rows[:, GAIN, None, None], tf.float32) / (20 * _GAIN_STEPS_PER_DB))
            found["audio"] = tf.clip_by_value(found["audio"] * gain, -1.0, 1.0)
        if self._augmentation.flip_roles:
            for key in _OF_CHANNELS & found.keys():
                flip = tf.reshape(rows[:, FLIP] > 0, [-1] + [1] * (len(found[key].shape) - 1))
                found[key] = tf.where(flip, found[key][:, ::-1], found[key])
        return found

    def _read_ranged(self, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.numpy_function(self._pread, [rows], [tf.float32, tf.float32], stateful=False)

    def _pread(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        audio = np.zeros((len(rows), 2, self._crop_frames * self._hop), np.float32)
        activity = np.zeros((len(rows), 2, self._crop_frames), np.float32)
        for i, (dialogue, start, frames) in enumerate(rows[:, :RESET].tolist()):
            if dialogue == _NOTHING:
                continue
            record, hop = self._records[dialogue], self._hop
            with open(self._files[dialogue], "rb", buffering=0) as file:
                for channel in (0, 1):
                    first = channel * record.n_samples + start * hop
                    raw = _bytes(file, record.audio_offset + 2 * first, 2 * frames * hop)
                    from_int16(np.frombuffer(raw, "<i2"), out=audio[i, channel, : frames * hop])
                    first = channel * record.n_frames + start
                    raw = _bytes(file, record.activity_offset + first, frames)
                    activity[i, channel, :frames] = np.frombuffer(raw, np.uint8)
        return audio, activity

    def _read_graph(self, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        offsets = np.array([[r.audio_offset, r.n_samples, r.activity_offset, r.n_frames] for r in self._records])
        hop, crop_frames = self._hop, self._crop_frames

        def read(row):
            place = tf.maximum(row[DIALOGUE], 0)
            audio_offset, n_samples, activity_offset, n_frames = tf.unstack(tf.gather(offsets, place))
            start, frames = row[START], row[FRAMES]
            shard = tf.io.read_file(tf.gather(self._files, place))
            audio, activity = [], []
            for channel in (0, 1):
                first = audio_offset + 2 * (channel * n_samples + start * hop)
                raw = tf.strings.substr(shard, first, 2 * frames * hop)
                sound = tf.io.decode_raw(raw, tf.int16, fixed_length=None)
                audio.append(tf.pad(sound, [[0, (crop_frames - frames) * hop]]))
                raw = tf.strings.substr(shard, activity_offset + channel * n_frames + start, frames)
                activity.append(tf.pad(tf.io.decode_raw(raw, tf.uint8), [[0, crop_frames - frames]]))
            return tf.cast(audio, tf.float32) / FULL_SCALE, tf.cast(activity, tf.float32)

        return tf.map_fn(read, rows, fn_output_signature=(tf.float32, tf.float32))


def _bytes(file, offset: int, length: int) -> bytes:
    raw = os.pread(file.fileno(), length, offset)
    if len(raw) < length:
        raise InputError(f"{file.name}: ends before byte {offset + length}; python -m datasets.prepare makes it again")
    return raw
