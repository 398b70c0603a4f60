"""Tacotron's sound: mel frames, refined by a post-net, voicing and pitch, and the streaming vocoder.

The decoder's LSTMs stand in the acoustic tier, where they draw the code of a frame; here the code, the voice and the
context become `reduction` mel frames of 40 ms each (the paper's r, within the 20 ms of a step). What is left to
predict given a code is one of the two outputs: a mean, as in the paper, or a normal distribution for each band, of
which the codes make a mixture.
"""

import math

import keras
import numpy as np
import tensorflow as tf

from datasets import features
from zoo import pitch
from zoo.layers import CausalConv, multiply_held
from zoo.sound import SoundTier
from zoo.tacotron.encoder import histories
from zoo.tacotron.vocoder import StreamingInverse, gains

OUTPUTS = ("regression", "normal")
# Standard deviations, of a band's spread over the codes.
SHARPEST = -3.0
LOUDEST = 4.0
# How near the ends a random number may lie of which a normal one is made.
NEAREST = 1e-5
# What a rate is measured to, in log Hz.
_PITCH_SPREAD = 0.1
MIDDLE_HZ = 150.0


class MelSound(SoundTier):
    """Mel frames from the conditioning, and sound from mel frames.

    Args:
        hop, condition_channels: as of `SoundTier`.
        sample_rate: Hz.
        mel_bands: int.
        reduction: int. Mel frames in 20 ms.
        output: "regression" or "normal".
        channels: int. Of the layer between the conditioning and the mel frames.
        postnet_channels, postnet_layers, postnet_kernel: int.
    """

    term = "mel"
    lead_frames = 2

    def __init__(
        self, hop, condition_channels, sample_rate, mel_bands, reduction, output, channels,
        postnet_channels, postnet_layers, postnet_kernel, **kwargs,
    ):  # fmt: skip
        super().__init__(hop, None, condition_channels, **kwargs)
        self.sample_rate, self.mel_bands, self.reduction = sample_rate, mel_bands, reduction
        self.hidden = keras.layers.Dense(channels, activation="relu", name="hidden")
        self.outputs = 2 if output == "normal" else 1
        self.mel = keras.layers.Dense(reduction * mel_bands * self.outputs, name="mel")
        widths = [postnet_channels] * (postnet_layers - 1) + [mel_bands]
        self.voicing = keras.layers.Dense(2, name="voicing")
        self.postnet = [CausalConv(width, postnet_kernel, 1, name=f"postnet{i}") for i, width in enumerate(widths)]
        self.inverse = StreamingInverse(sample_rate, reduction)

    def build(self, input_shape=None):
        super().build()
        self.hidden.build((None, None, self.condition_channels))
        self.mel.build((None, None, self.hidden.units))
        self.voicing.build((None, None, self.hidden.units))
        inputs = self.mel_bands
        for layer in self.postnet:
            layer.build((None, None, inputs))
            inputs = layer.channels
        self.mel_mean = self.add_weight(shape=(self.mel_bands,), initializer="zeros", trainable=False, name="mel_mean")
        self.mel_scale = self.add_weight(shape=(self.mel_bands,), initializer="ones", trainable=False, name="mel_scale")

    @property
    def receptive_samples(self) -> float:
        """Of the own past, through the windows' overlap; the conditioning holds all the rest."""
        return self.inverse.fft_length

    def runs(self, sample_rate):
        a_frame = [(layer, sample_rate / self.hop) for layer in (self.hidden, self.mel, self.voicing)]
        return [*a_frame, *((layer, self.reduction * sample_rate / self.hop) for layer in self.postnet)]

    def initial_state(self, batch) -> dict:
        return {
            "postnet": histories(self.postnet, self.mel_bands, batch),
            "inverse": self.inverse.initial_state(batch),
            "phase": tf.zeros([batch]),
        }

    def fused(self, bits: int = 32):
        from zoo.tacotron.kernel import FusedMelSound

        return FusedMelSound(self, bits)

    def predict(self, audio, gate, condition, state):
        """As of `SoundTier`, but not of samples: standardised mel frames; `audio` has no part in it.

        Returns:
            Before and after the post-net, and the logarithm of the standard deviation (zeros for "regression"), each
            [batch, frames, reduction, mel_bands]; the logit of voicing and the pitch (log of Hz over 150)
            [batch, frames, 2]; and the state.
        """
        batch, frames = tf.unstack(tf.shape(gate))
        hidden = self.hidden(condition)
        told = tf.reshape(self.mel(hidden), [batch, frames * self.reduction, self.outputs, -1])
        told = tf.ensure_shape(told, [None, None, self.outputs, self.mel_bands])
        mean = told[:, :, 0]
        log_scale = tf.maximum(told[:, :, 1], SHARPEST) if self.outputs == 2 else tf.zeros_like(mean)
        x, after = mean, []
        for layer, history in zip(self.postnet, state["postnet"], strict=True):
            x, history = layer(multiply_held(x, gate[..., None]), history)
            x = x if layer is self.postnet[-1] else tf.tanh(x)
            after.append(history)
        shape = [batch, frames, self.reduction, self.mel_bands]
        parts = [tf.reshape(each, shape) for each in (mean, mean + x, log_scale)]
        return [*parts, self.voicing(hidden)], {**state, "postnet": after}

    def nats(self, audio, gate, condition):
        """-log density of the frames' standardised mels, half of it before and half after the post-net, and of pitch.

        For "regression" that of a normal distribution as wide as the band: the paper's squared error, and a constant.

        Returns:
            [batch, frames]; of the `reduction` mel frames of each, its voicing and, where it is voiced, its pitch.
        """
        wanted = self._standard(self.mels(audio))
        (before, refined, log_scale, voicing), _ = self.predict(
            audio, gate, condition, self.initial_state(tf.shape(gate)[0])
        )
        each = [tf.square((wanted - mean) * tf.exp(-log_scale)) for mean in (before, refined)]
        nats = 0.25 * (each[0] + each[1]) + log_scale + 0.5 * math.log(2.0 * math.pi)
        voiced, hz = pitch.track(audio, self.sample_rate)
        of_voicing = tf.nn.sigmoid_cross_entropy_with_logits(voiced, voicing[..., 0])
        off = (tf.math.log(hz / MIDDLE_HZ) - voicing[..., 1]) / _PITCH_SPREAD
        of_pitch = 0.5 * tf.square(off) + 0.5 * math.log(2.0 * math.pi) + math.log(_PITCH_SPREAD)
        return tf.reduce_sum(nats, axis=[2, 3]) + of_voicing + voiced * of_pitch

    def mels(self, audio):
        """Log-mel power of windows of 40 ms that end with each part of a frame, [batch, frames, reduction, mel_bands].

        audio: as of `predict`. What is before its first frame counts as silence.
        """
        parts = []
        for i in range(self.reduction):
            end = (self.reduction - 1 - i) * self.inverse.hop
            shifted = tf.pad(audio, [[0, 0], [end, 0]])[:, : tf.shape(audio)[1]]
            now, past = shifted[:, self.hop :], shifted[:, : self.hop]
            parts.append(features.log_mel(now, past, self.sample_rate, self.mel_bands))
        return tf.stack(parts, axis=2)

    def prime(self, audio, gate, condition, state):
        # The vocoder begins afresh after what it has not said itself.
        start = self.initial_state(tf.shape(gate)[0])
        return {**start, "postnet": self.predict(audio, gate, condition, state)[1]["postnet"]}

    def sample_frame(self, past, gate, condition, state, uniforms, temperature):
        parts, after = self.predict(past, gate[:, None], condition[:, None], state)
        vocoder = {name: state[name] for name in ("inverse", "phase")}
        frame, vocoder = self.render([part[:, 0] for part in parts], uniforms, temperature, vocoder)
        return frame, {**after, **self.shut(gate, vocoder)}

    def shut(self, gate, vocoder):
        """The vocoder's state, as at the start in rows whose gate is shut: no window is left."""
        return tf.nest.map_structure(
            lambda each: tf.where(tf.reshape(gate > 0, [-1] + [1] * (len(each.shape) - 1)), each, 0.0), vocoder
        )

    def render(self, parts, uniforms, temperature, state):
        """A frame of sound.

        Args:
            parts: of one frame, as `predict` gives them, [batch, reduction, mel_bands] each.
            uniforms: [batch, hop] in [0, 1).
            temperature: of the draw of the mel frames, and of the noise among pulses.
            state: of the vocoder, "inverse" and "phase".

        Returns:
            float32 [batch, hop], state.
        """
        _, mel, log_scale, voicing = parts
        if self.outputs == 2:
            draws = tf.reshape(uniforms[:, : self.reduction * self.mel_bands], tf.shape(mel))
            normal = tf.math.ndtri(tf.clip_by_value(draws, NEAREST, 1.0 - NEAREST))
            mel += temperature * tf.exp(log_scale) * normal
        mel = tf.clip_by_value(mel, -LOUDEST, LOUDEST) * self.mel_scale + self.mel_mean
        # The lower bits of a random number, so that the noise is not that of the draws.
        noise = (tf.math.floormod(uniforms * 4096.0, 1.0) - 0.5) * 12.0**0.5
        hz = tf.clip_by_value(MIDDLE_HZ * tf.exp(voicing[:, 1]), pitch.LOWEST_HZ, pitch.HIGHEST_HZ)
        train, phase = pitch.pulses(hz, state["phase"], self.hop, self.sample_rate)
        share = tf.sigmoid(voicing[:, :1])
        source = tf.sqrt(share) * train + temperature * tf.sqrt(1.0 - share) * noise
        frame, inverse = self.inverse(gains(mel, self.sample_rate), source, state["inverse"])
        return tf.clip_by_value(frame, -1.0, 1.0), {"inverse": inverse, "phase": phase}

    def silent(self, state):
        """No layer read anything but zeros, and no window is left."""
        roll = [tf.pad(h, [[0, 0], [0, self.reduction], [0, 0]])[:, self.reduction :] for h in state["postnet"]]
        return {**tf.nest.map_structure(tf.zeros_like, state), "postnet": roll}

    def set_levels(self, codebook: np.ndarray) -> None:
        """Standardises mels as the codes are."""
        self.mel_mean.assign(codebook.mean(axis=0))
        self.mel_scale.assign(codebook.std(axis=0) + 1e-3)

    def _standard(self, mel):
        return (mel - self.mel_mean) / self.mel_scale
