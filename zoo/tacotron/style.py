"""How something is said, apart from what: a reference encoder and style tokens.

The reference encoder squeezes a stretch of mel frames into a vector (Skerry-Ryan et al. 2018, section 3.2). By itself
it transfers the prosody of a reference; as the query of an attention over a few learned tokens it gives a style (Wang
et al. 2018, section 3), which can then also be chosen by weights of the tokens, without any reference.

No layer has batch normalisation, as elsewhere here.
"""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from datasets.errors import InputError
from zoo.recurrent import RecurrentStack

REFERENCE_FILTERS = (32, 32, 64, 64, 128, 128)
REFERENCE_CHANNELS = 128


class ReferenceEncoder(keras.layers.Layer):
    """Convolutions of 3 x 3 that halve time and bands, and the last output of a GRU.

    Args:
        mel_bands: int.
        channels: int. Of a layer with tanh behind it; 0 leaves it out.
    """

    def __init__(self, mel_bands: int, channels: int = 0, **kwargs):
        super().__init__(**kwargs)
        self.mel_bands = mel_bands
        self.convs = [
            keras.layers.Conv2D(filters, 3, strides=2, name=f"conv{i}") for i, filters in enumerate(REFERENCE_FILTERS)
        ]
        self.recurrent = RecurrentStack(REFERENCE_CHANNELS, 1, "gru", False, name="recurrent")
        self.out = keras.layers.Dense(channels, activation="tanh", name="out") if channels else None
        self.width = channels or REFERENCE_CHANNELS

    def build(self, input_shape=None):
        inputs, bands = 1, self.mel_bands
        for layer in self.convs:
            layer.build((None, None, None, inputs))
            inputs, bands = layer.filters, -(-bands // 2)
        self.bands = bands
        self.recurrent.build((None, None, bands * inputs))
        if self.out:
            self.out.build((None, REFERENCE_CHANNELS))

    def call(self, mel, n_frames):
        """mel [batch, frames, mel_bands], standardised, and n_frames int32 [batch], at least 1 -> [batch, width]."""
        # Beyond a row's end is what lies beyond the whole: so it does not matter who else is in the batch.
        x, left = mel[..., None], n_frames
        x *= _exists(left, x)
        for layer in self.convs:
            x = tf.nn.relu(layer(tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])))
            left = (left + 1) // 2
            x *= _exists(left, x)
        x = tf.reshape(x, [tf.shape(x)[0], tf.shape(x)[1], self.bands * REFERENCE_FILTERS[-1]])
        told, _ = self.recurrent(x, self.recurrent.initial_state(tf.shape(x)[0]))
        last = tf.gather(told, tf.maximum(left, 1) - 1, axis=1, batch_dims=1)
        return self.out(last) if self.out else last


class StyleTokens(keras.layers.Layer):
    """Learned tokens, and attention to them by what a reference sounds like (Wang et al. 2018, section 3.2).

    Where the paper is silent: queries, keys and values are linear in reference and tokens, without biases, and
    compared by scaled products (Vaswani et al. 2017).

    Args:
        tokens, channels, heads: int. Number of tokens, width of each, and of the attentions side by side.
    """

    def __init__(self, tokens: int, channels: int, heads: int, **kwargs):
        super().__init__(**kwargs)
        self.tokens, self.width, self.heads = tokens, channels, heads
        self.query, self.key, self.value = (
            keras.layers.Dense(channels, use_bias=False, name=name) for name in ("query", "key", "value")
        )

    def build(self, input_shape):
        self.table = self.add_weight(
            shape=(self.tokens, self.width), initializer=keras.initializers.RandomNormal(stddev=0.5), name="table"
        )
        self.query.build(input_shape)
        for layer in (self.key, self.value):
            layer.build((None, self.width))

    def shares(self, reference):
        """The attention to the tokens: reference [batch, n] -> [batch, heads, tokens], adding up to 1."""
        query = tf.reshape(self.query(reference), [-1, self.heads, self.width // self.heads])
        keys = tf.reshape(self.key(tf.tanh(self.table)), [self.tokens, self.heads, self.width // self.heads])
        return tf.nn.softmax(tf.einsum("bhk,thk->bht", query, keys) * (self.width // self.heads) ** -0.5)

    def style(self, shares):
        """What weights of the tokens sound like: [batch, heads, tokens] -> [batch, width]."""
        values = tf.reshape(self.value(tf.tanh(self.table)), [self.tokens, self.heads, self.width // self.heads])
        return tf.reshape(tf.einsum("bht,thk->bhk", shares, values), [-1, self.width])


class Manner(keras.layers.Layer):
    """What sets how a text is read, beside the voice: style tokens, a reference encoder, or nothing.

    Args:
        mel_bands: int.
        text_channels: int. Of an encoded letter.
        tokens, channels, heads: int, as of `StyleTokens`; no tokens leave styles out.
        reference: bool. Whether a reference sets the prosody directly; not together with tokens.

    Attributes:
        width: of the vector that says how to read; 0 for nothing.
        placed: channels that it adds to those of an encoded letter.
    """

    def __init__(self, mel_bands, text_channels, tokens: int, channels: int, heads: int, reference: bool, **kwargs):
        super().__init__(**kwargs)
        self.width = self.placed = 0
        self.reference = self.tokens = self.site = None
        if tokens:
            self.reference = ReferenceEncoder(mel_bands, name="reference")
            self.tokens = StyleTokens(tokens, channels, heads, name="tokens")
            self.width = channels
            if channels != text_channels:
                self.site = keras.layers.Dense(text_channels, use_bias=False, name="site")
        elif reference:
            self.reference = ReferenceEncoder(mel_bands, channels=REFERENCE_CHANNELS, name="reference")
            self.width = self.placed = self.reference.width

    def build(self, input_shape=None):
        if self.reference:
            self.reference.build()
        if self.tokens:
            self.tokens.build((None, self.reference.width))
        if self.site:
            self.site.build((None, self.width))

    def of_mel(self, mel, n_frames):
        """How a stretch is said, as of `ReferenceEncoder`: [batch, width]."""
        if not self.reference:
            return tf.zeros([tf.shape(mel)[0], 0])
        heard = self.reference(mel, n_frames)
        return self.tokens.style(self.tokens.shares(heard)) if self.tokens else heard

    def of_tokens(self, weights: Sequence[float]):
        """The style of so much of each token, the same for all heads: [1, width]."""
        wanted = self.tokens.tokens if self.tokens else 0
        if len(weights) != wanted or not wanted:
            raise InputError(
                f"--style={'+'.join(map(str, weights))}: this run has {wanted} style tokens, one weight each"
            )
        shares = np.tile(np.array(weights, np.float32)[None, None], [1, self.tokens.heads, 1])
        return self.tokens.style(shares)

    def unsaid(self):
        """What is taken where nothing is said of it, [1, width]: all tokens alike."""
        if self.tokens:
            return self.of_tokens([1.0 / self.tokens.tokens] * self.tokens.tokens)
        if self.reference:
            raise InputError("--reference: this run takes its prosody from a recording; give one")
        return tf.zeros([1, 0])

    def place(self, encoded, manner):
        """An encoded text [batch, letters, text_channels] that is to be read so: `placed` channels more."""
        if self.tokens:
            # Added to every state of the encoder (Wang et al. 2018, section 3.2.2).
            return encoded + (self.site(manner) if self.site else manner)[:, None]
        if self.reference:
            return tf.concat([encoded, tf.tile(manner[:, None], [1, tf.shape(encoded)[1], 1])], axis=-1)
        return encoded


def _exists(n, x):
    return tf.reshape(tf.sequence_mask(n, tf.shape(x)[1], dtype=tf.float32), [-1, tf.shape(x)[1], 1, 1])
