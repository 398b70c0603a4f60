"""The partner's pitch and loudness at the end of what was heard last, which tell whether there is more to come.

Each is a mean over the last frames that had it, against the speaker's own mean so far, and it is kept through the
silence behind it: there the decision falls. After Gravano & Hirschberg 2011, section 4: final pitch slope, level of
pitch and of intensity are turn-yielding cues.
"""

import tensorflow as tf

from zoo import pitch
from zoo.layers import running_max

N_FEATURES = 5
LAST_FRAMES, EARLIER_FRAMES = 5, 8
_PAST_FRAMES = LAST_FRAMES + EARLIER_FRAMES - 1
# Where sums over frames lie, each with the number of frames behind it.
_PITCH, _LEVEL = 0, 2
LARGEST = 2.0
DB_PER_UNIT = 10.0


def initial_state(batch) -> dict:
    """Before anything was heard."""
    return {
        "recent": tf.zeros([batch, _PAST_FRAMES, 4]),
        "sums": tf.zeros([batch, 4]),
        "held": tf.zeros([batch, N_FEATURES - 1]),
    }


def follow(audio, past, level_db, speech, sample_rate: int, state: dict) -> tuple[tf.Tensor, dict]:
    """Prosody of one channel, frame by frame.

    Args:
        audio: float32 [batch, frames * hop].
        past: float32 [batch, hop], the frame before.
        level_db: float32 [batch, frames], of each frame.
        speech: bool [batch, frames].
        sample_rate: Hz.
        state: as `initial_state` gives and as returned.

    Returns:
        float32 [batch, frames, 5]: pitch against the mean so far and its rise over the last 0.2 s (octaves), level
        against the mean so far and its rise (10 dB), and whether this frame is voiced; state.
    """
    periodic, hz = pitch.track(tf.concat([past, audio], axis=1), sample_rate)
    spoken = tf.cast(speech, tf.float32)
    voiced = periodic * spoken
    octave = tf.math.log(hz) / tf.math.log(2.0)
    now = tf.stack([voiced * octave, voiced, spoken * level_db / DB_PER_UNIT, spoken], axis=-1)
    frames = tf.shape(now)[1]
    heard = tf.concat([state["recent"], now], axis=1)
    earlier = _window(heard, 0, EARLIER_FRAMES, frames)
    last = _window(heard, EARLIER_FRAMES, LAST_FRAMES, frames)
    total = state["sums"][:, None] + tf.cumsum(now, axis=1)
    values = []
    for at in (_PITCH, _LEVEL):
        rise = tf.where(earlier[..., at + 1] > 0, _mean(last, at) - _mean(earlier, at), 0.0)
        values += [_mean(last, at) - _mean(total, at), rise]
    values = tf.clip_by_value(tf.stack(values, axis=-1), -LARGEST, LARGEST)
    pitched = _held(values[..., :2], voiced > 0, state["held"][:, :2])
    loud = _held(values[..., 2:], speech, state["held"][:, 2:])
    held = tf.concat([pitched, loud], axis=-1)
    recent = tf.ensure_shape(heard[:, -_PAST_FRAMES:], state["recent"].shape)
    after = {"recent": recent, "sums": total[:, -1], "held": held[:, -1]}
    return tf.concat([held, voiced[..., None]], axis=-1), after


def _window(heard, start: int, length: int, frames):
    return tf.add_n([heard[:, start + i : start + i + frames] for i in range(length)])


def _mean(sums, at: int):
    return tf.math.divide_no_nan(sums[..., at], sums[..., at + 1])


def _held(values, valid, before):
    """The latest value that was valid: [batch, frames, n], bool [batch, frames], [batch, n]."""
    place = running_max(tf.where(valid, tf.range(tf.shape(valid)[1])[None] + 1, 0))
    return tf.gather(tf.concat([before[:, None], values], axis=1), place, batch_dims=1)
