"""The coarse acoustic frame as a code: which of `codes` spectra the own channel shows in a 20 ms frame.

A small network that regresses spectra drifts into a hum; sampling a category does not. The codes are the clusters of
causal log-mel frames (k-means on the training corpus), so they look at nothing that is still to come.
"""

from collections.abc import Callable

import keras
import tensorflow as tf

from zoo.layers import sample_categorical


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


class PureTier(Codebook):
    """No acoustic code, the papers' pure form: one spectrum stands for all, and nothing is predicted.

    Args:
        mel_bands, voices: int. Sizes of the codebook and of the voice table.
        channels: int. Width of a voice.
        condition_channels: int. Width of the conditioning of the sound.
    """

    def __init__(self, mel_bands, voices, channels, condition_channels, **kwargs):
        super().__init__(1, mel_bands, **kwargs)
        self.voice = keras.layers.Embedding(voices, channels, name="voice")
        self.conditioner = keras.layers.Dense(condition_channels, activation="tanh", name="conditioner")

    def build(self, context_channels: int):
        super().build()
        self.voice.build()
        self.conditioner.build((None, None, self.voice.output_dim + context_channels + 1))

    def initial_state(self, batch):
        return ()

    def call(self, code_before, gate, own_age, context, voice, state):
        return tf.zeros([*tf.unstack(tf.shape(gate)), 1]), state

    def condition(self, code, code_before, own_age, context, voice):
        """What the sound of a frame is conditioned on: [batch, frames, condition_channels]."""
        voice = tf.tile(self.voice(voice)[:, None], [1, tf.shape(code)[1], 1])
        return self.conditioner(tf.concat([voice, tf.stop_gradient(context), _log_age(own_age)], axis=-1))


def tier(config, encoder: Callable[[], keras.layers.Layer]) -> Codebook:
    """The acoustic tier of a `zoo.agent.DialogueConfig` with `acoustic_channels`; `encoder` makes that of the codes."""
    sizes = (config.mel_bands, config.voices)
    if not config.acoustic_codes:
        return PureTier(*sizes, config.acoustic_channels, config.condition_channels, name="acoustic")
    widths = (config.acoustic_channels, config.condition_channels)
    return AcousticTier(config.acoustic_codes, *sizes, encoder(), *widths, name="acoustic")


def lapsed(tier, code_before, gate, own_age, context, voice, state, share: float, uniform) -> tf.Tensor:
    """Codes before with a share of them drawn from the tier's own prediction of that frame.

    Scheduled sampling (Bengio et al. 2015) in two passes (Mihaylova & Martins 2019): the draws are made from what is
    predicted with all codes heard. Frames whose gate was shut have no code to draw.

    Args:
        tier: the acoustic tier.
        code_before, gate, own_age, context, voice, state: of its call.
        share: of the codes that are drawn.
        uniform: float32 [batch, frames, 2] in [0, 1).
    """
    logits, _ = tier(code_before, gate, own_age, context, voice, state)
    drawn = sample_categorical(tf.stop_gradient(logits), uniform[..., 0])
    drawn_before = tf.concat([code_before[:, :1], drawn[:, :-1]], axis=1)
    return tf.where((uniform[..., 1] < share) & (code_before < tier.codes), drawn_before, code_before)


def _log_age(age):
    return tf.math.log1p(tf.cast(age, tf.float32))[..., None] / 4.0
