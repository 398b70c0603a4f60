"""How an attention is looked at: its picture, and how sharp it is."""

import tensorflow as tf

_PIXELS = 4


def focus_rate(alignment, counts) -> float:
    """The mean, over steps, of the largest share of the attention (Ren et al. 2019, section 3.3); 1 is one entry each.

    Args:
        alignment: [..., steps, entries], adding up to 1 in each step.
        counts: [..., steps], whether a step counts.
    """
    counts = tf.cast(counts, tf.float32)
    largest = tf.reduce_max(alignment, axis=-1)
    return float(tf.reduce_sum(largest * counts) / tf.maximum(tf.reduce_sum(counts), 1.0))


def alignment(shares):
    """Shares [steps, entries], steps to the right, entries upwards: float32 [height, width, 1] in [0, 1]."""
    upright = tf.reverse(tf.transpose(shares), axis=[0])
    return tf.repeat(tf.repeat(upright, _PIXELS, axis=0), _PIXELS, axis=1)[..., None]
