import json
import pathlib
import signal
import subprocess
import sys

import numpy as np
import pytest

from datasets import audio, records
from datasets.dialogue import activity
from datasets.errors import InputError
from datasets.prepare import DIALOGUES_PER_SHARD, prepare

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
    assert sum(record.source_samples for _, record in prepared.records) == sum(d.audio.shape[1] for d in dialogues)
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


_KILLED = """
import os, pathlib, signal, sys
sys.path[:0] = sys.argv[4:6]
from conftest import Bursts
from datasets import corpora, files, prepare, records

def deadly(function, calls=[]):
    def wrapped(*args):
        calls.append(1)
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args)
    return wrapped

module, name = {"records": records, "files": files}[sys.argv[2]], sys.argv[3]
setattr(module, name, deadly(getattr(module, name)))
prepare.prepare(Bursts(corpora.Options(sample_rate=8000), 9), "train", sys.argv[1], progress=False)
"""


@pytest.mark.parametrize(("module", "function", "shards"), [("records", "checksum", 1), ("files", "write_json", 2)])
def test_killed_within_or_after_a_shard_the_result_is_the_same(bursts, tmp_path, module, function, shards):
    """SIGKILL when the second shard is written but has not taken its place; and when only the index lacks it."""
    folder = tmp_path / "killed"
    arguments = [str(folder), module, function, str(ROOT), str(ROOT / "tests")]
    killed = subprocess.run([sys.executable, "-c", _KILLED, *arguments], capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert len(list(folder.glob("train*.tfrecord"))) == shards
    assert len(json.loads((folder / "index.json").read_text())["shards"]) == 1
    undisturbed = _contents(_prepare(bursts(n=9), out_dir=tmp_path / "whole").folder)
    _prepare(bursts(n=9), out_dir=folder)
    assert {name: raw for name, raw in _contents(folder).items() if not name.startswith(".")} == undisturbed


def test_a_corpus_that_renders_is_asked_for_what_is_missing_only(bursts):
    corpus = bursts(n=6)
    asked = []
    corpus.render_all = lambda names, workers: asked.append((list(names), workers))
    prepared = _prepare(corpus, workers=3)
    _prepare(corpus, workers=3)
    prepared.paths[1].unlink()
    _prepare(corpus, workers=3)
    assert asked == [(corpus.names("train"), 3), (corpus.names("train")[DIALOGUES_PER_SHARD:], 3)]


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
    mute.load = lambda name: bursts(n=1).load(name, audio=False)
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
