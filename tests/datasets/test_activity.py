import numpy as np
import pytest

from datasets import activity
from datasets.dialogue import Word
from datasets.errors import InputError

RATE = 8000
BURSTS = np.array([[0.5, 1.0], [1.404, 2.713], [4.02, 4.12], [6.0, 8.0]])


def _channel(intervals, seconds=10.0, seed=0, burst_db=-23.0, room_db=-65.0, rate=RATE):
    """White noise in the intervals, room tone between."""
    times = np.arange(round(seconds * rate)) / rate
    loud = ((times[:, None] >= intervals[:, 0]) & (times[:, None] < intervals[:, 1])).any(axis=1)
    level = 10 ** (np.where(loud, burst_db, room_db) / 20)
    return (level * np.random.default_rng(seed).standard_normal(len(times))).astype(np.float32)


@pytest.mark.parametrize("rate", [8000, 16000, 20000, 44100])
@pytest.mark.parametrize("burst_db", [-12.0, -23.0, -35.0])
def test_bursts_are_found_with_edges_within_20_ms(rate, burst_db):
    found = activity.detect(_channel(BURSTS, burst_db=burst_db, rate=rate), rate)
    assert found.shape == BURSTS.shape
    np.testing.assert_allclose(found, BURSTS, atol=0.020)


def test_room_tone_and_digital_zero_give_nothing():
    assert activity.detect(_channel(np.zeros((0, 2))), RATE).shape == (0, 2)
    assert activity.detect(np.zeros(RATE, np.float32), RATE).shape == (0, 2)
    assert activity.detect(np.zeros(0, np.float32), RATE).shape == (0, 2)


def test_one_short_word_in_ten_minutes_is_heard():
    word = np.array([[300.0, 300.2]])
    np.testing.assert_allclose(activity.detect(_channel(word, seconds=600.0), RATE), word, atol=0.020)


def test_level_of_the_whole_channel_does_not_matter():
    audio = _channel(BURSTS)
    np.testing.assert_array_equal(activity.detect(audio, RATE), activity.detect(0.5 * audio, RATE))


def test_clicks_are_not_speech_and_closures_do_not_end_it():
    clicks = np.array([[1.0, 1.005], [2.0, 3.0], [3.015, 4.0]])
    np.testing.assert_allclose(activity.detect(_channel(clicks), RATE), [[2.0, 4.0]], atol=0.020)


def test_hangover_moves_the_ends_only():
    audio = _channel(BURSTS)
    plain, longer = activity.energy(audio, RATE), activity.energy(audio, RATE, hangover_seconds=0.04)
    np.testing.assert_allclose(longer - plain, np.tile([0, 0.04], (len(BURSTS), 1)), atol=1e-9)


def test_speech_up_to_the_end_of_the_channel():
    found = activity.detect(_channel(np.array([[9.0, 10.0]])), RATE)
    assert found[0, 1] <= 10.0
    np.testing.assert_allclose(found, [[9.0, 10.0]], atol=0.020)


def test_unknown_detector_and_two_channels_are_refused():
    with pytest.raises(InputError, match="the choices are silero, energy, annotations"):
        activity.detect(np.zeros(10), RATE, "ears")
    with pytest.raises(InputError, match=r"\[samples\], not \(2, 10\)"):
        activity.detect(np.zeros((2, 10)), RATE)


def test_frame_levels():
    audio = np.concatenate([np.full(160, 0.1), np.zeros(160), np.full(100, 1.0)])
    levels = activity.frame_levels_db(np.stack([audio, -audio]), RATE)
    np.testing.assert_allclose(levels, [[-20.0, activity.SILENCE_DB]] * 2, atol=1e-3)


def test_calibrate_is_perfect_on_the_truth():
    found = activity.calibrate(BURSTS, BURSTS, 10.0)
    assert (found.onset_bias_ms, found.offset_bias_ms, found.matched_edges) == (0.0, 0.0, 1.0)
    assert (found.missed_seconds, found.false_alarm_seconds, found.frame_accuracy) == (0.0, 0.0, 1.0)


def test_calibrate_measures_a_known_bias():
    found = activity.calibrate(BURSTS + [0.03, 0.08], BURSTS, 10.0)
    assert found.onset_bias_ms == pytest.approx(30.0)
    assert found.offset_bias_ms == pytest.approx(80.0)
    assert found.missed_seconds == pytest.approx(4 * 0.03, abs=0.041)
    assert found.false_alarm_seconds == pytest.approx(4 * 0.08, abs=0.041)


def test_calibrate_counts_what_is_missed_and_what_is_made_up():
    missed = activity.calibrate(BURSTS[:2], BURSTS, 10.0)
    assert missed.missed_seconds == pytest.approx(2.1, abs=0.021) and missed.false_alarm_seconds == 0
    assert missed.matched_edges == 0.5
    made_up = activity.calibrate(BURSTS, BURSTS[:2], 10.0)
    assert made_up.false_alarm_seconds == pytest.approx(2.1, abs=0.021) and made_up.missed_seconds == 0
    nothing = activity.calibrate(np.zeros((0, 2)), BURSTS, 10.0)
    assert np.isnan(nothing.onset_bias_ms) and nothing.matched_edges == 0.0
    assert nothing.missed_seconds == pytest.approx((BURSTS[:, 1] - BURSTS[:, 0]).sum(), abs=0.041)


def test_energy_is_calibrated_on_voiced_speech():
    voices = pytest.importorskip("datasets.corpora.voices")
    pytest.importorskip("espeakng_loader")
    words, edge = [], 0.5
    for i, text in enumerate("go down past the old mill and then left to the bridge stop there".split()):
        words.append(Word(edge, edge + 0.3, text))
        edge += 0.3 + 0.5 * (i % 3 == 2)
    truth = np.array([(word.start, word.end) for word in words])
    audio = voices.speak(words, edge + 1, voices.voice_for("a"), RATE, np.random.default_rng(0))
    found = activity.calibrate(activity.detect(audio, RATE), truth, edge + 1)
    assert abs(found.onset_bias_ms) <= 20 and abs(found.offset_bias_ms) <= 20
    assert found.matched_edges == 1.0 and found.frame_accuracy > 0.97
