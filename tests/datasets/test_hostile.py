"""Every reader, fed with damaged files: it reads them or says in one line what is wrong, within a second."""

import time

import numpy as np
import pytest

from datasets import annotations, audio, corpora, hazard
from datasets.corpora import maptask, switchboard
from datasets.errors import InputError
from tests.datasets import test_annotations, test_audio, test_maptask, test_switchboard

_DAMAGES = 150
_NASTY = [
    b"\0",
    b"\xff" * 8,
    b"9" * 400,
    b"-1",
    b"nan",
    b"inf",
    b"1e999",
    b'"',
    b"<",
    b"\n",
    b"\t",
    b"\xef\xbb\xbf",
    b"../",
]


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """Cut short, with a byte changed, a piece repeated or lost, or something nasty put in."""
    place, other = sorted(rng.integers(0, len(content) + 1, 2).tolist())
    kind = rng.integers(5)
    if kind == 0:
        return content[:place]
    if kind == 1:
        return content[:place] + bytes(rng.integers(0, 256, 1, np.uint8)) + content[place + 1 :]
    if kind == 2:
        return content[:place] + content[place:other] * 2 + content[other:]
    if kind == 3:
        return content[:place] + content[other:]
    return content[:place] + _NASTY[rng.integers(len(_NASTY))] + content[place:]


def _rttm() -> bytes:
    return test_annotations._write_rttm([("left", 0.5, 1.25), ("right", 1.0, 2.0)]).encode()


def _table(tmp_path) -> bytes:
    hazard.save_tables(tmp_path / "whole.json", {"giver": hazard.maptask_tables()["giver"]}, {"corpus": "x"})
    return (tmp_path / "whole.json").read_bytes()


SUBJECTS = {
    "a.TextGrid": (lambda _: test_annotations.LONG.encode(), lambda path: annotations.read_intervals(path, 10)),
    "b.TextGrid": (lambda _: test_annotations.SHORT.encode("utf-16"), annotations.read_intervals),
    "a.rttm": (lambda _: _rttm(), lambda path: annotations.read_intervals(path, 10)),
    "a.csv": (lambda _: b"start;end;channel;text\n0,5;1,25;left;hi\n2;3;right;ho\n", annotations.read_intervals),
    "a.txt": (lambda _: b"0.5\t1.0\tleft\n2\t3\tright\n", annotations.read_intervals),
    "a.xml": (lambda _: test_maptask.ROOT.format(test_maptask.GIVER).encode(), maptask._units),
    "a.text": (lambda _: test_switchboard.SIDE_A.encode(), switchboard._read_side),
    "call_con_tab.csv": (lambda _: b'2001, "A", 1000, 1\n2001, "B", 1001, 1\n', switchboard._read_calls),
    "caller_tab.csv": (lambda _: b'1000, 1, "N", "MALE", 1960\n', switchboard._read_people),
    "a.json": (_table, hazard.load_tables),
    "a.wav": (lambda _: test_audio.wav_bytes(), audio.read_wav),
    "a.flac": (lambda _: test_audio.flac_bytes(100), audio.read_wav),
    "a.sph": (lambda _: test_audio.sphere_bytes(), audio.read_wav),
}


@pytest.mark.parametrize("name", SUBJECTS)
def test_damaged_files_are_read_or_refused(tmp_path, name):
    make, read = SUBJECTS[name]
    content, path = make(tmp_path), tmp_path / name
    path.write_bytes(content)
    read(path)
    rng = np.random.default_rng(list(name.encode()))
    refused = 0
    for _ in range(_DAMAGES):
        path.write_bytes(damaged(content, rng))
        began = time.monotonic()
        try:
            read(path)
        except InputError as error:
            refused += 1
            assert str(path) in str(error) and "\n" not in str(error), path.read_bytes()
        assert time.monotonic() - began < 1
    assert refused > 0


@pytest.mark.parametrize("corpus", ["maptask", "maptask-voiced", "stereo", "switchboard", "switchboard-voiced"])
@pytest.mark.parametrize("kind", ["none", "missing", "empty", "file", "device"])
def test_no_corpus_there_is_one_line(tmp_path, monkeypatch, corpus, kind):
    monkeypatch.delenv("MAPTASK_DIR", raising=False)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    folder = {"none": None, "device": "/dev/null"}.get(kind, tmp_path / kind)
    with pytest.raises(InputError, match="data_dir") as caught:
        corpora.open_corpus(corpus, data_dir=folder)
    assert "\n" not in str(caught.value)
