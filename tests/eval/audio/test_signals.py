"""What is let in, and the joined speech at one level."""

import numpy as np
import pytest

from datasets.errors import InputError
from eval.audio import damages, signals


@pytest.mark.parametrize(
    "audio, rate, said",
    [
        (np.zeros((2, 100)), 16000, r"one channel \[samples\] is meant and its shape is \(2, 100\)"),
        (np.zeros(0), 16000, "no samples"),
        (np.array([0.0, np.nan]), 16000, "not finite"),
        (np.array([0.0, -np.inf]), 16000, "not finite"),
        (np.zeros(9, np.int16), 16000, "divide by full scale"),
        (np.zeros(9), 4000, "4000 Hz is below 8000 Hz"),
    ],
)
def test_malformed_is_refused(audio, rate, said):
    with pytest.raises(InputError, match=said):
        signals.validate(audio, rate)


def test_speech_is_joined_with_ramps():
    audio = np.ones(1000, np.float32)
    joined = signals.join(audio, 8000, np.array([[0.0, 0.025], [0.05, 0.075]]))
    assert len(joined) == 400 and joined[0] == joined[199] == joined[200] == 0
    assert joined[60:140].min() == 1
    assert not len(signals.join(audio, 8000, np.zeros((0, 2))))


def test_level():
    rng = np.random.default_rng(0)
    quiet = (0.003 * rng.standard_normal(8000)).astype(np.float32)
    assert signals.level_db(signals.to_level(quiet)) == pytest.approx(signals.LEVEL_DB, abs=0.01)
    assert not len(signals.to_level(np.zeros(100, np.float32)))
    assert not len(signals.to_level(np.full(100, 1e-6, np.float32)))


@pytest.mark.parametrize("name", damages.DAMAGES)
def test_damage_keeps_length_and_is_seeded(name, buzz):
    audio = buzz(120, 1.013, 8000)
    first, again = (damages.DAMAGES[name](audio, 8000, np.random.default_rng(3)) for _ in range(2))
    assert first.shape == audio.shape and first.dtype == np.float32
    np.testing.assert_array_equal(first, again)
    assert (name == "clean") == np.array_equal(first, audio)


def test_noise_has_its_level(buzz):
    audio = buzz(120, 4.0)
    added = damages.noise(10)(audio, 16000, np.random.default_rng(0)) - audio
    assert signals.level_db(audio) - signals.level_db(added) == pytest.approx(10, abs=0.2)


def test_mu_law_has_so_many_levels(buzz):
    audio = buzz(120, 1.0)
    assert len(np.unique(damages.mu_law(4)(audio, 16000, None))) <= 16
    error = damages.mu_law(8)(audio, 16000, None) - audio
    assert signals.level_db(audio) - signals.level_db(error) > 30


def test_low_pass_and_reversal(buzz):
    audio = buzz(120, 1.0)
    low = damages.low_pass(1000)(audio, 16000, None)
    power = np.abs(np.fft.rfft(low)) ** 2
    assert power[1500:].sum() < 1e-5 * power.sum()
    np.testing.assert_array_equal(damages.reverse(damages.reverse(audio, 1, None), 1, None), audio)
    np.testing.assert_array_equal(np.sort(damages.shuffle(audio, 16000, np.random.default_rng(0))), np.sort(audio))


def test_shaped_noise_has_the_spectrum(buzz):
    rng = np.random.default_rng(0)
    low = damages.low_pass(1000)(rng.standard_normal(32000).astype(np.float32), 16000, rng)
    power = np.abs(np.fft.rfft(damages.speech_shaped_noise(low, 16000, rng))) ** 2
    assert power[: len(power) // 7].sum() > 0.95 * power.sum()
