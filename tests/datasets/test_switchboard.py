import time

import numpy as np
import pytest
import soundfile

from datasets import corpora
from datasets.corpora import espeak, switchboard
from datasets.errors import InputError
from tests.conftest import noise_bursts

SIDE_A = """sw2001A-ms98-a-0001 0.000000 0.500000 [silence]
sw2001A-ms98-a-0002 0.500000 0.900000 hi
sw2001A-ms98-a-0002 0.900000 1.400000 [laughter-um-hum]

sw2001A-ms98-a-0002 1.400000 2.000000 [laughter]
sw2001A-ms98-a-0003 2.000000 2.300000 th[at]-
sw2001A-ms98-a-0003 2.300000 2.300000 unheard
sw2001A-ms98-a-0003 2.300000 2.600000 <b_aside>
sw2001A-ms98-a-0003 2.600000 6.000000 [silence]
"""
SIDE_B = """sw2001B-ms98-a-0001 0.000000 3.000000 [noise]
sw2001B-ms98-a-0002 3.000000 4.000000 okay_1
sw2001B-ms98-a-0003 4.000000 6.250000 [silence]
"""
SPEECH = [[0.5, 1.4], [2.0, 2.3]], [[3.0, 4.0]]


def write_call(folder, number=2001, deep=True):
    here = folder / f"{number // 100}" / str(number) if deep else folder
    here.mkdir(parents=True, exist_ok=True)
    for side, text in (("A", SIDE_A), ("B", SIDE_B)):
        (here / f"sw{number}{side}-ms98-a-word.text").write_text(text.replace("2001", str(number)))
    return here


def record(path, channels=(0, 1), rate=8000, seconds=6.25, **options):
    sound = [noise_bursts(SPEECH[channel], seconds, rate, np.random.default_rng(channel)) for channel in channels]
    soundfile.write(path, np.stack(sound, axis=1), rate, **options)
    return path


def open_switchboard(folder, **options):
    return corpora.open_corpus("switchboard", data_dir=folder, **options)


@pytest.mark.parametrize("deep", [True, False])
def test_a_call(tmp_path, deep):
    write_call(tmp_path, deep=deep)
    call = open_switchboard(tmp_path).load("sw2001")
    assert call.duration_seconds == 6.25 and call.roles == ("A", "B") and call.audio is None
    np.testing.assert_allclose(call.speech[0], SPEECH[0])
    np.testing.assert_allclose(call.speech[1], SPEECH[1])
    assert [[word.text for word in words] for words in call.words] == [["hi", "um-hum", "th-"], ["okay"]]
    assert call.speakers == ("sw2001A", "sw2001B")


@pytest.mark.parametrize(
    ("token", "text"),
    [
        ("hello", "hello"),
        ("[silence]", None),
        ("[noise]", None),
        ("[laughter]", None),
        ("[vocalized-noise]", None),
        ("<b_aside>", None),
        ("<e_aside>", None),
        ("[laughter-yeah]", "yeah"),
        ("[laughter-th[at]-]", "th-"),
        ("th[at]-", "th-"),
        ("-[th]at", "-at"),
        ("okay_1", "okay"),
        ("them_1", "them"),
        ("{geekier}", "geekier"),
        ("{yuppiedom}'s", "yuppiedom's"),
        ("[splace/space]", "splace"),
        ("[lem[guini]-/linguini]", "lem-"),
        ("[laughter-[it'n/isn't]]", "it'n"),
        ("i'm", "i'm"),
        ("uh-huh", "uh-huh"),
        ("[child_talking]", None),
    ],
)
def test_what_was_said(token, text):
    assert switchboard.spoken_text(token) == text


@pytest.mark.parametrize("name", ["sw02001.sph", "sw2001.wav", "sw2001.flac"])
def test_the_recording_of_both_sides(tmp_path, name):
    here = write_call(tmp_path)
    options = {"format": "NIST", "subtype": "ULAW"} if name.endswith("sph") else {}
    record(tmp_path / name, seconds=7.0, **options)
    corpus = open_switchboard(tmp_path)
    call = corpus.load("sw2001")
    assert corpus.detector == "silero" and corpus.key()["sample_rate"] == 8000
    assert call.audio.shape == (2, 56000) and call.duration_seconds == 7.0
    assert corpus.load("sw2001", audio=False).duration_seconds == 7.0
    loud = np.abs(call.audio[:, 4000:11200]).mean(axis=1)
    assert loud[0] > 50 * loud[1] and not call.info["channels_exchanged"]
    assert open_switchboard(tmp_path, sample_rate=16000).load("sw2001").audio.shape == (2, 112000)
    assert open_switchboard(here).load("sw2001").audio is None


def test_one_recording_a_side(tmp_path):
    write_call(tmp_path)
    record(tmp_path / "sw2001A.wav", [0])
    with pytest.raises(InputError, match="sw2001A.wav: the recording of the other side is missing"):
        open_switchboard(tmp_path).load("sw2001")
    record(tmp_path / "sw2001B.wav", [1], seconds=5.0)
    sound = open_switchboard(tmp_path).load("sw2001").audio
    assert sound.shape == (2, 50000) and not sound[1, 40000:].any() and sound[0, 40000:].any()


def test_without_a_table_calls_are_drawn(tmp_path):
    for number in range(2001, 2101):
        write_call(tmp_path, number)
    corpus = open_switchboard(tmp_path)
    sizes = [len(corpus.names(split)) for split in ("train", "validation", "test")]
    assert sum(sizes) == 100 and sizes[0] > 65 and min(sizes) > 3
    before = {name: corpus.load(name).split for name in corpus.names()[:10]}
    for number in range(2101, 2110):
        write_call(tmp_path, number)
    assert {name: open_switchboard(tmp_path).load(name).split for name in before} == before
    with pytest.raises(InputError, match="dev"):
        corpus.names("dev")


def test_with_a_table_speakers_are_apart(tmp_path):
    rng = np.random.default_rng(0)
    rows, sides = [], {}
    for number in range(2001, 2301):
        write_call(tmp_path, number)
        sides[f"sw{number}"] = rng.choice(60, 2, replace=False) + 1000
        rows += [f'{number}, "{side}", {caller}, 1, 5' for side, caller in zip("AB", sides[f"sw{number}"], strict=True)]
    (tmp_path / "call_con_tab.csv").write_text("\n".join(rows))
    people = [f'{number}, 1, "N", "{"FEMALE" if number % 2 else "MALE"}", 1960, "X"' for number in range(1000, 1060)]
    (tmp_path / "caller_tab.csv").write_text("\n".join(people))
    corpus = open_switchboard(tmp_path)
    names = {split: corpus.names(split) for split in ("train", "validation", "test")}
    speakers = {split: {caller for name in names[split] for caller in sides[name]} for split in names}
    assert names["train"] and names["test"] and sorted(sum(names.values(), [])) == corpus.names()
    assert not speakers["train"] & speakers["test"] and not speakers["train"] & speakers["validation"]
    call = corpus.load(names["test"][0])
    assert call.speakers == tuple(map(str, sides[call.name])) and call.split == "test"
    for person, caller in zip(call.info["speaker_info"], call.speakers, strict=True):
        assert person == {"gender": "mf"[int(caller) % 2], "birth_year": 1960}
    left_out = min(set(sides) - set(corpus.names()))
    with pytest.raises(InputError, match=f"{left_out}: its callers are in two splits"):
        corpus.load(left_out)


def test_the_shares_of_callers():
    drawn = [switchboard.caller_split(str(caller)) for caller in range(5000)]
    shares = [drawn.count(split) / len(drawn) for split in ("train", "validation", "test")]
    np.testing.assert_allclose(shares, [0.80, 0.08, 0.12], atol=0.02)


def test_the_key_changes_with_what_shapes_the_calls(tmp_path):
    here = write_call(tmp_path)
    keys = [open_switchboard(tmp_path).key()]
    assert keys[0] == open_switchboard(tmp_path / "20").key()
    path = here / "sw2001A-ms98-a-word.text"
    path.write_text(path.read_text().replace("hi", "ho"))
    keys.append(open_switchboard(tmp_path).key())
    record(tmp_path / "sw2001.wav")
    keys.append(open_switchboard(tmp_path).key())
    assert len({str(key) for key in keys}) == 3


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("sw2001A-ms98-a-0001 0.0 hi", "line 1: .* is not utterance, start and end"),
        ("sw2001A-ms98-a-0001 0.0 x hi", "is not utterance"),
        ("sw2001A-ms98-a-0001 nan 1 hi", "is not utterance"),
        ("sw2001A-ms98-a-0001 2 1 hi", "is not utterance"),
        ("sw2001A-ms98-a-0001 0 1e9 hi", "is not utterance"),
        ("sw2001A-ms98-a-0001 0 1 hi there", "is not utterance"),
    ],
)
def test_malformed_lines_are_named(tmp_path, line, message):
    path = write_call(tmp_path) / "sw2001A-ms98-a-word.text"
    path.write_text(line)
    with pytest.raises(InputError, match=message) as caught:
        open_switchboard(tmp_path).load("sw2001")
    assert str(path) in str(caught.value)


def test_folders_without_calls_say_so(tmp_path):
    with pytest.raises(InputError, match="needs --data_dir"):
        open_switchboard(None)
    with pytest.raises(InputError, match="is not a folder"):
        open_switchboard(tmp_path / "none")
    with pytest.raises(InputError, match="no word files"):
        open_switchboard(tmp_path)
    here = write_call(tmp_path)
    (here / "sw2001B-ms98-a-word.text").unlink()
    with pytest.raises(InputError, match="the word file of the other side is missing"):
        open_switchboard(tmp_path).load("sw2001")
    (tmp_path / "call_con_tab.csv").write_text("a, b, c\n")
    with pytest.raises(InputError, match="call_con_tab.csv: has no rows"):
        open_switchboard(tmp_path)


@pytest.mark.parametrize("name", ["../sw2001", "sw9999", ""])
def test_unknown_names(tmp_path, name):
    write_call(tmp_path)
    with pytest.raises(InputError, match="no such call"):
        open_switchboard(tmp_path).load(name)


def test_bad_recordings_are_one_line_within_a_second(tmp_path):
    write_call(tmp_path)
    path = tmp_path / "sw02001.sph"
    record(path, format="NIST", subtype="ULAW")
    raw = path.read_bytes()
    corpus = open_switchboard(tmp_path)
    for content, message in (
        (raw[:4000], "cut short"),
        (raw.replace(b"ulaw", b"ulaw,embedded-shorten-v2.00"), "shorten.*sph2pipe"),
    ):
        path.write_bytes(content)
        began = time.monotonic()
        with pytest.raises(InputError, match=f"sw02001.sph: .*{message}"):
            corpus.load("sw2001")
        assert time.monotonic() - began < 1


@pytest.mark.skipif(not espeak.available(), reason="espeakng-loader is not installed")
def test_calls_are_voiced_at_their_own_times(tmp_path):
    write_call(tmp_path)
    record(tmp_path / "sw2001.wav", seconds=9.0)
    corpus = corpora.open_corpus("switchboard-voiced", data_dir=tmp_path, cache_dir=tmp_path / "cache")
    call = corpus.load("sw2001")
    assert corpus.roles == ("A", "B") and call.audio.shape == (2, 50000)
    levels = [np.abs(call.audio[0, round(8000 * t) :][:1600]).mean() for t in (0.1, 0.6, 1.1, 2.7)]
    assert min(levels[1:3]) > 20 * max(levels[0], levels[3])
