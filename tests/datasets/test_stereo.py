import os
import shutil
import time

import numpy as np
import pytest
import soundfile

from datasets import audio, corpora
from datasets.corpora import recorded, stereo
from datasets.errors import InputError
from tests.conftest import noise_bursts

LEFT, RIGHT = [[0.5, 1.5], [3.0, 4.2]], [[1.7, 2.8], [4.5, 5.0]]
SECONDS = 6.0


def recording(rate=8000, seed=0, left=LEFT, right=RIGHT) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.stack([noise_bursts(intervals, SECONDS, rate, rng) for intervals in (left, right)])


def write(path, rate=8000, seed=0, sound=None, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, (recording(rate, seed) if sound is None else sound).T, rate, **options)
    return path


def labels(path, left=LEFT, right=RIGHT):
    rows = [f"{start},{end},{name}" for name, times in (("left", left), ("right", right)) for start, end in times]
    path.write_text("\n".join(["start,end,channel", *rows]) + "\n")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "recordings"


def open_stereo(folder, **options) -> stereo.Stereo:
    return corpora.open_corpus("stereo", data_dir=folder, **{"detector": "energy"} | options)


def test_every_kind_of_file_is_found_and_read(folder):
    write(folder / "a.wav")
    write(folder / "deep" / "er" / "b.flac")
    write(folder / "deep" / "c.ogg")
    write(folder / "D.SPH", format="NIST", subtype="PCM_16")
    write(folder / ".hidden.wav")
    (folder / "notes.txt").write_text("nothing")
    corpus = open_stereo(folder)
    assert corpus.names() == ["D", "a", "deep--c", "deep--er--b"]
    for name in corpus.names():
        dialogue = corpus.load(name)
        assert dialogue.audio.shape == (2, 48000) and dialogue.sample_rate == 8000
        assert dialogue.roles == ("left", "right") and dialogue.duration_seconds == SECONDS
        assert dialogue.speakers == (f"{name}:left", f"{name}:right")
        np.testing.assert_allclose(dialogue.speech[0], LEFT, atol=0.04)
        np.testing.assert_allclose(dialogue.speech[1], RIGHT, atol=0.04)


def test_the_detector_of_the_corpus_is_silero(folder):
    write(folder / "a.wav")
    assert corpora.open_corpus("stereo", data_dir=folder).detector == "silero"
    assert open_stereo(folder, detector=None).load("a").info["activity"] == "silero"


def test_recorded_speech_is_found_in_its_channel(folder, real_audio_dir):
    speech, rate = audio.read_wav(real_audio_dir / "read" / "cmu_arctic_us_aew_a0001.wav", channels=1)
    silence = 1e-4 * np.random.default_rng(0).standard_normal(speech.shape).astype(np.float32)
    write(folder / "a.wav", rate, sound=np.concatenate([silence, speech]))
    first, second = open_stereo(folder, detector=None).load("a").speech
    assert len(first) == 0 and 0.5 < np.diff(second).sum() / (speech.size / rate) <= 1


def test_intervals_beside_the_recording_are_taken(folder):
    write(folder / "a.wav")
    labels(folder / "a.csv")
    dialogue = open_stereo(folder).load("a")
    np.testing.assert_allclose(dialogue.speech[0], LEFT)
    np.testing.assert_allclose(dialogue.speech[1], RIGHT)
    assert dialogue.info["activity"] == ".csv"
    silent = open_stereo(folder).load("a", audio=False)
    assert silent.audio is None and silent.sample_rate is None
    np.testing.assert_array_equal(silent.speech[0], dialogue.speech[0])


def test_words_and_speakers_come_from_the_annotation(folder):
    write(folder / "a.wav")
    (folder / "a.csv").write_text(
        "start,end,channel,speaker,text\n0.5,1.5,left,Ann,hello there\n1.7,2.8,right,Bob,hi\n"
    )
    dialogue = open_stereo(folder).load("a")
    assert dialogue.speakers == ("Ann", "Bob")
    assert [[word.text for word in words] for words in dialogue.words] == [["hello there"], ["hi"]]


def test_an_rttm_with_numbered_channels(folder):
    write(folder / "a.wav")
    rows = [(i + 1, start, end - start) for i, times in enumerate((LEFT, RIGHT)) for start, end in times]
    (folder / "a.rttm").write_text(
        "".join(
            f"SPEAKER a {channel} {start} {length} <NA> <NA> S{channel} <NA> <NA>\n" for channel, start, length in rows
        )
    )
    dialogue = open_stereo(folder).load("a")
    np.testing.assert_allclose(dialogue.speech[1], RIGHT)
    assert dialogue.speakers == ("S1", "S2")


def test_labels_of_the_other_channel_are_refused(folder):
    write(folder / "a.wav", seed=1)
    labels(folder / "a.csv", left=RIGHT, right=LEFT)
    with pytest.raises(InputError, match="a.csv: its labels 'left' and 'right' are loud in each other's channel"):
        open_stereo(folder).load("a")


def test_a_transcript_is_no_label_file_and_labels_are(folder):
    write(folder / "a.wav")
    (folder / "a.txt").write_text("hello there, this is what was said\n")
    assert open_stereo(folder).load("a").info["activity"] == "energy"
    (folder / "a.txt").write_text("0.5\t1.5\tleft\n")
    assert open_stereo(folder).load("a").info["activity"] == ".txt"


def test_annotations_can_be_demanded(folder):
    write(folder / "a.wav")
    with pytest.raises(InputError, match="a.wav: has no annotation beside it"):
        open_stereo(folder, detector="annotations").load("a")


def test_one_rate_for_all(folder):
    write(folder / "a.wav", 16000)
    write(folder / "b.wav", 8000)
    write(folder / "c.wav", 8000, seed=1)
    corpus = open_stereo(folder)
    assert corpus.sample_rate == corpus.load("a").sample_rate == corpus.key()["sample_rate"] == 8000
    dialogue = corpus.load("a")
    assert dialogue.info["recorded_hz"] == 16000 and dialogue.audio.shape == (2, 48000)
    np.testing.assert_allclose(dialogue.speech[0], LEFT, atol=0.02)
    assert open_stereo(folder, sample_rate=20000).load("b").audio.shape == (2, 120000)


def test_added_files_move_no_other(folder):
    for i in range(60):
        write(folder / f"r{i}.wav", sound=0.1 * np.random.default_rng(i).standard_normal((2, 400)))
    corpus = open_stereo(folder)
    before = {name: corpus.load(name, audio=False).split for name in corpus.names()}
    assert sum(map(len, map(corpus.names, ("train", "validation", "test")))) == 60
    assert all(corpus.names(split) for split in ("train", "validation", "test")) and len(corpus.names("train")) > 36
    for i in range(60, 70):
        write(folder / f"q{i}.wav", sound=0.1 * np.random.default_rng(i).standard_normal((2, 400)))
    shutil.copy(folder / "r0.wav", folder / "copy.wav")
    after = {name: open_stereo(folder).load(name, audio=False).split for name in [*before, "copy"]}
    assert after.pop("copy") == before["r0"] and after == before


def test_folders_may_be_the_split(folder):
    for split in ("train", "validation", "test"):
        write(folder / split / "a.wav")
    corpus = open_stereo(folder)
    assert corpus.names("test") == ["test--a"] and corpus.load("validation--a").split == "validation"
    with pytest.raises(InputError, match="dev"):
        corpus.names("dev")


def test_files_of_one_stem_are_told_apart(folder):
    write(folder / "a.wav")
    write(folder / "a.flac")
    write(folder / "sub" / "a.wav")
    assert open_stereo(folder).names() == ["a.flac", "a.wav", "sub--a"]
    write(folder / "sub--a.wav")
    with pytest.raises(InputError, match="would both be called sub--a.wav; rename one"):
        open_stereo(folder)


def test_detected_speech_is_kept_until_the_file_changes(folder, tmp_path, monkeypatch):
    path = write(folder / "a.wav")
    corpus = open_stereo(folder, cache_dir=tmp_path / "cache")
    first = corpus.load("a")
    found = []
    detect = recorded.activity.detect
    monkeypatch.setattr(recorded.activity, "detect", lambda *args: found.append(1) or detect(*args))
    np.testing.assert_array_equal(corpus.load("a").speech[1], first.speech[1])
    assert not found
    next((tmp_path / "cache" / "activity").iterdir()).write_text("[[[0, 1e9]], []]")
    np.testing.assert_array_equal(corpus.load("a").speech[0], first.speech[0])
    assert len(found) == 2
    write(path, seed=3)
    corpus.load("a")
    assert len(found) == 4


def test_the_key_changes_with_what_shapes_the_dialogues(folder):
    path = write(folder / "a.wav")
    keys = [
        open_stereo(folder).key(),
        open_stereo(folder, detector=None).key(),
        open_stereo(folder, sample_rate=50).key(),
    ]
    assert open_stereo(folder).key() == keys[0]
    labels(folder / "a.csv")
    keys.append(open_stereo(folder).key())
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    os.utime(path, (1, 1))
    keys.append(open_stereo(folder).key())
    write(folder / "b.wav")
    keys.append(open_stereo(folder).key())
    assert len({str(key) for key in keys}) == len(keys)


@pytest.mark.parametrize("name", ["../a", "/etc/passwd", "", "a.wav", "sub/../a"])
def test_names_that_climb_are_no_recordings(folder, name):
    write(folder / "a.wav")
    write(folder.parent / "a.wav")
    with pytest.raises(InputError, match="no such recording"):
        open_stereo(folder).load(name)


def test_links_out_of_the_folder_are_refused(folder):
    outside = write(folder.parent / "outside" / "x.wav")
    write(folder / "a.wav")
    (folder / "link.wav").symlink_to(outside)
    (folder / "nowhere.wav").symlink_to(folder / "none.wav")
    (folder / "more").symlink_to(outside.parent)
    (folder / "inside.wav").symlink_to(folder / "a.wav")
    os.mkfifo(folder / "pipe.wav")
    corpus = open_stereo(folder)
    assert corpus.names() == ["a", "inside", "link", "nowhere", "pipe"] and corpus.names("train")
    with pytest.raises(InputError, match="pipe.wav: no such sound file"):
        corpus.load("pipe")
    assert corpus.load("inside").audio is not None
    with pytest.raises(InputError, match="link.wav: is a link that leaves"):
        corpus.load("link")
    with pytest.raises(InputError, match="nowhere.wav: no such sound file"):
        corpus.load("nowhere")
    corpus.key()


def test_bad_files_are_named_and_the_others_read(folder):
    write(folder / "good.wav")
    write(folder / "mono.wav", sound=np.zeros((1, 800)))
    (folder / "text.wav").write_text("no sound")
    raw = (folder / "good.wav").read_bytes()
    (folder / "short.wav").write_bytes(raw[: len(raw) // 2])
    write(folder / "nan.wav", sound=np.full((2, 800), np.nan), subtype="FLOAT")
    (folder / "empty.wav").write_bytes(b"")
    write(folder / "late.wav")
    labels(folder / "late.csv", left=[[1000, 9000]])
    corpus = open_stereo(folder)
    began = time.monotonic()
    problems = {}
    for name in corpus.names():
        try:
            corpus.load(name)
        except InputError as error:
            problems[name] = str(error)
    assert time.monotonic() - began < 5 and "good" not in problems
    expected = {
        "mono": "has 1 channels",
        "text": "not a sound file",
        "short": "cut short",
        "nan": "not finite",
        "empty": "not a sound file",
        "late": "milliseconds",
    }
    assert problems.keys() == expected.keys()
    for name, words in expected.items():
        assert words in problems[name] and f"{name}." in problems[name]


def test_folders_without_recordings_say_so(tmp_path):
    with pytest.raises(InputError, match="needs --data_dir"):
        open_stereo(None)
    with pytest.raises(InputError, match="is not a folder"):
        open_stereo(tmp_path / "none")
    with pytest.raises(InputError, match="no sound files"):
        open_stereo(tmp_path)
    (tmp_path / "a.wav").write_text("x")
    with pytest.raises(InputError, match="a.wav: not a sound file"):
        open_stereo(tmp_path).key()
