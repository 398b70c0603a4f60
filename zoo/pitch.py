"""How periodic a frame is, and at what rate: what ears listen for and a vocoder needs, beside the spectrum."""

import numpy as np
import tensorflow as tf

from datasets.dialogue import FRAMES_PER_SECOND

LOWEST_HZ, HIGHEST_HZ = 70.0, 400.0
# A train of pulses has a rate in whole parts of a hertz, and so a phase in whole parts of a period that no rounding
# moves: what adds up would part one build of a graph from the next.
PARTS_OF_A_HERTZ = 4
# Of half a period or less, so that a multiple of a period is not taken for it (Boersma 1993, section 4).
_OCTAVE_COST = 0.05
VOICED = 0.5
LEAST_POWER = 1e-9
# A period is no whole number of samples: what changes within a sample or two would not be found again.
SMOOTH_HZ = 1000.0


def track(audio: tf.Tensor, sample_rate: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Of each frame and the one before it, by the autocorrelation that its window's own divides (Boersma 1993).

    Args:
        audio: float32 [batch, (1 + frames) * hop]; a frame of the past, then the frames.
        sample_rate: Hz.

    Returns:
        voiced float32 [batch, frames] of 0 and 1, and Hz [batch, frames], of use where it is voiced.
    """
    hop = sample_rate // FRAMES_PER_SECOND
    window = np.hanning(2 * hop + 1)[:-1].astype(np.float32)
    length = 2 ** int(np.ceil(np.log2(4 * hop)))
    lags, cost = periods(sample_rate)
    frames = tf.signal.frame(audio, 2 * hop, hop)
    frames -= tf.reduce_mean(frames, axis=-1, keepdims=True)
    smooth = (np.fft.rfftfreq(length, 1.0 / sample_rate) < SMOOTH_HZ).astype(np.float32)
    found = _autocorrelation(frames * window, length, smooth)
    shape = _autocorrelation(tf.constant(window), length, 1.0)
    power = found[..., :1] / shape[0] + LEAST_POWER
    found = tf.gather(found, lags, axis=-1) / tf.gather(shape, lags) / power
    best = tf.argmax(found - cost, axis=-1, output_type=tf.int32)
    strength = tf.gather(found, best, batch_dims=2)
    return tf.cast(strength > VOICED, tf.float32), tf.gather((sample_rate / lags).astype(np.float32), best)


def periods(sample_rate: int) -> tuple[np.ndarray, np.ndarray]:
    """The periods of a voice in samples, and what each costs: int and float32 [lags]."""
    lags = np.arange(int(np.ceil(sample_rate / HIGHEST_HZ)), int(sample_rate / LOWEST_HZ) + 1)
    return lags, (_OCTAVE_COST * np.log2(lags / lags[0])).astype(np.float32)


def pulses(hz: tf.Tensor, phase: tf.Tensor, samples: int, sample_rate: int) -> tuple[tf.Tensor, tf.Tensor]:
    """A train of pulses of unit power without partials above half the sample rate.

    Args:
        hz: [batch], within `LOWEST_HZ` and `HIGHEST_HZ`; rounded to a quarter.
        phase: [batch], in periods, where the sound before ended.
        samples: int.
        sample_rate: Hz.

    Returns:
        [batch, samples], phase.
    """
    partials, period = tf.range(1.0, sample_rate / 2.0 / LOWEST_HZ), float(PARTS_OF_A_HERTZ * sample_rate)
    parts = tf.round(PARTS_OF_A_HERTZ * hz)
    hz = parts / PARTS_OF_A_HERTZ
    at = tf.round(period * phase)[:, None] + parts[:, None] * tf.range(1.0, samples + 1.0)
    at = tf.math.floormod(at, period) / period
    # The last partial fades: a rate that wavers switches none on.
    share = tf.clip_by_value((sample_rate / 2.0 - partials * hz[:, None]) / hz[:, None], 0.0, 1.0)
    sound = tf.reduce_sum(tf.cos(2.0 * np.pi * at[..., None] * partials) * share[:, None], axis=-1)
    sound *= tf.sqrt(2.0 / tf.reduce_sum(tf.square(share), axis=-1, keepdims=True))
    return sound, at[:, -1]


def _autocorrelation(x, length, shares):
    power = shares * tf.square(tf.abs(tf.signal.rfft(x, [length])))
    return tf.signal.irfft(tf.cast(power, tf.complex64), [length])
