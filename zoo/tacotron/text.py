"""A text as Tacotron reads it: characters, and encoders that see it from both ends.

These are the papers' encoders, without batch normalisation (a batch of a few short stretches tells little of its
statistics): Tacotron 2's convolutions and bidirectional LSTM, and Tacotron's CBHG behind a prenet. They are made of the
layers that read a partner; a causal convolution becomes a centred one by what it is given.
"""

import keras
import tensorflow as tf

from datasets.errors import InputError
from zoo import letters as letters_lib
from zoo.layers import CausalConv
from zoo.recurrent import RecurrentStack
from zoo.tacotron.encoder import CBHG
from zoo.tacotron.tiers import Prenet

ALPHABET = " 'abcdefghijklmnopqrstuvwxyz-,.?!"
# Numbers of letters: 0 is no letter, 1 the end of a text.
END, _FIRST = 1, 2
N_LETTERS = len(ALPHABET) + _FIRST


def letters(text: str) -> list[int]:
    """Numbers of the known characters of a text, in lower case, and the end; others are left out, spaces are single.

    Raises:
        InputError: no letter is known.
    """
    known = letters_lib.known(text, ALPHABET)
    if not any(each.isalpha() for each in known):
        raise InputError(f"--text={text}: has none of the letters a to z, which are all that can be read")
    return [*(ALPHABET.index(each) + _FIRST for each in known), END]


class BothWays(keras.layers.Layer):
    """A recurrent layer in each direction; both outputs side by side.

    Args:
        units: int. Of each direction.
        cell: "gru" or "lstm".
    """

    def __init__(self, units: int, cell: str, **kwargs):
        super().__init__(**kwargs)
        self.ahead = RecurrentStack(units, 1, cell, False, name="ahead")
        self.back = RecurrentStack(units, 1, cell, False, name="back")
        self.width = 2 * units

    def build(self, input_shape):
        self.ahead.build(input_shape)
        self.back.build(input_shape)

    def call(self, x, exists):
        """x [batch, steps, n], exists [batch, steps], 1 up to each row's end -> [batch, steps, width], 0 beyond it."""
        lengths = tf.cast(tf.reduce_sum(exists, axis=1), tf.int32)
        batch = tf.shape(x)[0]
        ahead, _ = self.ahead(x, self.ahead.initial_state(batch))
        back, _ = self.back(tf.reverse_sequence(x, lengths, seq_axis=1), self.back.initial_state(batch))
        both = tf.concat([ahead, tf.reverse_sequence(back, lengths, seq_axis=1)], axis=-1)
        return both * exists[..., None]


class TextEncoder(keras.layers.Layer):
    """Tacotron 2's: embedded characters, convolutions, a bidirectional LSTM (Shen et al. 2018, section 2.2).

    Args:
        channels: int. Of the embedding, the convolutions, and of both directions together.
        layers, kernel_size: int. Of the convolutions.
    """

    def __init__(self, channels: int, layers: int, kernel_size: int, **kwargs):
        super().__init__(**kwargs)
        self.width = channels
        self.embedding = keras.layers.Embedding(N_LETTERS, channels, name="embedding")
        self.convs = [CausalConv(channels, kernel_size, 1, name=f"conv{i}") for i in range(layers)]
        self.recurrent = BothWays(channels // 2, "lstm", name="recurrent")

    def build(self, input_shape=None):
        self.embedding.build()
        for layer in (*self.convs, self.recurrent):
            layer.build((None, None, self.width))

    def call(self, text, exists, drawn):
        """text int32 [batch, letters], exists float32 of that shape -> [batch, letters, width], 0 beyond the end.

        drawn: of `zoo.tacotron.noise`; nothing is drawn here.
        """
        x = self.embedding(text) * exists[..., None]
        for layer in self.convs:
            x = tf.nn.relu(centred(layer, x)) * exists[..., None]
        return self.recurrent(x, exists)


class CBHGTextEncoder(keras.layers.Layer):
    """Tacotron's: embedded characters, a prenet, a CBHG (Wang et al. 2017, section 3.2 and table 1).

    Args:
        embedding_channels: int.
        prenet: `Prenet`.
        cbhg: `BothWaysCBHG`.
    """

    def __init__(self, embedding_channels: int, prenet: Prenet, cbhg: "BothWaysCBHG", **kwargs):
        super().__init__(**kwargs)
        self.embedding = keras.layers.Embedding(N_LETTERS, embedding_channels, name="embedding")
        self.prenet, self.cbhg = prenet, cbhg

    @property
    def width(self) -> int:
        return self.cbhg.width

    def build(self, input_shape=None):
        self.embedding.build()
        self.prenet.build((None, None, self.embedding.output_dim))
        self.cbhg.build((None, None, self.prenet.width))

    def call(self, text, exists, drawn):
        """As of `TextEncoder`; the prenet's dropout is drawn."""
        x = self.prenet(self.embedding(text), drawn, stream=0)
        return self.cbhg(x * exists[..., None], exists)


class BothWaysCBHG(CBHG):
    """The paper's CBHG: centred convolutions, a bidirectional GRU.

    Args:
        channels: int. Of all layers, and of each direction of the GRU.
        bank, highways: int, as of `CBHG`.
    """

    def __init__(self, channels: int, bank: int, highways: int, **kwargs):
        super().__init__(channels, bank, highways, **kwargs)
        self.channels, self.width = channels, 2 * channels
        self.recurrent = BothWays(channels, "gru", name="recurrent")

    def call(self, x, exists):
        """x [batch, steps, n], exists [batch, steps] -> [batch, steps, width], 0 beyond each row's end."""
        exists = exists[..., None]
        x = self.entry(x) * exists
        banked = tf.concat([tf.nn.relu(centred(layer, x)) for layer in self.bank], axis=-1) * exists
        # The pool of the paper's width, 2, takes the step after; what it holds is never negative.
        pooled = tf.maximum(banked, tf.pad(banked[:, 1:], [[0, 0], [0, 1], [0, 0]]))
        y = tf.nn.relu(centred(self.projections[0], pooled)) * exists
        y = self.highway(centred(self.projections[1], y) * exists + x)
        return self.recurrent(y, exists[..., 0])


def centred(layer: CausalConv, x):
    """A convolution that looks as far ahead as back (an even one a step further back): [batch, steps, channels]."""
    ahead = (layer.kernel_size - 1) // 2
    y, _ = layer(
        tf.pad(x, [[0, 0], [0, ahead], [0, 0]]), tf.zeros_like(x[:, :1]) * tf.ones([1, layer.history_steps, 1])
    )
    return y[:, ahead:]
