"""Words at their times, in voices that differ."""

import librosa
import numpy as np
import pytest

from datasets import dialogue as dialogue_lib
from datasets.corpora import espeak, voices
from datasets.dialogue import Word

pytestmark = pytest.mark.skipif(not espeak.available(), reason="espeakng-loader is not installed")

RATE = 8000
SENTENCE = "go round the top of the old mill and then turn left at the stone bridge".split()


def chain(texts, start, seconds, gap=0.0):
    """Words of `seconds` each with `gap` seconds between them."""
    return [Word(start + i * (seconds + gap), start + i * (seconds + gap) + seconds, t) for i, t in enumerate(texts)]


def speak(words, duration, speaker="someone", rate=RATE, seed=0, gender=None):
    return voices.speak(words, duration, voices.voice_for(speaker, gender, seed), rate, voices.generator("room", seed))


def sounding(audio, rate=RATE):
    """Whether the 5 ms around each sample are within 35 dB of the loudest speech."""
    level = np.sqrt(np.convolve(audio**2, np.full(rate // 200, 200 / rate), "same"))
    return level > np.percentile(level, 99.5) * 10 ** (-35 / 20)


def assert_edges_hold(words, audio, rate, tolerance=0.020):
    loud = sounding(audio, rate)
    for word in words:
        around = slice(int((word.start - 0.04) * rate), int((word.end + 0.04) * rate))
        heard = np.flatnonzero(loud[around]) / rate + around.start / rate
        assert abs(heard[0] - word.start) < tolerance, word
        assert abs(heard[-1] - word.end) < tolerance, word


@pytest.mark.parametrize("rate", [8000, 16000, 20000])
@pytest.mark.parametrize("speaker", ["one", "two", "three"])
def test_word_edges_hold_within_20_ms(rate, speaker):
    # 90 ms apart: one breath group, yet each edge can be heard.
    words = chain(SENTENCE, 0.3, 0.26, gap=0.09)
    assert_edges_hold(words, speak(words, 6.0, speaker, rate), rate)


@pytest.mark.parametrize("seconds", [0.022, 0.05, 0.12, 0.9, 3.0])
def test_edges_hold_for_words_of_any_length(seconds):
    words = chain(["okay", "right", "seven", "the", "three"], 0.3, seconds, gap=0.5)
    duration = words[-1].end + 0.3
    loud = sounding(speak(words, duration))
    assert_edges_hold(words, speak(words, duration), RATE)
    inside = np.concatenate([loud[int(w.start * RATE) : int(w.end * RATE)] for w in words])
    assert inside.mean() > 0.7


@pytest.mark.parametrize(
    "token",
    ["--", "g--", "--boks", "mmhmm", "uh-huh", "25", "[laugh]", '"e"', "o'clock", "o\u2019clock", "", "\u65e5\u672c"],
)
def test_odd_tokens_sound(token):
    words = [Word(0.2, 0.5, token), Word(1.0, 1.3, "right")]
    loud = sounding(speak(words, 1.5))
    assert loud[int(0.2 * RATE) : int(0.5 * RATE)].mean() > 0.4
    assert_edges_hold(words, speak(words, 1.5), RATE)


def test_one_voice_and_seed_give_identical_samples():
    words = chain(SENTENCE, 0.2, 0.2)
    first = speak(words, 4.0, seed=3)
    speak(words, 4.0, "another")
    np.testing.assert_array_equal(speak(words, 4.0, seed=3), first)
    assert not np.array_equal(speak(words, 4.0, seed=4), first)


def test_speakers_differ_and_genders_show():
    def f0_hz(speaker, gender):
        audio = speak(chain(SENTENCE, 0.2, 0.25), 4.5, speaker, gender=gender)
        f0, _, _ = librosa.pyin(audio, fmin=60, fmax=400, sr=RATE, frame_length=512)
        return np.nanmedian(f0)

    men = [f0_hz(f"speaker {i}", "m") for i in range(4)]
    women = [f0_hz(f"speaker {i}", "f") for i in range(4)]
    assert max(men) < 145 < min(women)
    assert min(np.diff(sorted(men + women))) > 0.3
    assert len({voices.voice_for(f"speaker {i}") for i in range(64)}) == 64


def test_level_and_length_and_no_clipping():
    for speaker in ("one", "two", "three"):
        words = chain(SENTENCE, 0.2, 0.25)
        audio = speak(words, 4.3217, speaker)
        assert audio.dtype == np.float32
        assert audio.shape == (round(4.3217 * RATE),)
        assert np.abs(audio).max() < 0.98
        active = audio[int(words[0].start * RATE) : int(words[-1].end * RATE)]
        assert 20 * np.log10(active.std()) == pytest.approx(voices.SPEECH_DBFS, abs=2.1)


def test_room_tone_is_everywhere_and_no_digital_zero():
    silence = speak([], 5.0)
    assert 20 * np.log10(silence.std()) == pytest.approx(voices.ROOM_TONE_DBFS, abs=0.5)
    quantised = np.round(silence * 32767).reshape(-1, RATE // 100)
    assert (np.abs(quantised).max(axis=1) > 0).all()


def test_energy_finds_the_breaths():
    texts = [["okay"], SENTENCE, ["mmhmm"], ["have", "you", "got", "a", "bakery"], ["uh-huh", "right"]]
    words, start = [], 0.5
    for group in texts:
        words += chain(group, start, 0.23)
        start = words[-1].end + 0.6
    audio = speak(words, start)
    truth = dialogue_lib.activity(dialogue_lib.bridge(np.array([(w.start, w.end) for w in words])), int(start * 50))
    frames = audio[: len(truth) * 160].reshape(-1, 160).std(axis=1)
    heard = frames > np.percentile(frames, 99) * 10 ** (-35 / 20)
    bridged = dialogue_lib.bridge(dialogue_lib.intervals_from_activity(heard))
    assert (dialogue_lib.activity(bridged, len(truth)) == truth).mean() > 0.97


def test_speech_without_words_is_mumbled():
    words = [Word(1.0, 1.3, "right"), Word(2.0, 2.2, "so")]
    speech = np.array([[0.2, 0.6], [1.0, 1.8], [2.0, 2.2]])
    filled = voices.with_mumbles(words, speech)
    assert [(w.start, w.end) for w in filled] == [(0.2, 0.6), (1.0, 1.3), (1.3, 1.8), (2.0, 2.2)]
    assert [w for w in filled if w.text in ("right", "so")] == words
    assert len(filled[2].text.split()) == 2


def test_words_that_overlap_the_next_are_cut_there():
    audio = speak([Word(0.2, 0.9, "well"), Word(0.5, 0.8, "right")], 1.5)
    assert not sounding(audio)[int(0.83 * RATE) :].any()
