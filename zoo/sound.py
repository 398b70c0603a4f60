"""What the sound tiers of all models share: room tone while the gate is shut, samples while it is open.

Where the gate is shut a tier does not run: the frame is room tone, and the state is that of a start. Training treats
such frames the same way, so that what is skipped at generation is also what was never learned from.
"""

import abc

import keras
import tensorflow as tf


class SoundTier(keras.layers.Layer, abc.ABC):
    """Samples of an own channel, from those before and the conditioning of the frame.

    Args:
        hop: int. Samples a frame.
        coding: what a sample is, of `zoo.coding`.
        condition_channels: int. Width of the conditioning.

    Attributes:
        receptive_samples: how many samples before a sample count, `math.inf` where all do.
        lead_frames: int. Frames at the start of a training window that are heard but not scored.
        graph_bits: of weights, as `prepared` has them.
        rows_apart: whether a CPU trains it faster one window after the other, see `zoo.apart`.
        term: what the objective calls its likelihood: "sound" is of samples, "mel" of spectra.
    """

    term = "sound"
    rows_apart = False
    graph_bits: tuple[int, ...] = (32,)
    receptive_samples: float
    lead_frames: int

    def __init__(self, hop: int, coding, condition_channels: int, **kwargs):
        super().__init__(**kwargs)
        self.hop = hop
        self.coding = coding
        self.condition_channels = condition_channels

    def build(self, input_shape=None):
        self.room_level = self.add_weight(
            shape=(), initializer=keras.initializers.Constant(5e-4), trainable=False, name="room_level"
        )

    @abc.abstractmethod
    def initial_state(self, batch):
        """The state at the start of a dialogue and after every frame in which the gate was shut."""

    @abc.abstractmethod
    def predict(self, audio, gate, condition, state):
        """Teacher-forced.

        Args:
            audio: float32 [batch, hop + frames * hop]; a frame of the past, then the frames to predict.
            gate: float32 [batch, frames].
            condition: float32 [batch, frames, condition_channels].
            state: at the first predicted frame.

        Returns:
            What `coding` reads, [batch, frames * hop, parameters], and the state.
        """

    def nats(self, audio, gate, condition, heard=None):
        """-log P from the start of a dialogue, [batch, frames * n], one for each sample.

        Args:
            audio, gate, condition: as of `predict`.
            heard: what the samples are predicted from, where that is not `audio`; of its shape.
        """
        heard = audio if heard is None else heard
        parameters, _ = self.predict(heard, gate, condition, self.initial_state(tf.shape(gate)[0]))
        return self.coding.nats(parameters, self.coding.encode(audio[:, self.hop :]))

    @abc.abstractmethod
    def prime(self, audio, gate, condition, state):
        """The state after the frames of `audio`; the arguments are those of `predict`."""

    @abc.abstractmethod
    def sample_frame(self, past, gate, condition, state, uniforms, temperature):
        """As `generate`, where a gate is open; rows with a shut gate may hold anything.

        Where there is something to prepare, it is the last argument, and made on the spot if it is not given.
        """

    def prepared(self, bits: int = 32):
        """What `sample_frame` reads of the present weights, for many frames; None where nothing is worth keeping.

        Args:
            bits: of `graph_bits`: of the weights that every sample waits for.
        """
        return None

    def runs(self, sample_rate: int) -> list[tuple[keras.layers.Layer, float]]:
        """Which layers take how many steps in a second of speech, for `zoo.cost`; here all take one a frame."""
        return [(self, sample_rate / self.hop)]

    def silent(self, state):
        """The state after a frame in which no row had an open gate."""
        return self.initial_state(tf.shape(tf.nest.flatten(state)[0])[0])

    def fused(self, bits: int = 32):
        """The compiled loop of this tier with its present weights, of 32 or 8 bits, or None where there is none.

        Raises ImportError without numba.
        """
        return None

    def frame_conditions(self, condition):
        """What the compiled loop takes of condition [batch, condition_channels]."""
        return condition

    def generate(self, past, gate, condition, state, uniforms, temperature, prepared=None):
        """One frame, sample by sample.

        Args:
            past: float32 [batch, hop], the own frame before.
            gate: float32 [batch]; rows where it is 0 are room tone.
            condition: float32 [batch, condition_channels].
            uniforms: float32 [batch, hop] in [0, 1), what decides each sample.
            temperature: of the sound.
            prepared: of the weights that speak, or None.

        Returns:
            float32 [batch, hop], state.
        """
        told = [past, gate, condition, state, uniforms, tf.cast(temperature, tf.float32)]
        told += [] if prepared is None else [prepared]
        frame, state = tf.cond(
            tf.reduce_any(gate > 0),
            lambda: self.sample_frame(*told),
            lambda: (tf.zeros_like(past), self.silent(state)),
        )
        return tf.where(gate[:, None] > 0, frame, self.room_tone(uniforms)), state

    def room_tone(self, uniforms):
        """Uniform noise at the level of the training corpus's silence, from the frame's random numbers."""
        return (uniforms - 0.5) * (12.0**0.5) * self.room_level
