import collections
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from datasets import records
from datasets.errors import InputError
from datasets.pipeline import FLIP, GAIN, N_VOICES, Augmentation, crops, n_batches, plan, voice_of
from datasets.prepare import prepare


@pytest.fixture
def prepared(bursts):
    return prepare(bursts(n=6), "train", progress=False)


def _batches(prepared, seed=0, epoch=0, crop_seconds=1.5, batch_size=4, **options):
    dataset = crops(prepared, crop_seconds, batch_size, seed, epoch, **options)
    return [{key: value.numpy() for key, value in batch.items()} for batch in dataset]


def _assert_equal(first: list[dict], second: list[dict]):
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        for key in one:
            np.testing.assert_array_equal(one[key], other[key])


@pytest.mark.parametrize(("shuffle", "epoch"), [(True, 0), (True, 1), (False, 0)])
def test_every_frame_of_every_dialogue_is_seen_exactly_once_an_epoch(prepared, shuffle, epoch):
    stored = {r["name"]: r for path in prepared.paths for r in records.read_shard(path)}
    seen = {name: np.zeros(r["activity"].shape[1], int) for name, r in stored.items()}
    for batch in _batches(prepared, epoch=epoch, shuffle=shuffle):
        for i, name in enumerate(batch["name"]):
            n = int(batch["mask"][i].sum())
            np.testing.assert_array_equal(batch["mask"][i], np.arange(75) < n)
            assert not batch["audio"][i, :, n * 160 :].any() and not batch["activity"][i, :, n:].any()
            if not name:
                assert n == 0
                continue
            record, start = stored[name.decode()], batch["start_frame"][i]
            seen[name.decode()][start : start + n] += 1
            np.testing.assert_array_equal(batch["activity"][i, :, :n], record["activity"][:, start : start + n])
            wanted = record["audio"][:, start * 160 : (start + n) * 160] / 32768
            np.testing.assert_array_equal(batch["audio"][i, :, : n * 160], wanted.astype(np.float32))
    for name, count in seen.items():
        assert (count == 1).all(), name


def test_silence_share_of_the_stream_is_that_of_the_shards(prepared):
    batches = _batches(prepared)
    mask = np.concatenate([b["mask"] for b in batches])
    nobody = np.concatenate([1 - b["activity"].max(axis=1) for b in batches])
    assert (nobody * mask).sum() / mask.sum() == pytest.approx(prepared.silence_share)
    assert mask.sum() / 50 == pytest.approx(prepared.seconds)


def test_shapes_types_and_ranges(prepared):
    dataset = crops(prepared, 1.5, 4, 0, 0)
    expected = {
        "audio": ((4, 2, 12000), tf.float32),
        "activity": ((4, 2, 75), tf.float32),
        "mask": ((4, 75), tf.float32),
        "reset": ((4,), tf.bool),
        "voice": ((4, 2), tf.int32),
        "role": ((4, 2), tf.int32),
        "name": ((4,), tf.string),
        "start_frame": ((4,), tf.int32),
    }
    assert {key: (tuple(spec.shape), spec.dtype) for key, spec in dataset.element_spec.items()} == expected
    for batch in dataset:
        assert np.abs(batch["audio"]).max() <= 1
        assert ((batch["voice"].numpy() >= 0) & (batch["voice"].numpy() < N_VOICES)).all()


def test_the_stream_is_a_function_of_seed_and_epoch(prepared, bursts, tmp_path):
    first = _batches(prepared, seed=3, epoch=2)
    _assert_equal(first, _batches(prepared, seed=3, epoch=2))
    _assert_equal(first, _batches(prepared, seed=3, epoch=2, autotune=True))
    _assert_equal(first, _batches(prepared, seed=3, epoch=2, reading="graph"))
    elsewhere = prepare(bursts(n=6), "train", out_dir=tmp_path / "elsewhere", progress=False)
    _assert_equal(first, _batches(elsewhere, seed=3, epoch=2))
    for seed, epoch in ((3, 3), (4, 2)):
        other = _batches(prepared, seed=seed, epoch=epoch)
        assert not np.array_equal(first[0]["audio"], other[0]["audio"])


@pytest.mark.parametrize("skip", [0, 1, 5])
def test_skipping_gives_the_tail(prepared, skip):
    _assert_equal(_batches(prepared)[skip:], _batches(prepared, skip_batches=skip))


def test_number_of_batches(prepared):
    for epoch in range(4):
        assert n_batches(prepared, 1.5, 4, 0, epoch) == len(_batches(prepared, epoch=epoch))
    assert n_batches(prepared, 1.5, 4, 0, 0, shuffle=False) == len(_batches(prepared, shuffle=False))
    assert _batches(prepared, skip_batches=10_000) == []


def test_without_shuffling_dialogues_follow_each_other_from_their_start(prepared):
    rows = plan(prepared, 75, 4, 0, 0, shuffle=False).reshape(-1, 6)
    rows = rows[rows[:, 0] >= 0]
    assert (np.diff(rows[:, 0]) >= 0).all() and (rows[:, 1] % 75 == 0).all()


def test_shuffling_moves_the_cuts_and_mixes_the_dialogues(prepared):
    rows = [plan(prepared, 75, 4, 0, epoch).reshape(-1, 6) for epoch in range(30)]
    assert all(len(set(epoch[:8, 0])) > 2 for epoch in rows)
    # Each frame gets its turn at every place of a crop: no frame is always at an edge.
    starts = collections.Counter(int(start) % 75 for epoch in rows for _, start, frames, *_ in epoch if frames)
    assert len(starts) > 50


def test_a_crop_longer_than_every_dialogue(prepared):
    batches = _batches(prepared, crop_seconds=60.0, batch_size=2, shuffle=False)
    assert sum(b["mask"].sum() for b in batches) / 50 == pytest.approx(prepared.seconds)
    assert len(batches) == 3


@pytest.mark.parametrize("shuffle", [True, False])
def test_stateful_rows_walk_through_whole_dialogues(prepared, shuffle):
    batches = _batches(prepared, batch_size=2, stateful=True, shuffle=shuffle)
    walked = {}
    for row in (0, 1):
        name, reached, last = b"", 0, 0
        for batch in batches:
            n = int(batch["mask"][row].sum())
            if batch["reset"][row]:
                assert batch["start_frame"][row] == 0
                name = batch["name"][row]
            else:
                # Nothing was filled up between: the state goes on without a seam.
                assert (batch["name"][row], batch["start_frame"][row]) == (name, reached) and last == 75
            reached, last = batch["start_frame"][row] + n, n
            walked[name] = max(walked.get(name, 0), reached)
    walked.pop(b"", None)
    assert walked == {record.name.encode(): record.n_frames for _, record in prepared.records}
    assert sum(b["mask"].sum() for b in batches) / 50 == pytest.approx(prepared.seconds)


def test_stateful_streams_are_a_function_of_seed_and_epoch_and_can_be_resumed(prepared):
    one = _batches(prepared, batch_size=2, epoch=1, stateful=True)
    _assert_equal(one, _batches(prepared, batch_size=2, epoch=1, stateful=True))
    _assert_equal(one[3:], _batches(prepared, batch_size=2, epoch=1, stateful=True, skip_batches=3))
    orders = {tuple(b["name"][0] for b in _batches(prepared, epoch=epoch, stateful=True)) for epoch in range(4)}
    assert len(orders) > 1


def test_flipping_exchanges_the_channels_and_all_that_is_theirs(prepared):
    flips = plan(prepared, 75, 4, 0, 0, augmentation=Augmentation(flip_roles=True))[..., FLIP]
    assert 0.2 < flips.mean() < 0.8
    plain, flipped = (_batches(prepared, augmentation=Augmentation(flip)) for flip in (False, True))
    for one, other, flip in zip(plain, flipped, flips, strict=True):
        for key in ("audio", "activity", "voice", "role"):
            wanted = np.where(flip.reshape(-1, *[1] * (one[key].ndim - 1)), one[key][:, ::-1], one[key])
            np.testing.assert_array_equal(other[key], wanted)


def test_gain_is_within_its_bounds_and_the_same_for_both_channels(prepared):
    plain, loud = (_batches(prepared, augmentation=Augmentation(gain_db=db)) for db in (0.0, 6.0))
    gains = plan(prepared, 75, 4, 0, 0, augmentation=Augmentation(gain_db=6.0))[..., GAIN] / 100
    assert np.abs(gains).max() <= 6 and gains.std() > 2
    for one, other, gain in zip(plain, loud, gains, strict=True):
        wanted = np.clip(one["audio"] * 10 ** (gain[:, None, None] / 20), -1, 1)
        np.testing.assert_allclose(other["audio"], wanted, atol=1e-6)
    with pytest.raises(InputError, match="--gain_db=-1: must be 0 or more"):
        crops(prepared, 1.5, 4, 0, 0, augmentation=Augmentation(gain_db=-1.0))


def test_augmentation_stays_with_a_dialogue_where_the_state_does(prepared):
    rows = plan(prepared, 75, 2, 0, 0, stateful=True, augmentation=Augmentation(True, 6.0)).reshape(-1, 6)
    rows = rows[rows[:, 0] >= 0]
    for dialogue in range(6):
        assert len(np.unique(rows[rows[:, 0] == dialogue][:, [FLIP, GAIN]], axis=0)) == 1
    assert len(np.unique(rows[:, GAIN])) > 3


def test_timing_alone_has_no_audio(bursts):
    timing = prepare(bursts(n=6), "train", progress=False, audio=False)
    for reading in ("ranged", "graph"):
        batches = _batches(timing, reading=reading)
        assert all("audio" not in batch and batch["activity"].shape == (4, 2, 75) for batch in batches)
        assert sum(batch["mask"].sum() for batch in batches) / 50 == pytest.approx(timing.seconds)


def test_on_a_gpu_batches_are_prefetched_there(prepared, monkeypatch):
    cpu = tf.config.list_logical_devices("CPU")
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: cpu if kind == "GPU" else [])
    for batch in crops(prepared, 1.5, 4, 0, 0):
        assert "CPU:0" in batch["audio"].device


_SERVICE = """
import sys, tensorflow as tf
service = tf.data.experimental.service
dispatcher = service.DispatchServer()
worker = service.WorkerServer(service.WorkerConfig(dispatcher_address=dispatcher.target.split("://")[1]))
print(dispatcher.target, flush=True)
sys.stdin.read()
"""


@pytest.mark.slow
def test_another_process_can_read_for_the_tf_data_service(prepared):
    with subprocess.Popen(
        [sys.executable, "-c", _SERVICE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        target = server.stdout.readline().strip()
        dataset = crops(prepared, 1.5, 4, 0, 0, reading="graph")
        served = dataset.apply(tf.data.experimental.service.distribute("parallel_epochs", target))
        served = [{key: value.numpy() for key, value in batch.items()} for batch in served]
        server.stdin.close()
    _assert_equal(served, _batches(prepared))


def test_speakers_keep_their_number():
    assert voice_of("q1ta1") == voice_of("q1ta1")
    assert len({voice_of(f"speaker{i}") for i in range(1000)}) == N_VOICES


def test_a_shard_that_was_cut_is_named(prepared):
    victim = prepared.paths[0]
    victim.write_bytes(victim.read_bytes()[:1000])
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"{victim.name}: ends before byte"):
        _batches(prepared)


@pytest.mark.parametrize(("crop_seconds", "batch_size"), [(0.0, 4), (-1.0, 4), (1.0, 0)])
def test_impossible_sizes_are_refused(prepared, crop_seconds, batch_size):
    with pytest.raises(InputError, match="must be at least"):
        crops(prepared, crop_seconds, batch_size, 0, 0)


def test_an_unknown_reading_is_refused(prepared):
    with pytest.raises(InputError, match="must be one of ranged, graph"):
        crops(prepared, 1.0, 4, 0, 0, reading="mmap")
