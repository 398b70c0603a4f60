"""Guards on sounds that have what they look for, and replay."""

import numpy as np
import pytest

from eval.audio import damages, fingerprint, guards

RATE = 8000
FINE = {
    "speech_share": 0.3,
    "clipped_share": 0.0,
    "digital_silence": 0.0,
    "tone_share": 0.1,
    "level_range": 30.0,
    "replayed": 0.0,
}


def noise(seconds, seed=0):
    return (0.1 * np.random.default_rng(seed).standard_normal(round(seconds * RATE))).astype(np.float32)


def speechlike(seconds, seed):
    """Noise whose spectrum changes every 100 ms."""
    rng, pieces = np.random.default_rng(seed), []
    for _ in range(round(seconds / 0.1)):
        spectrum = np.fft.rfft(rng.standard_normal(RATE // 10))
        shape = np.interp(np.arange(len(spectrum)), np.linspace(0, len(spectrum), 12), rng.uniform(0, 1, 12) ** 3)
        pieces.append(np.fft.irfft(spectrum * shape))
    return (0.1 * np.concatenate(pieces) / np.std(pieces)).astype(np.float32)


def test_clipping():
    assert guards.clipped_share(noise(1.0), RATE) == 0
    driven = np.clip(20 * noise(1.0), -1, 1)
    assert guards.clipped_share(driven, RATE) > 0.05
    assert guards.clipped_share(np.array([0.0, 1.0, 0.0, -1.0, 0.0], np.float32), RATE) == 0
    assert guards.clipped_share(np.ones(1, np.float32), RATE) == 0


def test_digital_silence():
    half = np.concatenate([noise(1.0), np.zeros(RATE, np.float32)])
    assert guards.digital_silence_share(half, RATE) == pytest.approx(0.5)
    assert guards.digital_silence_share(np.full(RATE, 0.3, np.float32), RATE) == 1


def test_tone_and_constant_sound():
    tone = np.sin(2 * np.pi * 300 * np.arange(RATE * 2) / RATE).astype(np.float32)
    assert guards.tone_share(tone, RATE) > 0.95 and guards.level_range_db(tone, RATE) < 1
    assert guards.tone_share(noise(2.0), RATE) < 0.05 and guards.level_range_db(noise(2.0), RATE) < 6
    swelling = noise(2.0) * np.linspace(0.01, 1, 2 * RATE, dtype=np.float32)
    assert guards.level_range_db(swelling, RATE) > 15


def test_flags_are_read_beside_humans():
    assert guards.flags(FINE, FINE) == []
    for name, value, said in (
        ("speech_share", 0.01, "silence: speaks 1.0% of the time, humans 30.0%"),
        ("clipped_share", 0.02, "clipped: 2.00%"),
        ("digital_silence", 0.5, "digital silence: 50%"),
        ("tone_share", 0.9, "a tone: 90%"),
        ("level_range", 2.0, "a constant sound"),
        ("replayed", 0.4, "replay: 40%"),
    ):
        (flag,) = guards.flags(FINE | {name: value}, FINE)
        assert flag.startswith(said)
        assert guards.flags(FINE | {name: value}, FINE | {name: value}) == []
    nothing = dict.fromkeys(FINE, np.nan) | {"speech_share": 0.0}
    assert len(guards.flags(nothing, FINE)) == 1


def test_replay_is_found_and_new_speech_is_not():
    learnt = [speechlike(20.0, seed) for seed in range(3)]
    index = fingerprint.Index(np.concatenate([fingerprint.bits(each, RATE) for each in learnt]))
    whole = np.array([[0.0, 6.0]])
    copied = learnt[1][1234 : 1234 + 6 * RATE]
    assert index.replayed(fingerprint.blocks(copied, RATE, whole)) == 1
    coded = damages.noise(20)(damages.mu_law(8)(copied, RATE, None), RATE, np.random.default_rng(0))
    assert index.replayed(fingerprint.blocks(coded, RATE, whole)) > 0.8
    assert index.replayed(fingerprint.blocks(speechlike(6.0, 99), RATE, whole)) == 0
    assert np.isnan(index.replayed(fingerprint.blocks(copied, RATE, np.zeros((0, 2)))))


def test_lookup_is_the_search_through_all_places():
    rng = np.random.default_rng(0)
    learnt = rng.integers(0, 1 << 16, 3000).astype(np.uint16)
    block = learnt[700:750] ^ np.where(rng.random(50) < 0.3, 1 << 3, 0).astype(np.uint16)
    places = np.lib.stride_tricks.sliding_window_view(learnt, 50)
    slowly = min(sum(int(a ^ b).bit_count() for a, b in zip(place, block, strict=True)) for place in places)
    assert fingerprint.Index(learnt).difference(block) == pytest.approx(slowly / 800)


def test_blocks_lie_within_speech():
    audio = noise(5.0)
    assert fingerprint.blocks(audio, RATE, np.array([[0.5, 2.7], [3.0, 3.9]])).shape == (2, 50)
    assert not len(fingerprint.bits(audio[:100], RATE))
