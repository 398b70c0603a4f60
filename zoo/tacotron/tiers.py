"""Tacotron's dialogue and acoustic tiers: a prenet and an attention RNN that decides the gate, and the decoder.

The prenet's dropout stays on when the model speaks (Shen et al. 2018, section 2.2), and so does zoneout: what is
scored and stepped is what was trained. Both draw from `zoo.tacotron.noise`, by a seed in the state.
"""

import keras
import tensorflow as tf

from zoo import hearing, pace, prosody
from zoo.acoustic import AcousticTier, Codebook
from zoo.dialogue_tier import CountedTier, DialogueTier, cells
from zoo.tacotron import noise
from zoo.tacotron.attention import AttentionRNN, ZoneoutStack

# Streams of noise: a zoneout and the layers of a prenet, for each of the two tiers.
DIALOGUE_STREAM, ACOUSTIC_STREAM = 0, 16


class Prenet(keras.layers.Layer):
    """Rectified layers with dropout that is never switched off.

    Args:
        widths: ints, one a layer.
        dropout: float. Share of units that are left out.
    """

    def __init__(self, widths: tuple[int, ...], dropout: float, **kwargs):
        super().__init__(**kwargs)
        self.stack = [keras.layers.Dense(width, activation="relu", name=f"layer{i}") for i, width in enumerate(widths)]
        self.dropout = dropout

    @property
    def width(self) -> int:
        return self.stack[-1].units

    def build(self, input_shape):
        for layer in self.stack:
            layer.build(input_shape)
            input_shape = (None, None, layer.units)

    def call(self, x, drawn, stream: int):
        """x [batch, frames, n], drawn and the first stream: of `zoo.tacotron.noise` -> [batch, frames, width]."""
        for i, layer in enumerate(self.stack):
            x = layer(x)
            if self.dropout:
                uniform = noise.uniform(drawn, stream + i, tf.shape(x)[1], tf.shape(x)[0], layer.units)
                x *= tf.cast(uniform >= self.dropout, tf.float32) / (1.0 - self.dropout)
        return x


class AttendingTier(DialogueTier):
    """Reads the own state through a prenet, and attends to the encoded partner.

    Args:
        partner: layer over 50 Hz features of the partner, such as `zoo.tacotron.encoder.CBHG`.
        attention: `AttentionRNN`.
        prenet: `Prenet`.
        zoneout: float. Share of units of the attention RNN that stay as they were.
        mel_bands: int. Bands of the partner's log-mel spectrum.
        channels: int. Width of the encoder's input and of the context.
        cue_channels: as of `DialogueTier`.
    """

    def __init__(
        self,
        partner,
        attention: AttentionRNN,
        prenet: Prenet,
        zoneout: float,
        mel_bands: int,
        channels: int,
        cue_channels: int,
        **kwargs,
    ):
        super().__init__(attention, mel_bands, channels, cue_channels, **kwargs)
        self.partner, self.prenet, self.zoneout = partner, prenet, zoneout

    @property
    def n_features(self) -> int:
        """Of the partner; the own side has cell, age and role."""
        return self.mel_bands + prosody.N_FEATURES + hearing.N_CELLS + 1

    def build(self, input_shape=None):
        CountedTier.build(self)
        self.build_cue()
        self.project.build((None, None, self.n_features))
        self.partner.build((None, None, self.project.units))
        self.prenet.build((None, None, hearing.N_CELLS + 3))
        self.encoder.build((None, None, self.prenet.width))
        self.context.build((None, None, self.encoder.width))
        for head in (self.residual, self.projection):
            head.build((None, None, self.context.units))

    def initial_state(self, batch) -> dict:
        return {
            "noise": noise.start(),
            "partner": self.partner.initial_state(batch),
            "attention": self.encoder.initial_state(batch),
            "pace": pace.initial_state(batch),
        }

    def call(self, before, role, state):
        own, partner = cells(before)
        batch, frames = tf.unstack(tf.shape(own))
        entries, read = self.partner(self.project(self._of_partner(before, partner)), state["partner"])
        drawn = state["noise"]
        stay = noise.uniform(drawn, DIALOGUE_STREAM, frames, batch, 2 * self.encoder.channels)
        keep = tf.cast(stay < self.zoneout, tf.float32)
        prenet = self.prenet(self._of_own(before, own, role), drawn, stream=DIALOGUE_STREAM + 1)
        hidden, attended = self.encoder(prenet, entries, keep, state["attention"])
        context = self.context(hidden)
        toggle, lively = self.toggle(before, own, partner, role, context, state["pace"])
        after = {"noise": noise.after(drawn, frames), "partner": read, "attention": attended, "pace": lively}
        return context, toggle, after

    def _of_partner(self, before, cell):
        mel = (before["mel"] - self.mel_mean) / self.mel_scale
        known = tf.one_hot(cell, hearing.N_CELLS), _log_age(before["quiet"])
        return tf.concat([mel, before["prosody"], *known], axis=-1)

    def _of_own(self, before, cell, role):
        roles = tf.tile(tf.one_hot(role, 2)[:, None], [1, tf.shape(cell)[1], 1])
        return tf.concat([tf.one_hot(cell, hearing.N_CELLS), _log_age(before["own_age"]), roles], axis=-1)


class DecoderTier(AcousticTier):
    """Tacotron's decoder: a prenet over the own frame before, LSTMs, and a category where the paper regresses.

    Args:
        codes, mel_bands, voices, condition_channels: as of `AcousticTier`.
        decoder: `ZoneoutStack`.
        prenet: `Prenet`.
        zoneout: float. Share of the decoder's units that stay as they were.
    """

    def __init__(
        self,
        codes,
        mel_bands,
        voices,
        decoder: ZoneoutStack,
        prenet: Prenet,
        zoneout: float,
        condition_channels,
        **kwargs,
    ):
        super().__init__(codes, mel_bands, voices, decoder, prenet.width, condition_channels, **kwargs)
        self.prenet, self.zoneout = prenet, zoneout

    def build(self, context_channels: int):
        Codebook.build(self)
        channels = self.prenet.width
        self.previous.build()
        self.voice.build()
        self.prenet.build((None, None, channels + self.mel_bands))
        self.drive.build((None, None, context_channels + 2))
        self.encoder.build((None, None, channels))
        self.logits.build((None, None, self.encoder.channels))
        self.conditioner.build((None, None, channels + context_channels + 1 + 2 * self.mel_bands))

    def initial_state(self, batch) -> dict:
        return {"noise": noise.start(), "decoder": self.encoder.initial_state(batch)}

    def call(self, code_before, gate, own_age, context, voice, state):
        drawn = state["noise"]
        batch, frames = tf.unstack(tf.shape(code_before))
        own = tf.concat([self.previous(code_before), self.spectra(code_before)], axis=-1)
        own = self.prenet(own, drawn, stream=ACOUSTIC_STREAM + 1)
        told = tf.concat([tf.stop_gradient(context), gate[..., None], _log_age(own_age)], axis=-1)
        x = own + self.voice(voice)[:, None] + self.drive(told)
        units = 2 * self.encoder.channels * self.encoder.layers
        stay = noise.uniform(drawn, ACOUSTIC_STREAM, frames, batch, units)
        hidden, decoder = self.encoder(x, tf.cast(stay < self.zoneout, tf.float32), state["decoder"])
        return self.logits(hidden), {"noise": noise.after(drawn, frames), "decoder": decoder}


def _log_age(age):
    return tf.math.log1p(tf.cast(age, tf.float32))[..., None] / 4.0
