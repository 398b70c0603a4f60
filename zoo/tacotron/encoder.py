"""What reads the partner: Tacotron 2's convolutions and LSTM, and Tacotron's CBHG, both made causal.

The papers' encoders see a whole text from both ends. A partner is heard up to the present, so convolutions and the
max pooling look back only, and recurrent layers run forward only; batch normalisation is left out, as its statistics
would have to be carried from step to step.
"""

import math

import keras
import tensorflow as tf

from zoo.layers import CausalConv
from zoo.recurrent import RecurrentStack


class ConvolvedRNN(keras.layers.Layer):
    """Convolutions and an LSTM (Shen et al. 2018, section 2.2).

    Args:
        channels: int. Of all layers.
        layers, kernel_size: int. Of the convolutions.
    """

    receptive_steps = math.inf

    def __init__(self, channels: int, layers: int, kernel_size: int, **kwargs):
        super().__init__(**kwargs)
        self.width = channels
        self.convs = [CausalConv(channels, kernel_size, 1, name=f"conv{i}") for i in range(layers)]
        self.recurrent = RecurrentStack(channels, 1, "lstm", False, name="recurrent")

    def build(self, input_shape):
        self.inputs = input_shape[-1]
        for layer in self.convs:
            layer.build(input_shape)
            input_shape = (None, None, self.width)
        self.recurrent.build(input_shape)

    def initial_state(self, batch) -> dict:
        return {"convs": histories(self.convs, self.inputs, batch), "recurrent": self.recurrent.initial_state(batch)}

    def call(self, x, state):
        """x [batch, time, n], state -> [batch, time, width], state."""
        after = []
        for layer, history in zip(self.convs, state["convs"], strict=True):
            x, history = layer(x, history)
            x = tf.nn.relu(x)
            after.append(history)
        x, recurrent = self.recurrent(x, state["recurrent"])
        return x, {"convs": after, "recurrent": recurrent}


class CBHG(keras.layers.Layer):
    """A bank of convolutions, highways and a GRU (Wang et al. 2017, section 3.1).

    Args:
        channels: int. Of all layers.
        bank: int. Kernel sizes 1 to this stand side by side.
        highways: int.
    """

    receptive_steps = math.inf

    def __init__(self, channels: int, bank: int, highways: int, **kwargs):
        super().__init__(**kwargs)
        self.channels = self.width = channels
        self.entry = keras.layers.Dense(channels, name="entry")
        self.bank = [CausalConv(channels, size, 1, name=f"bank{size}") for size in range(1, bank + 1)]
        self.projections = [CausalConv(channels, 3, 1, name=f"projection{i}") for i in range(2)]
        # Gate and candidate of a highway in one product.
        self.highways = [keras.layers.Dense(2 * channels, name=f"highway{i}") for i in range(highways)]
        self.recurrent = RecurrentStack(channels, 1, "gru", False, name="recurrent")

    def build(self, input_shape):
        inner = (None, None, self.channels)
        self.entry.build(input_shape)
        for layer in (*self.bank, self.projections[1], *self.highways, self.recurrent):
            layer.build(inner)
        self.projections[0].build((None, None, self.channels * len(self.bank)))

    def initial_state(self, batch) -> dict:
        pooled = self.width * len(self.bank)
        return {
            "bank": tf.zeros([batch, self.bank[-1].history_steps, self.width]),
            "pool": tf.zeros([batch, 1, pooled]),
            "projections": [tf.zeros([batch, 2, n]) for n in (pooled, self.width)],
            "recurrent": self.recurrent.initial_state(batch),
        }

    def call(self, x, state):
        """x [batch, time, n], state -> [batch, time, width], state."""
        x = self.entry(x)
        found = []
        for layer in self.bank:
            start = state["bank"].shape[1] - layer.history_steps
            found.append(tf.nn.relu(layer(x, state["bank"][:, start:])[0]))
        padded = tf.concat([state["bank"], x], axis=1)
        bank = tf.ensure_shape(padded[:, tf.shape(x)[1] :], state["bank"].shape)
        banked = tf.concat(found, axis=-1)
        earlier = tf.concat([state["pool"], banked], axis=1)
        y, first = self.projections[0](tf.maximum(earlier[:, :-1], banked), state["projections"][0])
        y, second = self.projections[1](tf.nn.relu(y), state["projections"][1])
        y, recurrent = self.recurrent(self.highway(y + x), state["recurrent"])
        return y, {"bank": bank, "pool": earlier[:, -1:], "projections": [first, second], "recurrent": recurrent}

    def highway(self, y):
        """Layers that pass on a share of what they get (Srivastava et al. 2015): [batch, time, channels]."""
        for layer in self.highways:
            gate, candidate = tf.split(layer(y), 2, axis=-1)
            gate = tf.sigmoid(gate - 1.0)
            y = gate * tf.nn.relu(candidate) + (1.0 - gate) * y
        return y


def histories(convs: list[CausalConv], inputs: int, batch) -> list[tf.Tensor]:
    """Silence before the first step of a stack of convolutions, the first of which reads `inputs` channels."""
    widths = [inputs, *[layer.channels for layer in convs[:-1]]]
    return [tf.zeros([batch, layer.history_steps, n]) for layer, n in zip(convs, widths, strict=True)]
