"""Random numbers that are a function of where they are used: seed, stream, frame, row and unit.

Layers that draw while they run - the prenet's dropout, zoneout - then draw the same whether frames come one at a time
or all at once, and a seed says it all.
"""

import numpy as np
import tensorflow as tf

from zoo.layers import hashed_uniform

# Keeps the streams of a seed from those of the next.
APART = np.uint32(0x9E3779B9)


def uniform(state: dict, stream: int, frames, batch, units: int) -> tf.Tensor:
    """Numbers in [0, 1), float32 [batch, frames, units].

    Args:
        state: "seed" and "frame", the number of the first frame; both int32 [].
        stream: int. One for each use.
        frames, batch, units: sizes.
    """
    where = (state["frame"] + tf.range(frames))[None, :, None], tf.range(batch)[:, None, None], tf.range(units)
    return hashed_uniform(tf.cast(state["seed"], tf.uint32) + tf.cast(stream, tf.uint32) * APART, *where)


def after(state: dict, frames) -> dict:
    """The state once so many frames have drawn."""
    return {**state, "frame": state["frame"] + frames}


def reseeded(state: dict, seed) -> dict:
    return {**state, "seed": tf.cast(seed, tf.int32)}


def start() -> dict:
    """The state before the first frame."""
    return {"seed": tf.zeros([], tf.int32), "frame": tf.zeros([], tf.int32)}
