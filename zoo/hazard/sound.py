"""Noise with the long-term spectrum of a speaker: linear prediction, counted and not learned.

Each voice has one set of coefficients, by the autocorrelation method (Makhoul 1975, *Linear prediction: a tutorial
review*) over all its speech. A sample is normal around its prediction, cut into levels like those of the other models.
"""

import numpy as np
import scipy.linalg
import tensorflow as tf

from datasets.dialogue import FRAMES_PER_SECOND
from zoo.acoustic import Codebook
from zoo.sound import SoundTier

# Float32 tells no probabilities apart below this.
_LEAST = 1e-7
# Of the power: a spectrum that reaches zero cannot be predicted from.
_FLOOR = 1e-5
_ENOUGH_FRAMES = FRAMES_PER_SECOND


class LongTermSpectrum(Codebook):
    """One code, and the coefficients of each voice.

    Args:
        mel_bands, voices, order: int.
    """

    def __init__(self, mel_bands: int, voices: int, order: int, **kwargs):
        super().__init__(1, mel_bands, **kwargs)
        self.voices, self.order = voices, order

    def build(self, input_shape=None):
        super().build()
        self.predictors = self.add_weight(
            shape=(self.voices, self.order + 1), initializer="zeros", trainable=False, name="predictors"
        )

    def initial_state(self, batch):
        return ()

    def call(self, code_before, gate, own_age, context, voice, state):
        return tf.zeros([*tf.unstack(tf.shape(gate)), 1]), state

    def condition(self, code, code_before, own_age, context, voice):
        """Coefficients and standard deviation of each frame, [batch, frames, order + 1]."""
        return tf.tile(tf.gather(self.predictors, voice)[:, None], [1, tf.shape(code)[1], 1])

    def count(self, example):
        """Autocorrelation of all speech of each voice [voices, order + 1], and its frames [voices]."""
        spoken = example["gate"] * example["mask"]
        hop = example["own_audio"].shape[1] // spoken.shape[1]
        frames = tf.signal.frame(tf.pad(example["own_audio"], [[0, 0], [hop, 0]]), 2 * hop, hop)
        frames *= tf.signal.hann_window(2 * hop) * spoken[..., None]
        power = tf.square(tf.abs(tf.signal.rfft(frames, [4 * hop])))
        correlation = tf.signal.irfft(tf.cast(tf.reduce_sum(power, axis=1), tf.complex64), [4 * hop])
        voice = example["voice"] % self.voices
        by_voice = [correlation[:, : self.order + 1], tf.reduce_sum(spoken, axis=1)]
        found = [tf.math.unsorted_segment_sum(each, voice, self.voices) for each in by_voice]
        # The power of a window is that of so many samples.
        return {"correlation": found[0] / tf.reduce_sum(tf.square(tf.signal.hann_window(2 * hop))), "frames": found[1]}

    def set_counted(self, sums):
        correlation, frames = sums["correlation"], sums["frames"]
        overall = predictor(correlation.sum(axis=0) / max(frames.sum(), 1.0))
        known = frames >= _ENOUGH_FRAMES
        rows = [predictor(r / n) if ok else overall for r, n, ok in zip(correlation, frames, known, strict=True)]
        self.predictors.assign(np.stack(rows))


class LinearPrediction(SoundTier):
    """Samples from those before, by the coefficients that the condition holds."""

    lead_frames = 0

    @property
    def receptive_samples(self):
        return self.condition_channels - 1

    def initial_state(self, batch):
        return ()

    def silent(self, state):
        return state

    def predict(self, audio, gate, condition, state):
        sound = self.coding.decode(self.coding.encode(audio))
        steps = tf.shape(sound)[1] - self.hop
        past = [sound[:, self.hop - 1 - k : self.hop - 1 - k + steps] for k in range(self.receptive_samples)]
        held = tf.repeat(condition, self.hop, axis=1)
        return self._logits(tf.stack(past, axis=-1), held), state

    def prime(self, audio, gate, condition, state):
        return state

    @tf.function(jit_compile=True, autograph=False)
    def sample_frame(self, past, gate, condition, state, uniforms, temperature):
        recent = self.coding.decode(self.coding.encode(past[:, : -1 - self.receptive_samples : -1]))

        def body(i, recent, samples):
            level = self.coding.sample(self._logits(recent, condition), tf.gather(uniforms, i, axis=1), temperature)
            recent = tf.concat([self.coding.decode(level)[:, None], recent[:, :-1]], axis=1)
            return i + 1, recent, samples.write(i, level)

        samples = tf.TensorArray(tf.int32, self.hop, element_shape=past[:, 0].shape)
        _, _, samples = tf.while_loop(lambda i, *_: i < self.hop, body, [tf.constant(0), recent, samples])
        return self.coding.decode(tf.transpose(samples.stack())), state

    def _logits(self, recent, condition):
        """recent [..., order], the newest first; condition [..., order + 1] -> [..., 256]."""
        mean = tf.reduce_sum(recent * condition[..., :-1], axis=-1, keepdims=True)
        distance = (self.coding.edges() - mean) / condition[..., -1:]
        below = 0.5 * tf.math.erfc(-distance / 2.0**0.5)
        ends = [[0, 0]] * (len(below.shape) - 1)
        share = tf.pad(below, [*ends, [0, 1]], constant_values=1.0) - tf.pad(below, [*ends, [1, 0]])
        return tf.math.log(share + _LEAST)


def predictor(autocorrelation: np.ndarray) -> np.ndarray:
    """Coefficients, for the newest sample first, and the standard deviation of what they leave: [order + 1] of both."""
    r = np.array(autocorrelation, np.float64)
    r[0] = r[0] * (1.0 + _FLOOR) + 1e-10
    coefficients = scipy.linalg.solve_toeplitz(r[:-1], r[1:])
    return np.append(coefficients, np.sqrt(r[0] - coefficients @ r[1:]))
