"""Random numbers that are a function of where they are used: seed, stream, frame, row and unit.

Layers that draw while they run - the prenet's dropout, zoneout - then draw the same whether frames come one at a time
or all at once, and a seed says it all.
"""

import tensorflow as tf


def uniform(state: dict, stream: int, frames, batch, units: int) -> tf.Tensor:
    """Numbers in [0, 1), float32 [batch, frames, units].

    Args:
        state: "seed" and "frame", the number of the first frame; both int32 [].
        stream: int. One for each use.
        frames, batch, units: sizes.
    """
    mixed = _mix(_whole(state["seed"]) + _whole(stream) * _odd(0x9E3779B9))
    frame = _mix(mixed + _whole(state["frame"] + tf.range(frames)))[None, :, None]
    row = _mix(frame + _whole(tf.range(batch))[:, None, None])
    bits = _mix(row + _whole(tf.range(units)))
    return tf.cast(tf.bitwise.right_shift(bits, _odd(8)), tf.float32) * 2.0**-24


def after(state: dict, frames) -> dict:
    """The state once so many frames have drawn."""
    return {**state, "frame": state["frame"] + frames}


def reseeded(state: dict, seed) -> dict:
    return {**state, "seed": tf.cast(seed, tf.int32)}


def start() -> dict:
    """The state before the first frame."""
    return {"seed": tf.zeros([], tf.int32), "frame": tf.zeros([], tf.int32)}


def _mix(x):
    """Bits of uint32 stirred until each depends on all (the finaliser of MurmurHash3, Appleby 2011)."""
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        x = tf.bitwise.bitwise_xor(x, tf.bitwise.right_shift(x, _odd(shift))) * _odd(factor)
    return tf.bitwise.bitwise_xor(x, tf.bitwise.right_shift(x, _odd(16)))


def _whole(x):
    return tf.cast(x, tf.uint32)


def _odd(number: int):
    return tf.constant(number, tf.uint32)
