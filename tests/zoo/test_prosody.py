"""What is heard of how the partner spoke, against sounds whose prosody is known."""

import numpy as np
import pytest
import tensorflow as tf

from zoo import hearing, prosody

RATE, HOP = 8000, 160
PITCH, RISE, LEVEL, LEVEL_RISE, VOICED = range(prosody.N_FEATURES)


def follow(audio, state=None):
    """Features [frames, n] of one channel [samples] from its start, and the state."""
    audio = tf.constant(np.asarray(audio, np.float32)[None])
    level_db = hearing.level_db(audio, RATE)
    state = prosody.initial_state(1) if state is None else state
    found, state = prosody.follow(audio, tf.zeros([1, HOP]), level_db, level_db > -50.0, RATE, state)
    return found.numpy()[0], state


def harmonic(octaves, level_db=0.0, seconds=1.0, base_hz=140.0):
    """A voice-like tone that glides by so many octaves and so many dB, each along a line over its last 0.3 s."""
    at = np.arange(round(seconds * RATE)) / RATE
    late = np.clip((at - seconds + 0.3) / 0.3, 0.0, 1.0)
    phase = 2 * np.pi * np.cumsum(base_hz * 2.0 ** (octaves * late)) / RATE
    return 0.1 * 10 ** (level_db * late / 20) * sum(np.cos(k * phase) / k for k in range(1, 6))


def spoken(octaves=0.0, level_db=0.0):
    room = 1e-4 * np.random.default_rng(0).standard_normal(RATE // 2)
    return np.concatenate([room, harmonic(0.0), room, harmonic(octaves, level_db), room])


@pytest.mark.parametrize("octaves", [-0.4, 0.4])
def test_a_glide_is_heard_and_kept_through_the_silence_behind_it(octaves):
    found, _ = follow(spoken(octaves))
    silence = found[-20:]
    assert np.ptp(silence[:, :VOICED], axis=0).max() == 0.0 and not silence[:, VOICED].any()
    assert np.sign(silence[0, RISE]) == np.sign(octaves) and abs(silence[0, RISE]) > 0.1
    assert np.sign(silence[0, PITCH]) == np.sign(octaves)


def test_a_fading_voice_is_heard_and_a_steady_one_is_even():
    fading, steady = (follow(spoken(level_db=db))[0][-1] for db in (-12.0, 0.0))
    assert fading[LEVEL_RISE] < -0.2 < steady[LEVEL_RISE] < 0.2
    assert abs(steady[RISE]) < 0.05 and abs(steady[PITCH]) < 0.1


def test_voiced_frames_are_told():
    voiced = follow(spoken())[0][:, VOICED]
    assert voiced[30:70].mean() > 0.9 and voiced[:24].sum() == 0


def test_a_loudness_of_its_own_is_not_heard():
    """Levels are against the speaker's own mean, so a microphone's gain cancels."""
    quiet, loud = (follow(gain * spoken(0.3, -6.0))[0][-1] for gain in (0.5, 1.0))
    np.testing.assert_allclose(quiet, loud, atol=0.05)


def test_in_pieces_it_is_the_same():
    audio = spoken(0.3, -6.0).astype(np.float32)
    whole, _ = follow(audio)
    state, parts, past = prosody.initial_state(1), [], np.zeros([1, HOP], np.float32)
    for a, b in ((0, 1), (1, 40), (40, len(audio) // HOP)):
        piece = audio[None, a * HOP : b * HOP]
        level_db = hearing.level_db(tf.constant(piece), RATE)
        part, state = prosody.follow(tf.constant(piece), tf.constant(past), level_db, level_db > -50.0, RATE, state)
        parts.append(part[0])
        past = piece[:, -HOP:]
    np.testing.assert_allclose(np.concatenate(parts), whole[: len(audio) // HOP], atol=1e-3)
