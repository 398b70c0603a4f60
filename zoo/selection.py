"""Which evaluation was the best, and when to stop for want of a better one.

The best has the fewest held-out timing bits per second. Evaluations within `TIE_BITS` of the lowest ever are taken for
ties, and of those the one with the best sound (bits per sample, or per mel frame) is the best. Without timing, as in an
unconditional model, the sound decides alone; and where there is none either, the bits per letter.
"""

import math

import tensorflow as tf

TIE_BITS = 0.005
_SOUNDS = ("sound_bits_per_sample", "mel_bits_per_frame", "bits_per_letter")


class Selection(tf.Module):
    """Keeps the score over a training; its variables belong into the checkpoint.

    Attributes:
        waited: int variable. Evaluations since the best.
    """

    def __init__(self):
        super().__init__()
        self._lowest_timing, self._timing, self._sound = (
            tf.Variable(math.inf, dtype=tf.float64, trainable=False) for _ in range(3)
        )
        self.waited = tf.Variable(0, dtype=tf.int64, trainable=False)

    def offer(self, figures: dict[str, float]) -> bool:
        """Takes in the figures of an evaluation; whether it is the best so far."""
        timing, sound = figures.get("timing_bits_per_second", 0.0), _sound(figures)
        lowest = min(timing, float(self._lowest_timing))
        self._lowest_timing.assign(lowest)
        best_is_tied = float(self._timing) <= lowest + TIE_BITS
        better = timing <= lowest + TIE_BITS and not (best_is_tied and float(self._sound) <= sound)
        if better:
            self._timing.assign(timing)
            self._sound.assign(sound)
        self.waited.assign(0 if better else self.waited + 1)
        return better


def _sound(figures: dict[str, float]) -> float:
    return next((figures[name] for name in _SOUNDS if name in figures), 0.0)
