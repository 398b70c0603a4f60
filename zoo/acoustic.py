"""The coarse acoustic frame as a code: which of `codes` spectra the own channel shows in a 20 ms frame.

A small network that regresses spectra drifts into a hum; sampling a category does not. The codes are the clusters of
causal log-mel frames (k-means on the training corpus), so they look at nothing that is still to come.
"""

import keras
import tensorflow as tf


class Codebook(keras.layers.Layer):
    """The codes and what they stand for.

    Args:
        codes, mel_bands: int. Sizes.
    """

    def __init__(self, codes: int, mel_bands: int, **kwargs):
        super().__init__(**kwargs)
        self.codes = codes
        self.mel_bands = mel_bands

    def build(self, input_shape=None):
        self.codebook = self.add_weight(
            shape=(self.codes, self.mel_bands), initializer="zeros", trainable=False, name="codebook"
        )

    def count(self, example: dict) -> dict[str, tf.Tensor]:
        """Sums over a batch of `zoo.objective.by_speaker`, of what is counted beside the codes: nothing here."""
        return {}

    def set_counted(self, sums: dict) -> None:
        """Sets weights by the sums of `count` over all batches."""

    def encode(self, mel):
        """Nearest code of each frame: log-mel [batch, frames, bands] -> int32 [batch, frames]."""
        half_norm = tf.reduce_sum(tf.square(self.codebook), axis=-1) / 2.0
        closeness = tf.matmul(mel, self.codebook, transpose_b=True) - half_norm
        return tf.argmax(closeness, axis=-1, output_type=tf.int32)

    def spectra(self, code):
        """The standardised log-mel spectrum that a code stands for, zeros for a shut gate: [..., mel_bands]."""
        mean, variance = tf.nn.moments(self.codebook, axes=[0])
        standard = (self.codebook - mean) / tf.sqrt(variance + 1e-6)
        return tf.gather(tf.pad(standard, [[0, 1], [0, 0]]), code)


class AcousticTier(Codebook):
    """Predicts the next code, and turns codes into what conditions the sound.

    Args:
        codes, mel_bands, voices: int. Sizes of the codebook and of the voice table.
        encoder: layer at 50 Hz with `initial_state(batch)`, `call(x, state) -> (h, state)` and its output `width`.
        channels: int. Width of the encoder's input.
        condition_channels: int. Width of the conditioning of the sound.
    """

    def __init__(self, codes, mel_bands, voices, encoder, channels, condition_channels, **kwargs):
        super().__init__(codes, mel_bands, **kwargs)
        self.encoder = encoder
        # One code more than the codebook has: the gate is shut.
        self.previous = keras.layers.Embedding(codes + 1, channels, name="previous")
        self.voice = keras.layers.Embedding(voices, channels, name="voice")
        self.drive = keras.layers.Dense(channels, name="drive")
        self.logits = keras.layers.Dense(codes, name="logits")
        self.conditioner = keras.layers.Dense(condition_channels, activation="tanh", name="conditioner")

    def build(self, context_channels: int):
        super().build()
        channels = self.drive.units
        self.previous.build()
        self.voice.build()
        self.drive.build((None, None, context_channels + 2 + self.mel_bands))
        self.encoder.build((None, None, channels))
        self.logits.build((None, None, self.encoder.width))
        self.conditioner.build((None, None, channels + context_channels + 1 + 2 * self.mel_bands))

    def initial_state(self, batch):
        return self.encoder.initial_state(batch)

    def call(self, code_before, gate, own_age, context, voice, state):
        """Logits of the present code.

        Args:
            code_before, own_age: int32 [batch, frames]; the code of the frame before, the age of the gate now.
            gate: float32 [batch, frames].
            context: [batch, frames, n] of the dialogue tier; no gradient flows back, sound must not bend timing.
            voice: int32 [batch].

        Returns:
            [batch, frames, codes], state.
        """
        parts = [tf.stop_gradient(context), gate[..., None], _log_age(own_age), self.spectra(code_before)]
        drive = tf.concat(parts, axis=-1)
        x = self.previous(code_before) + self.voice(voice)[:, None] + self.drive(drive)
        hidden, state = self.encoder(x, state)
        return self.logits(tf.nn.relu(hidden)), state

    def condition(self, code, code_before, own_age, context, voice):
        """What the sound of a frame is conditioned on: [batch, frames, condition_channels]."""
        voice = tf.tile(self.voice(voice)[:, None], [1, tf.shape(code)[1], 1])
        parts = [self.spectra(code), self.spectra(code_before), voice, tf.stop_gradient(context), _log_age(own_age)]
        return self.conditioner(tf.concat(parts, axis=-1))


def _log_age(age):
    return tf.math.log1p(tf.cast(age, tf.float32))[..., None] / 4.0
