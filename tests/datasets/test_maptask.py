import re

import numpy as np
import pytest

from datasets import corpora
from datasets.corpora import maptask
from datasets.errors import InputError

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


def open_maptask(folder):
    return maptask.MapTask(corpora.Options(data_dir=folder))


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


def test_entities_are_not_expanded(archive):
    path = archive / "Data" / "timed-units" / "q1ec1.f.timed-units.xml"
    path.write_text('<!DOCTYPE a [<!ENTITY x "boom">]>\n<a>&x;</a>')
    with pytest.raises(InputError, match="not whole XML"):
        open_maptask(archive).load("q1ec1")


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


def test_the_real_corpus(maptask_dir):
    corpus = open_maptask(maptask_dir)
    assert [len(corpus.names(split)) for split in ("train", "validation", "test")] == [80, 16, 32]
    dialogue = corpus.load("q4nc1")
    assert dialogue.split == "test" and dialogue.info["quad"] == 4 and not dialogue.info["eye_contact"]
    # Two words of it have no length.
    assert all(word.end > word.start for channel in dialogue.words for word in channel)
