import re
import time

import numpy as np
import pytest
import soundfile

from datasets import corpora
from datasets.corpora import maptask
from datasets.errors import InputError
from tests.conftest import noise_bursts

ROOT = '<?xml version="1.0"?>\n<nite:root xmlns:nite="http://nite.sourceforge.net/" id="x">\n{}\n</nite:root>\n'
CONVERSATION = (
    '<conv id="{name}" quad="{quad}" eyecontact="{eye}" familiar="no" map="m1">'
    '<nite:pointer role="f" href="maptask-participants.xml#id({name}b)"/>'
    '<nite:pointer role="g" href="maptask-participants.xml#id({name}a)"/></conv>'
)
GIVER = """
<tu id="1" start="0.0000" end="0.5000" utt="1">okay</tu>
<tu id="2" start="0.5000" end="0.9000">go  left</tu>
<noi id="3" start="0.9000" end="1.5000" type="breath"/>
<tu id="4" start="1.5000" end="1.5000">unheard</tu>
<noi id="5" start="1.5000" end="1.8000" type="unintelligible"/>
<sil id="6" start="1.8000" end="3.0000"/>
"""
FOLLOWER = '<sil id="1" start="0.0" end="1.0"/><tu id="2" start="1.0" end="4.25">mmhmm</tu>'


@pytest.fixture
def archive(tmp_path):
    data = tmp_path / "maptaskv2-1" / "Data"
    (data / "timed-units").mkdir(parents=True)
    (data / "corpus-resources").mkdir()
    names = [("q1ec1", 1, "yes"), ("q3nc1", 3, "no"), ("q4ec1", 4, "yes"), ("q7nc2", 7, "no")]
    conversations = "".join(CONVERSATION.format(name=name, quad=quad, eye=eye) for name, quad, eye in names)
    (data / "corpus-resources" / "maptask-corpus.xml").write_text(ROOT.format(conversations))
    people = '<speaker id="q1ec1a" age="20" gender="m" name="A" birthplace="Glasgow"></speaker>'
    (data / "corpus-resources" / "maptask-participants.xml").write_text(ROOT.format(people))
    for name, _, _ in names:
        (data / "timed-units" / f"{name}.g.timed-units.xml").write_text(ROOT.format(GIVER))
        (data / "timed-units" / f"{name}.f.timed-units.xml").write_text(ROOT.format(FOLLOWER))
    return tmp_path / "maptaskv2-1"


def open_maptask(folder, **options):
    return maptask.MapTask(corpora.Options(data_dir=folder, **options))


# As in GIVER and FOLLOWER.
SPEECH = [[0, 0.9], [1.5, 1.8]], [[1.0, 4.25]]


def record(path, channels=(0, 1), rate=20000, seconds=4.25, speech=SPEECH):
    path.parent.mkdir(parents=True, exist_ok=True)
    sound = [noise_bursts(speech[channel], seconds, rate, np.random.default_rng(channel)) for channel in channels]
    soundfile.write(path, np.stack(sound, axis=1), rate, subtype="PCM_16")
    return path


def test_a_dialogue(archive):
    dialogue = open_maptask(archive).load("q1ec1")
    assert dialogue.duration_seconds == 4.25 and dialogue.roles == ("giver", "follower")
    np.testing.assert_allclose(dialogue.speech[0], [[0, 0.9], [1.5, 1.8]])
    np.testing.assert_allclose(dialogue.speech[1], [[1, 4.25]])
    assert [word.text for word in dialogue.words[0]] == ["okay", "go left"]
    assert dialogue.speakers == ("q1ec1a", "q1ec1b")
    assert dialogue.info["quad"] == 1 and dialogue.info["eye_contact"] and not dialogue.info["familiar"]
    assert dialogue.info["speaker_info"] == [{"age": 20, "gender": "m", "birthplace": "Glasgow"}, {}]


def test_the_split_is_by_quad(archive):
    corpus = open_maptask(archive)
    assert [corpus.names(split) for split in ("train", "validation", "test")] == [
        ["q1ec1"],
        ["q3nc1"],
        ["q4ec1", "q7nc2"],
    ]
    assert corpus.load("q7nc2").split == "test" and len(corpus.names()) == 4
    with pytest.raises(InputError, match="dev"):
        corpus.names("dev")


def test_the_root_its_parent_and_the_data_folder_will_do(archive, monkeypatch):
    for folder in (archive, archive.parent, archive / "Data", str(archive)):
        assert len(open_maptask(folder).names()) == 4
    monkeypatch.setenv("MAPTASK_DIR", str(archive))
    assert len(open_maptask(None).names()) == 4
    assert open_maptask(None).detector == "energy"


def test_without_annotations_it_says_what_is_wanted(tmp_path, monkeypatch):
    monkeypatch.delenv("MAPTASK_DIR", raising=False)
    with pytest.raises(InputError, match="--data_dir"):
        open_maptask(None)
    with pytest.raises(InputError, match="lacks Data/timed-units.*groups.inf.ed.ac.uk"):
        open_maptask(tmp_path)
    with pytest.raises(InputError, match="is not a folder"):
        open_maptask(tmp_path / "nowhere")


def test_a_truncated_file_is_named(archive):
    path = archive / "Data" / "timed-units" / "q1ec1.f.timed-units.xml"
    path.write_text(path.read_text()[:-30])
    with pytest.raises(InputError, match=re.escape(str(path)) + ".*not whole XML"):
        open_maptask(archive).load("q1ec1")


def test_a_missing_file_is_named(archive):
    (archive / "Data" / "timed-units" / "q1ec1.f.timed-units.xml").unlink()
    with pytest.raises(InputError, match=r"q1ec1\.f\.timed-units\.xml: missing"):
        open_maptask(archive).load("q1ec1")


BOMB = "".join(f"<!ENTITY x{i} '{f'&x{i - 1};' * 10}'>" for i in range(1, 31))
ENTITY_BOMB = f"<!DOCTYPE a [<!ENTITY x0 'boom'>{BOMB}]>\n<a>&x30;</a>"
EXTERNAL = "<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>\n<a>&x;</a>"


@pytest.mark.parametrize("content", ['<!DOCTYPE a [<!ENTITY x "boom">]>\n<a>&x;</a>', ENTITY_BOMB, EXTERNAL])
@pytest.mark.parametrize("file", ["timed-units/q1ec1.f.timed-units.xml", "corpus-resources/maptask-corpus.xml"])
def test_entities_are_not_expanded(archive, content, file):
    (archive / "Data" / file).write_text(content)
    began = time.monotonic()
    with pytest.raises(InputError, match="not whole XML") as caught:
        open_maptask(archive).load("q1ec1")
    assert file.rpartition("/")[2] in str(caught.value) and "root:" not in str(caught.value)
    assert time.monotonic() - began < 1


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('id="q1ec1"', 'id="../../q1ec1"', "a dialogue is called '../../q1ec1'"),
        ('id="q1ec1"', "", "a dialogue is called None"),
        ('quad="4"', 'quad="-4"', "of quad '-4'"),
        ("#id(q4ec1a)", "#id(q1ec1a)", r"speaker q1ec1a is in q1ec1 \(train\) and in q4ec1 \(test\)"),
    ],
)
def test_a_corpus_that_contradicts_itself_is_refused(archive, old, new, message):
    path = archive / "Data" / "corpus-resources" / "maptask-corpus.xml"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(InputError, match=message):
        open_maptask(archive)


@pytest.mark.parametrize("times", ['start="nan" end="2"', 'start="0" end="inf"', 'start="0" end="90000"'])
def test_times_that_no_dialogue_has_are_refused(archive, times):
    (archive / "Data" / "timed-units" / "q1ec1.f.timed-units.xml").write_text(ROOT.format(f"<sil id='7' {times}/>"))
    with pytest.raises(InputError, match="7 is .* no dialogue lasts a day"):
        open_maptask(archive).load("q1ec1")


def test_folds_by_quad(archive):
    corpus = open_maptask(archive, fold=3)
    assert [corpus.names(split) for split in ("train", "validation", "test")] == [
        ["q1ec1", "q7nc2"],
        ["q4ec1"],
        ["q3nc1"],
    ]
    assert corpus.load("q3nc1").split == "test" and corpus.key() != open_maptask(archive).key()
    with pytest.raises(InputError, match="--fold=9: must be 1 to 8"):
        open_maptask(archive, fold=9)
    with pytest.raises(InputError, match="--fold=1: corpus simulated has no use for it; .*maptask, maptask-voiced"):
        corpora.open_corpus("simulated", fold=1)


def test_the_stereo_recording(archive):
    record(archive / "Data" / "signals" / "dialogues" / "q1ec1.mix.wav")
    corpus = open_maptask(archive)
    dialogue = corpus.load("q1ec1")
    assert corpus.detector == "silero" and corpus.key()["sample_rate"] == 20000
    assert dialogue.sample_rate == 20000 and dialogue.audio.shape == (2, 85000)
    assert dialogue.duration_seconds == 4.25 and dialogue.info["quad"] == 1
    assert not dialogue.info["channels_exchanged"] and dialogue.info["recorded_hz"] == 20000
    loud = np.abs(dialogue.audio[:, :17000]).mean(axis=1)
    assert loud[0] > 50 * loud[1]
    assert open_maptask(archive, sample_rate=16000).load("q1ec1").audio.shape == (2, 68000)
    assert corpus.load("q3nc1").audio is None and corpus.load("q1ec1", audio=False).audio is None


def test_a_linked_folder_of_recordings(archive, tmp_path):
    record(tmp_path / "disk" / "signals" / "q1ec1.mix.wav")
    (tmp_path / "disk" / "round").symlink_to(tmp_path / "disk")
    (archive / "audio").symlink_to(tmp_path / "disk")
    assert open_maptask(archive).load("q1ec1").audio is not None


@pytest.mark.parametrize("parts", [("g", "f"), ("1", "2")])
def test_one_recording_a_channel(archive, parts):
    for channel, part in enumerate(parts):
        record(archive / "audio" / f"q1ec1.{part}.wav", [channel])
    both = record(archive.parent / "q1ec1.mix.wav")
    np.testing.assert_array_equal(open_maptask(archive).load("q1ec1").audio, soundfile.read(both, dtype="float32")[0].T)


def test_a_lone_channel_is_refused(archive):
    path = record(archive / "audio" / "q1ec1.g.wav", [0])
    for audio in (True, False):
        with pytest.raises(InputError, match=re.escape(str(path)) + ": the recording of the other speaker is missing"):
            open_maptask(archive).load("q1ec1", audio=audio)


def test_channels_that_were_exchanged_are_put_right(archive):
    record(archive / "q1ec1.mix.wav", [1, 0])
    dialogue = open_maptask(archive).load("q1ec1")
    assert dialogue.info["channels_exchanged"]
    loud = np.abs(dialogue.audio[:, :17000]).mean(axis=1)
    assert loud[0] > 50 * loud[1]


@pytest.mark.parametrize("seconds", [3.0, 6.5])
def test_the_longer_of_recording_and_annotation_gives_the_length(archive, seconds):
    path = record(archive / "q1ec1.mix.wav", seconds=seconds)
    for audio in (True, False):
        assert open_maptask(archive).load("q1ec1", audio=audio).duration_seconds == max(seconds, 4.25)
    sound = open_maptask(archive).load("q1ec1").audio
    n_recorded = round(seconds * 20000)
    assert sound.shape == (2, round(max(seconds, 4.25) * 20000)) and not sound[:, n_recorded:].any()
    np.testing.assert_array_equal(sound[:, :n_recorded], soundfile.read(path, dtype="float32")[0].T)


def test_channels_of_unequal_length_are_filled_up_and_never_cut(archive):
    record(archive / "q1ec1.1.wav", [0], seconds=5.0)
    record(archive / "q1ec1.2.wav", [1], seconds=4.5)
    sound = open_maptask(archive).load("q1ec1").audio
    assert sound.shape == (2, 100000) and sound[0, -100:].any() and not sound[1, 90000:].any()


def test_bad_recordings_are_named_and_the_others_read(archive):
    raw = record(archive / "q1ec1.mix.wav").read_bytes()
    (archive / "q3nc1.mix.wav").write_bytes(raw[: len(raw) // 2])
    record(archive / "q4ec1.mix.wav", [0])
    corpus = open_maptask(archive)
    assert corpus.load("q1ec1").audio is not None
    for name, message in (("q3nc1", "cut short"), ("q4ec1", "has 1 channels, wanted is two")):
        with pytest.raises(InputError, match=rf"{name}\.mix\.wav: .*{message}"):
            corpus.load(name)


def test_the_key_changes_with_the_recordings(archive):
    keys = [open_maptask(archive).key()]
    path = record(archive / "q1ec1.mix.wav")
    keys.append(open_maptask(archive).key())
    record(path, seconds=5.0)
    keys.append(open_maptask(archive).key())
    assert len({str(key) for key in keys}) == 3


@pytest.mark.parametrize("times, message", [('start="a" end="1"', "no start and end"), ('end="1"', "no start and end")])
def test_words_without_times_are_refused(archive, times, message):
    (archive / "Data" / "timed-units" / "q1ec1.f.timed-units.xml").write_text(ROOT.format(f"<tu id='7' {times}>x</tu>"))
    with pytest.raises(InputError, match=message):
        open_maptask(archive).load("q1ec1")


def test_words_out_of_order_are_refused(archive):
    units = '<tu id="1" start="2" end="3">b</tu><tu id="2" start="0" end="1">a</tu>'
    (archive / "Data" / "timed-units" / "q1ec1.f.timed-units.xml").write_text(ROOT.format(units))
    with pytest.raises(InputError, match="q1ec1, follower: interval 1 .* sorted"):
        open_maptask(archive).load("q1ec1")


def test_an_unknown_name(archive):
    with pytest.raises(InputError, match="q9ec9: no such Map Task dialogue"):
        open_maptask(archive).load("q9ec9")


def test_the_key_changes_with_the_annotations(archive):
    before = open_maptask(archive).key()
    assert before == open_maptask(archive / "Data").key()
    path = archive / "Data" / "timed-units" / "q1ec1.f.timed-units.xml"
    path.write_text(path.read_text().replace("4.25", "4.26"))
    assert open_maptask(archive).key() != before


@pytest.fixture(scope="module")
def real(maptask_dir):
    return open_maptask(maptask_dir)


def test_the_real_corpus(real):
    assert [len(real.names(split)) for split in ("train", "validation", "test")] == [80, 16, 32]
    dialogue = real.load("q4nc1")
    assert dialogue.split == "test" and dialogue.info["quad"] == 4 and not dialogue.info["eye_contact"]
    # Two words of it have no length.
    assert all(word.end > word.start for channel in dialogue.words for word in channel)


def test_all_dialogues_parse_to_what_a_plain_search_of_the_text_finds(real, maptask_dir):
    """An independent count by regular expressions: words with a length, their time, and the end of each channel."""
    unit = re.compile(r"<(tu|noi|sil)\b([^>]*)>")
    attribute = re.compile(r'\b(start|end|type)="([^"]*)"')
    assert len(real.names()) == 128
    total = 0.0
    for name in real.names():
        dialogue = real.load(name)
        ends = []
        for channel, role in enumerate("gf"):
            text = (maptask_dir / "Data" / "timed-units" / f"{name}.{role}.timed-units.xml").read_text("latin-1")
            units = [(tag, dict(attribute.findall(rest))) for tag, rest in unit.findall(text)]
            times = [(tag, float(a["start"]), float(a["end"]), a.get("type")) for tag, a in units]
            words = [(start, end) for tag, start, end, _ in times if tag == "tu" and end > start]
            assert [(word.start, word.end) for word in dialogue.words[channel]] == words
            spoken = sum(e - s for tag, s, e, kind in times if tag == "tu" or kind == "unintelligible")
            assert np.diff(dialogue.speech[channel]).sum() == pytest.approx(spoken, abs=1e-6)
            ends.append(max(end for _, _, end, _ in times))
        assert dialogue.duration_seconds == max(ends)
        total += dialogue.duration_seconds
    assert total / 60 == pytest.approx(605.1 + 265.5, rel=1e-3)


def test_speakers_of_every_fold_are_apart(real, maptask_dir):
    speakers = {name: set(real.load(name).speakers) for name in real.names()}
    assert len(set.union(*speakers.values())) == 64
    for fold in range(1, 9):
        corpus = open_maptask(maptask_dir, fold=fold)
        names = [corpus.names(split) for split in ("train", "validation", "test")]
        assert list(map(len, names)) == [96, 16, 16] and sorted(sum(names, [])) == real.names()
        train, validation, test = (set.union(*(speakers[name] for name in split)) for split in names)
        assert not (train & validation or train & test or validation & test)
