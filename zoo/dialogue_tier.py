"""The dialogue tier: 50 Hz, both speakers, everything up to the frame before; it decides when to speak.

Heads: the *toggle hazard* of the own gate - a counted table, at the pace of this dialogue, what the partner's prosody
tells of the turn, and a learned residual - and a *voice-activity projection* of the next two seconds (Ekstedt &
Skantze 2022, section 2) as an auxiliary task. The encoder is each model's own.
"""

import keras
import numpy as np
import tensorflow as tf

from datasets import hazard
from datasets.dialogue import FRAMES_PER_SECOND
from zoo import hearing, pace, prosody
from zoo.turn_cue import TurnCue

PROJECTION_EDGES_FRAMES = (0, 10, 30, 60, 100)
N_PROJECTIONS = 256


class CountedTier(keras.layers.Layer):
    """The counted table of what an agent can hear, and the levels of its ears; no network.

    Args:
        mel_bands: int. Bands of the partner's log-mel spectrum.
        learned: bool. Whether the table goes on to be learned.
    """

    receptive_steps = round(hazard.AGE_EDGES_SECONDS[-1] * FRAMES_PER_SECOND)
    projection = None
    cue = None

    def __init__(self, mel_bands: int, learned: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.mel_bands = mel_bands
        self._learned = learned

    def build(self, input_shape=None):
        fixed = {"trainable": False}
        self.mel_mean = self.add_weight(shape=(self.mel_bands,), initializer="zeros", name="mel_mean", **fixed)
        self.mel_scale = self.add_weight(shape=(self.mel_bands,), initializer="ones", name="mel_scale", **fixed)
        self.speech_db = self.add_weight(
            shape=(), initializer=keras.initializers.Constant(-45.0), name="speech_db", **fixed
        )
        self.table = self.add_weight(
            shape=(2, hearing.N_CELLS, hearing.N_CELLS),
            initializer=keras.initializers.Constant(-4.0),
            trainable=self._learned,
            name="table",
        )

    def initial_state(self, batch):
        return ()

    def call(self, before, role, state):
        """From what was heard up to the frame before to a context and a toggle hazard.

        Args:
            before: of the frame before each frame, [batch, frames, ...]: gate, own_age, quiet, spurt, mel, prosody.
            role: int32 [batch].
            state: as `initial_state` gives and as returned.

        Returns:
            Context [batch, frames, n] (none here: n is 0), toggle logit [batch, frames], state.
        """
        own, partner = cells(before)
        return tf.zeros([*tf.unstack(tf.shape(own)), 0]), self.counted(own, partner, role), state

    def counted(self, own_cell, partner_cell, role):
        """Toggle logits of the table, [batch, frames]."""
        role = tf.broadcast_to(role[:, None], tf.shape(own_cell))
        return tf.gather_nd(self.table, tf.stack([role, own_cell, partner_cell], axis=-1))


class DialogueTier(CountedTier):
    """The table, a network that corrects it, and a context vector for each frame.

    Args:
        encoder: layer over 50 Hz features with `initial_state(batch)` and `call(x, state) -> (h, state)`, and
            its output `width`.
        mel_bands: int. Bands of the partner's log-mel spectrum.
        channels: int. Width of the encoder's input.
        cue_channels: int. Width of the turn cue; 0 is an agent that hears no prosody there.
    """

    def __init__(self, encoder: keras.layers.Layer, mel_bands: int, channels: int, cue_channels: int, **kwargs):
        super().__init__(mel_bands, learned=True, **kwargs)
        self.encoder = encoder
        self.project = keras.layers.Dense(channels, name="project")
        self.context = keras.layers.Dense(channels, activation="relu", name="context")
        self.residual = keras.layers.Dense(1, kernel_initializer="zeros", name="residual")
        self.projection = keras.layers.Dense(N_PROJECTIONS, name="projection")
        self.cue = TurnCue(cue_channels, name="cue") if cue_channels else None

    @property
    def n_features(self) -> int:
        return self.mel_bands + prosody.N_FEATURES + 2 * hearing.N_CELLS + 4

    def build(self, input_shape=None):
        super().build()
        self.build_cue()
        width = self.project.units
        self.project.build((None, None, self.n_features))
        self.encoder.build((None, None, width))
        self.context.build((None, None, self.encoder.width))
        for head in (self.residual, self.projection):
            head.build((None, None, width))

    def build_cue(self) -> None:
        if self.cue is not None:
            self.cue.build()

    @property
    def receptive_steps(self) -> float:
        return self.encoder.receptive_steps

    def initial_state(self, batch) -> dict:
        return {"encoder": self.encoder.initial_state(batch), "pace": pace.initial_state(batch)}

    def features(self, before, own_cell, partner_cell, role):
        """What one frame tells: [batch, frames, n_features]."""
        frames = tf.shape(own_cell)[1]
        ages = tf.cast(tf.stack([before["own_age"], before["quiet"]], axis=-1), tf.float32)
        parts = [
            (before["mel"] - self.mel_mean) / self.mel_scale,
            before["prosody"],
            tf.one_hot(own_cell, hearing.N_CELLS),
            tf.one_hot(partner_cell, hearing.N_CELLS),
            tf.math.log1p(ages) / 4.0,
            tf.tile(tf.one_hot(role, 2)[:, None], [1, frames, 1]),
        ]
        return tf.concat(parts, axis=-1)

    def call(self, before, role, state):
        own, partner = cells(before)
        hidden, encoder = self.encoder(self.project(self.features(before, own, partner, role)), state["encoder"])
        context = self.context(tf.nn.relu(hidden))
        toggle, lively = self.toggle(before, own, partner, role, context, state["pace"])
        return context, toggle, {"encoder": encoder, "pace": lively}

    def toggle(self, before, own, partner, role, context, state) -> tuple[tf.Tensor, dict]:
        """Toggle logits [batch, frames]: of the table, the cue and the residual, at the pace of the dialogue; state."""
        cue = 0.0 if self.cue is None else self.cue(before, own, partner, role)
        logit = self.counted(own, partner, role) + cue + self.residual(context)[..., 0]
        log_pace, state = pace.log_pace(before["gate"], tf.sigmoid(logit), state)
        return logit + log_pace, state


def cells(heard) -> tuple[tf.Tensor, tf.Tensor]:
    """Cells of the own and of the partner's state in each frame, from gate, own_age, quiet and spurt."""
    return hearing.cell(heard["gate"], heard["own_age"]), hearing.partner_cell(heard["quiet"], heard["spurt"])


def projection_labels(own: tf.Tensor, partner: tf.Tensor, mask: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Class of the next two seconds from each frame on.

    Eight bits, speaker by bin (.2 .4 .6 .8 s long), each set if most of the bin is speech.

    Args:
        own, partner: float [batch, frames] of 0 and 1.
        mask: float [batch, frames], 0 beyond the end of what is known.

    Returns:
        int32 [batch, frames] in [0, 256), and float32 [batch, frames], 0 where the two seconds are not all known.
    """
    frames = tf.shape(own)[1]
    both = tf.stack([own, partner], axis=-1)
    total = tf.pad(tf.cumsum(both, axis=1), [[0, 0], [1, 0], [0, 0]])
    total = tf.concat([total, tf.repeat(total[:, -1:], PROJECTION_EDGES_FRAMES[-1], axis=1)], axis=1)
    at = [total[:, edge : edge + frames] for edge in PROJECTION_EDGES_FRAMES]
    lengths = np.diff(PROJECTION_EDGES_FRAMES).astype(np.float32)
    bits = tf.stack([(b - a) * 2.0 > n for a, b, n in zip(at[:-1], at[1:], lengths, strict=True)], axis=-1)
    bits = tf.cast(tf.reshape(bits, [tf.shape(own)[0], frames, 8]), tf.int32)
    last = PROJECTION_EDGES_FRAMES[-1] - 1
    known = tf.pad(mask, [[0, 0], [0, last]])[:, last : last + frames]
    return tf.reduce_sum(bits * (2 ** tf.range(8)), axis=-1), known
