"""What an agent hears and remembers of a dialogue at 50 Hz, frame by frame and causally.

For each 20 ms frame, beside the log-mel spectrum of `datasets.features`: whether it is speech (its level against one
threshold that the training corpus sets), and for how long both speakers have been in their present state. A pair of
states and ages is a *cell* of the hazard table (evaluation protocol, section 5).
"""

import numpy as np
import tensorflow as tf

from datasets import hazard
from datasets.dialogue import BRIDGE_SECONDS, FRAMES_PER_SECOND
from datasets.errors import InputError
from datasets.features import LOWEST_POWER
from zoo.layers import running_max

N_CELLS = 2 * hazard.N_AGES
_NOT_FINITE = "has samples that are not finite; was it read with the wrong sample format?"
LONG_AGO_FRAMES = 100 * FRAMES_PER_SECOND
BRIDGE_FRAMES = round(BRIDGE_SECONDS * FRAMES_PER_SECOND)


def level_db(audio: tf.Tensor, sample_rate: int) -> tf.Tensor:
    """RMS of each frame of [batch, frames * hop], dB below full scale, [batch, frames]."""
    hop = sample_rate // FRAMES_PER_SECOND
    frames = tf.reshape(audio, [tf.shape(audio)[0], -1, hop])
    return 10.0 / np.log(10.0) * tf.math.log(tf.reduce_mean(tf.square(frames), axis=-1) + LOWEST_POWER)


def frames_since(event: tf.Tensor, before: tf.Tensor) -> tf.Tensor:
    """Frames since `event` was last true; 0 where it is.

    Args:
        event: bool [batch, frames].
        before: int32 [batch], the count at the frame before the first.
    """
    index = tf.range(tf.shape(event)[1])[None, :]
    last = running_max(tf.where(event, index, tf.int32.min))
    return index - tf.maximum(last, -1 - before[:, None])


def own_ages(gate: tf.Tensor, gate_before: tf.Tensor, age_before: tf.Tensor) -> tf.Tensor:
    """Frames in the present state, the frame of a change counting as one: int32 [batch, frames].

    Args:
        gate: float [batch, frames] of 0 and 1.
        gate_before, age_before: [batch], the frame before the first.
    """
    previous = tf.concat([gate_before[:, None], gate[:, :-1]], axis=1)
    return frames_since(tf.not_equal(gate, previous), age_before - 1) + 1


def partner_ages(speech: tf.Tensor, quiet_before: tf.Tensor, spurt_before: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """How long the partner has been quiet, and how long ago the present or last spurt began.

    A spurt goes on over silences shorter than the bridge of an inter-pausal unit; an agent cannot know at the start
    of a silence whether it will be longer, so `quiet` starts to count at once.

    Args:
        speech: bool [batch, frames].
        quiet_before, spurt_before: int32 [batch], both at the frame before the first.

    Returns:
        quiet, spurt: int32 [batch, frames]; `quiet` is 0 in speech.
    """
    quiet = frames_since(speech, quiet_before)
    previous = tf.concat([quiet_before[:, None], quiet[:, :-1]], axis=1)
    onset = tf.logical_and(speech, previous >= BRIDGE_FRAMES)
    return quiet, frames_since(onset, spurt_before)


def bridged_gate(speech: tf.Tensor) -> tf.Tensor:
    """The speaking gate of a channel that is known whole: silences shorter than the bridge are speech.

    Args:
        speech: bool [batch, frames].

    Returns:
        float32 [batch, frames] of 0 and 1.
    """
    never = tf.fill([tf.shape(speech)[0]], LONG_AGO_FRAMES)
    since = frames_since(speech, never)
    until = frames_since(speech[:, ::-1], never)[:, ::-1]
    return tf.cast(since + until <= BRIDGE_FRAMES, tf.float32)


def cell(state: tf.Tensor, age_frames: tf.Tensor) -> tf.Tensor:
    """Index of (state, age bin) in [0, N_CELLS)."""
    edges = tf.constant(np.asarray(hazard.AGE_EDGES_SECONDS) * FRAMES_PER_SECOND, tf.float32)
    age_bin = tf.reduce_sum(tf.cast(tf.cast(age_frames, tf.float32)[..., None] >= edges, tf.int32), axis=-1)
    return tf.cast(state, tf.int32) * hazard.N_AGES + age_bin


def partner_cell(quiet: tf.Tensor, spurt: tf.Tensor) -> tf.Tensor:
    return cell(quiet == 0, tf.where(quiet == 0, spurt + 1, quiet))


def check_frame(frame, batch: int | None, sample_rate: int) -> None:
    """Raises `InputError` unless `frame` is [batch, samples of 20 ms]; outside a graph, also where it is not finite.

    Args:
        frame: what is heard of the partner.
        batch: of the state that goes with it, or None where a graph does not know it.
    """
    hop = sample_rate // FRAMES_PER_SECOND
    shape = frame.shape if hasattr(frame, "shape") else np.shape(frame)
    if len(shape) != 2 or shape[1] not in (hop, None):
        raise InputError(
            f"the partner's frame: shape {tuple(shape)}; must be [batch, {hop}], 20 ms at {sample_rate} Hz; another "
            f"rate?"
        )
    if None not in (batch, shape[0]) and shape[0] != batch:
        raise InputError(f"the partner's frame: a batch of {shape[0]}, and the state is of {batch}; from another call?")
    if isinstance(frame, np.ndarray) or not tf.is_symbolic_tensor(frame):
        check_finite(frame, "the partner's frame")


def check_finite(audio, what: str) -> None:
    """Raises `InputError` where what is known here is not finite."""
    if not np.isfinite(audio).all():
        raise InputError(f"{what} {_NOT_FINITE}")


def finite(audio: tf.Tensor, what: str) -> tf.Tensor:
    """`audio`; in a graph that runs on, an `InvalidArgumentError` where it is not finite. XLA leaves the check out."""
    return tf.debugging.check_numerics(audio, f"{what} {_NOT_FINITE}")


def checked_frame(frame: tf.Tensor, batch: tf.Tensor, sample_rate: int) -> tf.Tensor:
    """`check_frame` in a graph that is called with any shape: the frame, [batch, samples of 20 ms]."""
    hop, found = sample_rate // FRAMES_PER_SECOND, tf.shape(frame)
    frame = _given(frame, found[1] == hop, f"a frame of the partner must be [batch, {hop}], 20 ms at {sample_rate} Hz")
    frame = _given(frame, found[0] == batch, "a frame of the partner and the state are of different batches")
    return tf.ensure_shape(frame, [None, hop])


def same_batch(first: tf.Tensor, *others: tf.Tensor) -> tf.Tensor:
    """`first`; an `InvalidArgumentError` unless the others have as many rows."""
    for other in others:
        same = tf.shape(first)[0] == tf.shape(other)[0]
        first = _given(first, same, "prompts, partners, roles and voices must be as many of each")
    return first


def _given(value, condition, message: str):
    with tf.control_dependencies([tf.debugging.Assert(condition, [message])]):
        return tf.identity(value)
