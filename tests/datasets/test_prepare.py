import json
import os
import pathlib
import signal
import subprocess
import sys

import numpy as np
import pytest

from datasets import audio, records, shards
from datasets.dialogue import activity
from datasets.errors import InputError
from datasets.prepare import prepare
from datasets.shards import DIALOGUES_PER_SHARD

ROOT = pathlib.Path(__file__).parents[2]


def _prepare(corpus, split="train", **options):
    return prepare(corpus, split, progress=False, **options)


def _contents(folder: pathlib.Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_every_sample_and_every_frame_of_speech_is_in_the_shards(bursts):
    corpus = bursts(n=6)
    prepared = _prepare(corpus)
    stored = {record["name"]: record for path in prepared.paths for record in records.read_shard(path)}
    assert list(stored) == corpus.names("train")
    for name, record in stored.items():
        dialogue = corpus.load(name)
        n = dialogue.audio.shape[1]
        assert 0 <= record["audio"].shape[1] - n < prepared.hop and record["audio"].shape[1] % prepared.hop == 0
        np.testing.assert_array_equal(record["audio"][:, :n], audio.to_int16(dialogue.audio))
        assert not record["audio"][:, n:].any()
        n_frames = record["activity"].shape[1]
        assert n_frames == record["audio"].shape[1] // prepared.hop
        for channel in (0, 1):
            np.testing.assert_array_equal(record["activity"][channel], activity(dialogue.ipus(channel), n_frames))
            np.testing.assert_array_equal(record["speech"][channel], activity(dialogue.speech[channel], n_frames))
        assert (record["roles"], record["speakers"]) == (dialogue.roles, dialogue.speakers)
        assert record["sample_rate"] == 8000


def test_index_counts_seconds_and_silence(bursts):
    corpus = bursts(n=6)
    prepared = _prepare(corpus)
    dialogues = [corpus.load(name) for name in corpus.names("train")]
    assert prepared.index["totals"]["source_seconds"] == pytest.approx(sum(d.duration_seconds for d in dialogues))
    assert prepared.index["totals"]["seconds"] == prepared.seconds
    assert prepared.seconds == pytest.approx(sum(d.duration_seconds for d in dialogues), abs=0.02 * len(dialogues))
    speech = [
        np.stack([activity(d.ipus(c), record.n_frames) for c in (0, 1)])
        for d, (_, record) in zip(dialogues, prepared.records, strict=True)
    ]
    speech = np.concatenate(speech, axis=1)
    assert prepared.silence_share == pytest.approx((~speech.any(axis=0)).mean())
    assert prepared.channel_silence_share == pytest.approx((~speech).mean())
    assert 0.05 < prepared.silence_share < 0.95


def test_whole_shards_are_left_alone(bursts):
    corpus = bursts()
    first = _prepare(corpus)
    stamps = [path.stat().st_mtime_ns for path in first.paths]
    corpus.loaded.clear()
    again = _prepare(corpus)
    assert corpus.loaded == [] and [path.stat().st_mtime_ns for path in again.paths] == stamps
    assert again.index == json.loads((again.folder / "index.json").read_text()) == json.loads(json.dumps(first.index))


@pytest.mark.parametrize("damage", ["flip", "truncate", "delete"])
def test_a_damaged_shard_is_named_and_made_again_alone(bursts, capsys, damage):
    corpus = bursts(n=2 * DIALOGUES_PER_SHARD)
    prepared = _prepare(corpus)
    before = _contents(prepared.folder)
    victim = prepared.paths[1]
    raw = bytearray(victim.read_bytes())
    raw[len(raw) // 2] ^= 1
    {
        "flip": lambda: victim.write_bytes(raw),
        "truncate": lambda: victim.write_bytes(raw[:-1000]),
        "delete": victim.unlink,
    }[damage]()
    corpus.loaded.clear()
    prepare(corpus, "train")
    assert corpus.loaded == corpus.names("train")[DIALOGUES_PER_SHARD:]
    assert _contents(prepared.folder) == before
    said = capsys.readouterr().out
    assert (victim.name in said and "damaged" in said) == (damage != "delete")


def test_a_broken_index_is_made_again(bursts):
    corpus = bursts()
    prepared = _prepare(corpus)
    before = _contents(prepared.folder)
    (prepared.folder / "index.json").write_text('{"shards": [')
    _prepare(corpus)
    assert _contents(prepared.folder) == before


_UNTIL_KILLED = """
import sys
sys.path[:0] = sys.argv[2:4]
from conftest import Bursts
from datasets import corpora, prepare

prepare.prepare(Bursts(corpora.Options(sample_rate=8000), 9), "train", sys.argv[1], progress=False)
"""
_DEADLY = """
import os, pathlib, signal
from datasets import files, records

def deadly(function, calls=[]):
    def wrapped(*args):
        calls.append(1)
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args)
    return wrapped

module, name = {"records": records, "files": files}[sys.argv[4]], sys.argv[5]
setattr(module, name, deadly(getattr(module, name)))
"""


@pytest.mark.parametrize(("module", "function", "shards"), [("records", "checksum", 1), ("files", "write_json", 2)])
def test_killed_within_or_after_a_shard_the_result_is_the_same(bursts, tmp_path, module, function, shards):
    """SIGKILL when the second shard is written but has not taken its place; and when only its note is missing."""
    folder = tmp_path / "killed"
    imports, work = _UNTIL_KILLED.rsplit("\n\n", 1)
    arguments = [str(folder), str(ROOT), str(ROOT / "tests"), module, function]
    script = imports + _DEADLY + work
    killed = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert len(list(folder.glob("train*.tfrecord"))) == shards
    assert len(list(folder.glob("train*.tfrecord.json"))) == 1
    undisturbed = _contents(_prepare(bursts(n=9), out_dir=tmp_path / "whole").folder)
    _prepare(bursts(n=9), out_dir=folder)
    assert _contents(folder) == undisturbed


def test_killed_when_the_index_was_just_written_no_note_stays(bursts, monkeypatch):
    with monkeypatch.context() as dying:
        dying.setattr(shards, "forget_notes", lambda *_: None)
        prepared = _prepare(bursts(n=9))
    assert len(list(prepared.folder.glob("*.tfrecord.json"))) == 3
    _prepare(bursts(n=9))
    assert sorted(_contents(prepared.folder)) == sorted(["index.json", *(path.name for path in prepared.paths)])


# Forks, for each new interpreter would spend seconds on imports, at whose end there is little left to kill.
_KILLED_TEN_TIMES = """
import os, pathlib, random, signal, sys, time
sys.path[:0] = sys.argv[2:4]
import tensorflow.train
from conftest import Bursts
from datasets import corpora, prepare

def start(folder):
    pid = os.fork()
    if not pid:
        prepare.prepare(Bursts(corpora.Options(sample_rate=8000), 9), "train", folder, progress=False)
        os._exit(0)
    return pid

begun = time.monotonic()
os.waitpid(start(sys.argv[1] + "/timed"), 0)
whole_seconds = time.monotonic() - begun
chance, killed = random.Random(0), 0
for i in range(10):
    pid = start(f"{sys.argv[1]}/killed{i}")
    time.sleep(chance.uniform(0.05, 0.95) * whole_seconds)
    os.kill(pid, signal.SIGKILL)
    killed += os.WIFSIGNALED(os.waitpid(pid, 0)[1])
    os.waitpid(start(f"{sys.argv[1]}/killed{i}"), 0)
print(killed)
"""


def test_killed_at_ten_random_moments_the_result_is_the_same(bursts, tmp_path):
    undisturbed = _contents(_prepare(bursts(n=9), out_dir=tmp_path / "whole").folder)
    arguments = [sys.executable, "-c", _KILLED_TEN_TIMES, str(tmp_path), str(ROOT), str(ROOT / "tests")]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert int(done.stdout) >= 5
    for i in range(10):
        assert _contents(tmp_path / f"killed{i}") == undisturbed


def test_any_number_of_workers_gives_the_same_shards(bursts, tmp_path):
    alone = _prepare(bursts(n=9), out_dir=tmp_path / "alone")
    together = _prepare(bursts(n=9), out_dir=tmp_path / "together", workers=2)
    assert _contents(alone.folder) == _contents(together.folder) and len(alone.paths) == 3


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_beam_makes_the_same_shards(bursts, tmp_path, monkeypatch, workers):
    pytest.importorskip("apache_beam", reason="the extra `beam` is not installed")
    # Beam's workers are new interpreters, which import the corpus by name.
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(ROOT / "tests")]))
    local = _prepare(bursts(n=9), out_dir=tmp_path / "local")
    beam = _prepare(bursts(n=9), out_dir=tmp_path / "beam", runner="DirectRunner", workers=workers)
    assert _contents(local.folder) == _contents(beam.folder)


def test_a_runner_that_beam_does_not_know_is_one_line(bursts):
    pytest.importorskip("apache_beam", reason="the extra `beam` is not installed")
    with pytest.raises(InputError, match="--runner=NoRunner: "):
        _prepare(bursts(n=1), runner="NoRunner")


def _with_bad(corpus, bad=("train2", "train5")):
    load = corpus.load

    def load_but_bad(name, audio=True):
        if name in bad:
            raise InputError(f"{name}.wav: ends after 7 of 8 samples; the file is cut short")
        return load(name, audio)

    corpus.load = load_but_bad
    return corpus


def test_what_cannot_be_read_is_left_out_and_said(bursts, capsys):
    corpus = _with_bad(bursts(n=6))
    prepared = prepare(corpus, "train")
    assert [record.name for _, record in prepared.records] == ["train0", "train1", "train3", "train4"]
    assert list(prepared.skipped) == ["train2", "train5"]
    said = capsys.readouterr().out
    assert "train: 2 dialogues could not be read" in said and "  train5.wav: ends after 7 of 8 samples" in said
    corpus.loaded.clear()
    assert prepare(corpus, "train").skipped == prepared.skipped and not corpus.loaded


def test_strict_stops_at_what_cannot_be_read(bursts, tmp_path):
    _prepare(_with_bad(bursts(n=6)), out_dir=tmp_path / "out")
    with pytest.raises(InputError, match="train2.wav: ends after 7"):
        _prepare(_with_bad(bursts(n=6)), out_dir=tmp_path / "out", strict=True)
    whole = _prepare(bursts(n=6), out_dir=tmp_path / "out", strict=True)
    assert _contents(whole.folder) == _contents(_prepare(bursts(n=6), out_dir=tmp_path / "whole").folder)


def test_nothing_that_can_be_read(bursts, tmp_path):
    with pytest.raises(InputError, match="none of the 2 dialogues can be read; the first: train0.wav"):
        _prepare(_with_bad(bursts(n=2), ("train0", "train1")), out_dir=tmp_path / "out")
    with pytest.raises(InputError, match="none of its 2 dialogues can be read"):
        _prepare(_with_bad(bursts(n=2, sample_rate=None), ("train0", "train1")), out_dir=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_timing_alone(bursts):
    with_sound, without = (_prepare(bursts(n=5), audio=audio) for audio in (True, False))
    assert without.sample_rate is None and without.folder != with_sound.folder
    assert without.silence_share == pytest.approx(with_sound.silence_share, abs=0.002)
    stored = [record for path in without.paths for record in records.read_shard(path)]
    assert all(record["audio"].shape == (2, 0) for record in stored)
    for record, name in zip(stored, bursts(n=5).names("train"), strict=True):
        dialogue = bursts(n=5).load(name)
        assert record["activity"].shape[1] == np.ceil(dialogue.duration_seconds * 50)
        assert record["provenance"]["corpus"] == "bursts" and record["provenance"]["split"] == "train"


def test_two_at_once_wait_for_each_other(bursts, tmp_path):
    arguments = [sys.executable, "-c", _UNTIL_KILLED, str(tmp_path / "both"), str(ROOT), str(ROOT / "tests")]
    both = [subprocess.Popen(arguments) for _ in range(2)]
    assert [process.wait(timeout=60) for process in both] == [0, 0]
    assert _contents(tmp_path / "both") == _contents(_prepare(bursts(n=9), out_dir=tmp_path / "whole").folder)


def test_a_read_only_folder_is_enough_to_read(bursts, tmp_path):
    prepared = _prepare(bursts(n=2), out_dir=tmp_path / "out")
    prepared.folder.chmod(0o555)
    try:
        assert _prepare(bursts(n=2), out_dir=tmp_path / "out").index == prepared.index
    finally:
        prepared.folder.chmod(0o755)


def test_shards_have_the_rate_that_was_asked_for(bursts):
    corpus = bursts(n=2)
    native = _prepare(corpus)
    corpus.options = type(corpus.options)(cache_dir=corpus.options.cache_dir, sample_rate=16000)
    corpus.load = bursts(n=2).load
    wide = _prepare(corpus)
    assert (native.sample_rate, wide.sample_rate) == (8000, 16000) and wide.folder != native.folder
    assert wide.seconds == pytest.approx(native.seconds, abs=0.05)
    assert wide.silence_share == pytest.approx(native.silence_share, abs=0.01)


def test_the_first_dialogue_sets_the_rate_where_none_was_asked_for(bursts):
    corpus = bursts(n=2, sample_rate=None)
    assert _prepare(corpus).sample_rate == 8000
    assert _prepare(corpus).sample_rate == 8000


def test_another_corpus_does_not_share_a_folder(bursts, tmp_path):
    assert _prepare(bursts()).folder != _prepare(bursts(seed=1)).folder
    _prepare(bursts(), out_dir=tmp_path / "here")
    with pytest.raises(InputError, match="here: holds shards of another corpus"):
        _prepare(bursts(seed=1), out_dir=tmp_path / "here")


def test_bad_corpora_leave_no_shard(bursts, tmp_path):
    with pytest.raises(InputError, match="its train split is empty"):
        _prepare(bursts(n=0))
    mute = bursts(n=1)
    mute.load = lambda name, audio=True: bursts(n=1).load(name, audio=False)
    with pytest.raises(InputError, match="train0: has no audio"):
        _prepare(mute, out_dir=tmp_path / "mute")
    odd = bursts(n=1, sample_rate=11025)
    with pytest.raises(InputError, match="11025 Hz: must be a multiple of 50"):
        _prepare(odd, out_dir=tmp_path / "odd")
    assert not list(tmp_path.rglob("*.tfrecord")) and not list(tmp_path.rglob(".*"))


def test_an_unwritable_folder_is_one_line(bursts, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write there"):
        _prepare(bursts(n=1), out_dir=tmp_path / "file" / "shards")
