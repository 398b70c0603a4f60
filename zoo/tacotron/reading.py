"""The decoder of a Tacotron that reads a text: attention to all of it, LSTMs, mel frames and a stop token.

Teacher-forced it runs over all steps at once, stepped it makes one step a call, from the same layers and the same
numbers drawn: dropout and zoneout stay on, see `zoo.tacotron.noise`.
"""

import keras
import tensorflow as tf

from zoo.tacotron import noise
from zoo.tacotron.attention import ZoneoutStack, align, zoneout_lstm
from zoo.tacotron.tiers import Prenet
from zoo.tacotron.unroll import unroll

# Streams of noise; a text encoder has those before.
PRENET_STREAM, ATTENTION_STREAM, DECODER_STREAM = 16, 32, 33
# About how far off the diagonal the attention may be, as a share of the text (Tachibana et al. 2018, section 4.1).
_DIAGONAL_WIDTH = 0.2


def attend_to_text(inputs, windows, state, weights):
    """One step of a recurrent layer that attends to a text, for `unroll`.

    Args:
        inputs: product of the input [batch, 4 n], units that stay [batch, 2 n].
        windows: none.
        state: hidden, cell [batch, n]; context [batch, m]; alignment and its sum so far [batch, letters].
        weights: keys [batch, letters, k], memory [batch, letters, m], whether there is a letter [batch, letters];
            of the recurrence [n + m, 4 n], then those of `attention.align`.
    """
    given, keep = inputs
    hidden, cell, context, alignment, attended = state
    keys, memory, exists, kernel, *weights = weights
    recalled = tf.matmul(tf.concat([hidden, context], axis=-1), kernel)
    hidden, cell = zoneout_lstm(given, keep, hidden, cell, recalled)
    shares, context = align(hidden, keys, memory, exists, (alignment, attended), weights)
    return [hidden, cell, context, shares, attended + shares]


class TextAttention(keras.layers.Layer):
    """An LSTM that reads its input and what it attends to of a text (Shen et al. 2018, section 2.2).

    Args:
        channels: int. Of the LSTM.
        memory_channels: int. Of the encoded text.
        key_channels: int. In which query and text are compared.
        filters, taps: int. Of the location; no filters: attention to content alone (Wang et al. 2017).
    """

    def __init__(self, channels: int, memory_channels: int, key_channels: int, filters: int, taps: int, **kwargs):
        super().__init__(**kwargs)
        self.channels, self.memory_channels = channels, memory_channels
        self.filters, self.taps = filters, taps
        self.given = keras.layers.Dense(4 * channels, name="given")
        self.keys = keras.layers.Dense(key_channels, use_bias=False, name="keys")

    @property
    def width(self) -> int:
        return self.channels + self.memory_channels

    def build(self, input_shape):
        n, m, k = self.channels, self.memory_channels, self.keys.units
        self.given.build(input_shape)
        self.keys.build((None, None, m))
        self.attention = [
            self.add_weight(shape=(n + m, 4 * n), initializer="glorot_uniform", name="recalled"),
            self.add_weight(shape=(n, k), initializer="glorot_uniform", name="query"),
            self.add_weight(shape=(k,), initializer=keras.initializers.RandomNormal(stddev=k**-0.5), name="energy"),
            self.add_weight(shape=(k,), initializer="zeros", name="bias"),
        ]
        if self.filters:
            self.attention += [
                self.add_weight(shape=(self.taps, 2, self.filters), initializer="glorot_uniform", name="filters"),
                self.add_weight(shape=(self.filters, k), initializer="glorot_uniform", name="location"),
            ]

    def initial_state(self, batch, n_letters) -> list[tf.Tensor]:
        sizes = (self.channels, self.channels, self.memory_channels, n_letters, n_letters)
        return [tf.zeros([batch, size]) for size in sizes]

    def call(self, x, memory, exists, keep, state):
        """Runs over steps.

        Args:
            x: [batch, steps, n].
            memory, exists: [batch, letters, memory_channels] and [batch, letters].
            keep: [batch, steps, 2 * channels] of 0 and 1, as of `zoneout_lstm`.
            state: as `initial_state` gives and as returned.

        Returns:
            Output and context [batch, steps, width], alignment [batch, steps, letters], and the state.
        """
        told = unroll(
            attend_to_text, [self.given(x), keep], [], state, [self.keys(memory), memory, exists, *self.attention],
            by_step=True,
        )  # fmt: skip
        return tf.concat([told[0], told[2]], axis=-1), told[3], [each[:, -1] for each in told]


class ReadingDecoder(keras.layers.Layer):
    """Mel frames from a text and the frames before.

    Args:
        mel_bands, reduction: int. Bands of a frame, and frames of a step.
        prenet: `Prenet`, over the last frame of the step before.
        attention: `TextAttention`.
        stack: `ZoneoutStack`, over the attention's output and context.
        zoneout: float. Share of the units of both that stay as they were.
    """

    def __init__(self, mel_bands, reduction, prenet: Prenet, attention: TextAttention, stack: ZoneoutStack, zoneout,
                 **kwargs):  # fmt: skip
        super().__init__(**kwargs)
        self.mel_bands, self.reduction = mel_bands, reduction
        self.prenet, self.attention, self.stack, self.zoneout = prenet, attention, stack, zoneout
        self.frames = keras.layers.Dense(reduction * mel_bands, name="frames")
        self.stop = keras.layers.Dense(1, name="stop")

    def build(self, input_shape=None):
        self.prenet.build((None, None, self.mel_bands))
        self.attention.build((None, None, self.prenet.width))
        self.stack.build((None, None, self.attention.width))
        for head in (self.frames, self.stop):
            head.build((None, None, self.stack.channels + self.attention.memory_channels))

    def initial_state(self, batch, n_letters, seed) -> dict:
        return {
            "noise": noise.reseeded(noise.start(), seed),
            "attention": self.attention.initial_state(batch, n_letters),
            "stack": self.stack.initial_state(batch),
        }

    def call(self, before, memory, exists, state):
        """Runs over steps.

        Args:
            before: [batch, steps, mel_bands], the last frame of the step before each, standardised.
            memory, exists: the text, as of `TextAttention`.
            state: as `initial_state` gives and as returned.

        Returns:
            Mel frames [batch, steps * reduction, mel_bands], logits of the stop [batch, steps], alignment
            [batch, steps, letters], and the state.
        """
        drawn = state["noise"]
        batch, steps = tf.unstack(tf.shape(before)[:2])

        def stays(stream, units):
            return tf.cast(noise.uniform(drawn, stream, steps, batch, units) < self.zoneout, tf.float32)

        x = self.prenet(before, drawn, stream=PRENET_STREAM)
        keep = stays(ATTENTION_STREAM, 2 * self.attention.channels)
        attended, alignment, attention = self.attention(x, memory, exists, keep, state["attention"])
        keep = stays(DECODER_STREAM, 2 * self.stack.channels * self.stack.layers)
        hidden, stack = self.stack(attended, keep, state["stack"])
        told = tf.concat([hidden, attended[..., self.attention.channels :]], axis=-1)
        mel = tf.reshape(self.frames(told), [batch, steps * self.reduction, self.mel_bands])
        after = {"noise": noise.after(drawn, steps), "attention": attention, "stack": stack}
        return mel, self.stop(told)[..., 0], alignment, after


def off_diagonal(letters, n_steps, steps):
    """How far from the diagonal each letter is at each step: 0 on it, towards 1; [batch, steps, letters]."""
    n_letters = tf.maximum(tf.math.count_nonzero(letters, axis=1, dtype=tf.float32), 1.0)
    of_text = tf.range(tf.shape(letters)[1], dtype=tf.float32)[None] / n_letters[:, None]
    of_steps = (
        tf.range(tf.shape(steps)[1], dtype=tf.float32)[None] / tf.maximum(tf.cast(n_steps, tf.float32), 1.0)[:, None]
    )
    off = (of_text[:, None] - of_steps[:, :, None]) / _DIAGONAL_WIDTH
    return 1.0 - tf.exp(-0.5 * tf.square(off))
