"""Intonation by dialogue moves, and the glide of pitch at the end of a breath."""

import librosa
import numpy as np
import pytest

from datasets.corpora.prosody import Intonation, Intonations, Move, glide
from datasets.dialogue import Word

RATE = 8000
WORDS = [Word(0.0, 0.4, "go"), Word(0.4, 1.0, "left")]


def tone(seconds, hz=200.0):
    return (0.3 * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


@pytest.mark.parametrize(("label", "mark", "rises"), [("instruct", ".", -1), ("query_yn", "?", 1), ("ready", ",", 0)])
def test_the_end_of_a_move_is_said_as_its_kind_asks(label, mark, rises):
    found = Intonations([Move(0.0, 1.0, label)]).of(WORDS)
    assert found.mark == mark and np.sign(found.glide_octaves) == rises
    assert (found.fall_db > 0) == (mark == ".")


def test_within_a_move_the_pitch_stays_level_and_declines_from_breath_to_breath():
    intonations = Intonations([Move(0.0, 5.0, "query_yn")])
    breaths = [[Word(start, start + 1.0, "x")] for start in (0.0, 2.0, 4.0)]
    first, middle, last = (intonations.of(breath) for breath in breaths)
    assert [each.mark for each in (first, middle, last)] == [",", ",", "?"]
    assert first.pitch > middle.pitch > last.pitch and first.glide_octaves == middle.glide_octaves == 0.0


def test_words_in_no_move_are_said_plainly():
    assert Intonations().of(WORDS) == Intonations([Move(3.0, 4.0, "explain")]).of(WORDS) == Intonation()


@pytest.mark.parametrize("octaves", [-0.35, 0.45])
def test_pitch_glides_at_the_end_alone_as_librosa_hears_it(octaves):
    sound, marks = glide(tone(1.5), np.array([0, RATE, round(1.5 * RATE)]), octaves, RATE)
    hz = librosa.yin(sound, fmin=100, fmax=400, sr=RATE, frame_length=256, hop_length=80, center=False)
    early, late = np.median(hz[: RATE // 80]), np.median(hz[-2:])
    assert early == pytest.approx(200.0, rel=0.01)
    assert np.log2(late / early) == pytest.approx(octaves, abs=0.1)
    assert marks[0] == 0 and marks[1] == RATE and marks[2] == len(sound)
    assert (len(sound) < 1.5 * RATE) == (octaves > 0)


def test_no_glide_changes_nothing():
    before, marks = tone(1.0), np.array([0, 100, RATE])
    sound, moved = glide(before, marks, 0.0, RATE)
    np.testing.assert_allclose(sound, before, atol=1e-6)
    np.testing.assert_array_equal(moved, marks)
