"""espeak-ng by ctypes."""

import sys

import numpy as np
import pytest

from datasets.corpora import espeak
from datasets.errors import InputError

needs_espeak = pytest.mark.skipif(not espeak.available(), reason="espeakng-loader is not installed")
VOICE = "en-gb-scotland+m3"


@needs_espeak
def test_a_text_sounds_the_same_whatever_was_said_before():
    first, starts = espeak.say(["go", "round", "the", "mill"], VOICE)
    espeak.say(["something", "else"], "en-gb-scotland+f2", pitch=70)
    again, starts_again = espeak.say(["go", "round", "the", "mill"], VOICE)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(starts, starts_again)


@needs_espeak
def test_every_word_has_its_own_start_even_those_run_together():
    # espeak reports one event for "of the" and two for "uh huh".
    words = ["the", "top", "of", "the", "old", "mill", "uh huh", "mm hmm", "25", "right"]
    audio, starts = espeak.say(words, VOICE)
    assert starts[0] == 0
    assert (np.diff(starts) > 0.04 * espeak.SAMPLE_RATE).all()
    assert len(audio) - starts[-1] > 0.1 * espeak.SAMPLE_RATE


@needs_espeak
def test_rate_and_pitch_are_heard():
    slow, _ = espeak.say(["go", "round", "the", "mill"], VOICE, rate=120)
    fast, _ = espeak.say(["go", "round", "the", "mill"], VOICE, rate=360)
    assert 2.5 < len(slow) / len(fast) < 3.5
    low, _ = espeak.say(["go"], VOICE, pitch=20)
    high, _ = espeak.say(["go"], VOICE, pitch=80)
    assert not np.array_equal(low, high)


@needs_espeak
def test_an_unknown_voice_is_refused():
    with pytest.raises(ValueError, match="no voice 'klingon-x'"):
        espeak.say(["go"], "klingon-x")


def test_without_espeak_one_line_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    espeak.version.cache_clear()
    assert not espeak.available()
    with pytest.raises(InputError, match=r"pip install 'babblezoo\[voices\]'") as caught:
        espeak.say(["go"], VOICE)
    assert "\n" not in str(caught.value)
