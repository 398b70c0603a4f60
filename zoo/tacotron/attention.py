"""A recurrent layer that attends to a bounded memory of what it has read.

The memory of a dialogue has no end to be reached, so it is a window: the last few seconds of the encoded partner, one
entry a frame. What is remembered of an entry (how much it was attended to) moves along with it. Hence the cost of a
step, and the state, do not grow with the dialogue.
"""

import math

import keras
import tensorflow as tf

from zoo.tacotron.unroll import unroll

_NEVER = -1e9


def zoneout_lstm(given, keep, hidden, cell, recalled):
    """An LSTM whose units may stay as they were (Krueger et al. 2017).

    Args:
        given, recalled: [batch, 4 n], products of the input and of the state; input, forget, candidate, output.
        keep: [batch, 2 n] of 0 and 1; where 1, a unit of the output (first n) or of the cell (last n) stays.
        hidden, cell: [batch, n].

    Returns:
        hidden, cell.
    """
    n = cell.shape[-1]
    enter, forget, candidate, leave = tf.split(given + recalled, 4, axis=-1)
    new_cell = tf.sigmoid(forget + 1.0) * cell + tf.sigmoid(enter) * tf.tanh(candidate)
    new_hidden = tf.sigmoid(leave) * tf.tanh(new_cell)
    return hidden + (1.0 - keep[:, :n]) * (new_hidden - hidden), cell + (1.0 - keep[:, n:]) * (new_cell - cell)


def recur(inputs, windows, state, weights):
    """One step of a plain LSTM with zoneout, for `unroll`."""
    (given, keep), (hidden, cell), (kernel,) = inputs, state, weights
    return list(zoneout_lstm(given, keep, hidden, cell, tf.matmul(hidden, kernel)))


def attend(inputs, windows, state, weights):
    """One step of a recurrent layer with attention, for `unroll`.

    Args:
        inputs: product of the input [batch, 4 n], units that stay [batch, 2 n].
        windows: keys [batch, memory, k], entries [batch, memory, m], whether there is one [batch, memory].
        state: hidden, cell [batch, n]; context [batch, m]; alignment and its sum so far [batch, memory].
        weights: of the recurrence [n + m, 4 n], of the query [n, k], of the energy [k] and its bias [k], of the lag
            [memory]; of the location: filters [taps, 2, f] and their product [f, k].
    """
    given, keep = inputs
    keys, memory, exists = windows
    hidden, cell, context, alignment, attended = state
    kernel, query, energy, bias, lag, *location = weights
    recalled = tf.matmul(tf.concat([hidden, context], axis=-1), kernel)
    hidden, cell = zoneout_lstm(given, keep, hidden, cell, recalled)
    # All entries are a frame older than when this was written, and the newest is new.
    alignment, attended = (
        tf.concat([each[:, 1:], tf.zeros_like(each[:, :1])], axis=1) for each in (alignment, attended)
    )
    shares, context = align(hidden, keys, memory, exists, (alignment, attended), (query, energy, bias, *location), lag)
    return [hidden, cell, context, shares, attended + shares]


def align(hidden, keys, memory, exists, before, weights, lag=0.0):
    """Attention by content and location (Shen et al. 2018, section 2.2; Chorowski et al. 2015).

    Args:
        hidden: [batch, n], what asks.
        keys, memory: [batch, entries, k] and [batch, entries, m].
        exists: [batch, entries], 0 where there is nothing to attend to.
        before: the alignment of the step before and the sum of all before, [batch, entries] each.
        weights: query, energy and its bias; of the location filters and their product; as of `attend`.
        lag: added to the energies.

    Returns:
        Shares of the entries [batch, entries] and what is attended to [batch, m].
    """
    query, energy, bias, *location = weights
    scores = keys + tf.matmul(hidden, query)[:, None] + bias
    if location:
        filters, product = location
        told = tf.nn.conv1d(tf.stack(before, axis=-1), filters, 1, "SAME")
        scores += tf.matmul(told, product)
    scores = tf.reduce_sum(tf.tanh(scores) * energy, axis=-1) + lag + _NEVER * (1.0 - exists)
    shares = tf.nn.softmax(scores)
    return shares, tf.reduce_sum(shares[..., None] * memory, axis=1)


class AttentionRNN(keras.layers.Layer):
    """An LSTM that reads its input and what it attends to (Shen et al. 2018, section 2.2).

    Beyond the papers, the energy of an entry has a bias that is learned for each lag and starts in favour of the
    present: in a dialogue the last second matters most.

    Args:
        channels: int. Of the LSTM.
        memory_frames: int. How far back it attends.
        memory_channels: int. Of an entry.
        key_channels: int. In which query and entries are compared.
        filters, taps: int. Of the location; no filters: attention to content alone (Wang et al. 2017).
    """

    receptive_steps = math.inf

    def __init__(
        self,
        channels: int,
        memory_frames: int,
        memory_channels: int,
        key_channels: int,
        filters: int,
        taps: int,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.channels, self.memory_frames, self.memory_channels = channels, memory_frames, memory_channels
        self.filters, self.taps = filters, taps
        self.given = keras.layers.Dense(4 * channels, name="given")
        self.keys = keras.layers.Dense(key_channels, use_bias=False, name="keys")

    @property
    def width(self) -> int:
        return self.channels + self.memory_channels

    def build(self, input_shape):
        n, k = self.channels, self.keys.units
        self.given.build(input_shape)
        self.keys.build((None, None, self.memory_channels))
        lags = tf.range(self.memory_frames - 1, -1, -1, dtype=tf.float32)
        self.attention = [
            self.add_weight(shape=(n + self.memory_channels, 4 * n), initializer="glorot_uniform", name="recalled"),
            self.add_weight(shape=(n, k), initializer="glorot_uniform", name="query"),
            self.add_weight(shape=(k,), initializer=keras.initializers.RandomNormal(stddev=k**-0.5), name="energy"),
            self.add_weight(shape=(k,), initializer="zeros", name="bias"),
            self.add_weight(
                shape=(self.memory_frames,),
                initializer=lambda shape, dtype=None: -2.0 * tf.math.log1p(lags / 10.0),
                name="lag",
            ),
        ]
        if self.filters:
            self.attention += [
                self.add_weight(shape=(self.taps, 2, self.filters), initializer="glorot_uniform", name="filters"),
                self.add_weight(shape=(self.filters, k), initializer="glorot_uniform", name="location"),
            ]

    def initial_state(self, batch) -> dict:
        n, m, frames = self.channels, self.memory_channels, self.memory_frames
        sizes = {"hidden": n, "cell": n, "context": m, "alignment": frames, "attended": frames}
        return {
            "steps": {name: tf.zeros([batch, size]) for name, size in sizes.items()},
            "keys": tf.zeros([batch, frames - 1, self.keys.units]),
            "memory": tf.zeros([batch, frames - 1, m]),
            "exists": tf.zeros([batch, frames - 1]),
        }

    def call(self, x, entries, keep, state):
        """Runs over frames, each of which brings one entry of the memory that it may already attend to.

        Args:
            x: [batch, frames, n].
            entries: [batch, frames, memory_channels].
            keep: [batch, frames, 2 * channels] of 0 and 1, as of `zoneout_lstm`.
            state: as `initial_state` gives and as returned.

        Returns:
            Output and context [batch, frames, width], and the state; its last alignment is among "steps".
        """
        arriving = {"keys": self.keys(entries), "memory": entries, "exists": tf.ones(tf.shape(entries)[:2])}
        windows = {name: tf.concat([state[name], each], axis=1) for name, each in arriving.items()}
        names = list(state["steps"])
        states = unroll(
            attend,
            [self.given(x), keep],
            list(windows.values()),
            [state["steps"][name] for name in names],
            self.attention,
        )
        told = dict(zip(names, states, strict=True))
        after = {name: tf.ensure_shape(windows[name][:, tf.shape(x)[1] :], state[name].shape) for name in windows}
        after["steps"] = {name: each[:, -1] for name, each in told.items()}
        return tf.concat([told["hidden"], told["context"]], axis=-1), after


class ZoneoutStack(keras.layers.Layer):
    """LSTMs on top of each other whose units may stay as they were.

    Args:
        channels, layers: int.
    """

    def __init__(self, channels: int, layers: int, **kwargs):
        super().__init__(**kwargs)
        self.channels, self.layers = channels, layers
        self.given = [keras.layers.Dense(4 * channels, name=f"given{i}") for i in range(layers)]

    def build(self, input_shape):
        self.recalled = []
        for i, layer in enumerate(self.given):
            layer.build(input_shape)
            shape = (self.channels, 4 * self.channels)
            self.recalled.append(self.add_weight(shape=shape, initializer="orthogonal", name=f"recalled{i}"))
            input_shape = (None, None, self.channels)

    def initial_state(self, batch) -> list:
        return [[tf.zeros([batch, self.channels]) for _ in range(2)] for _ in self.given]

    def call(self, x, keep, state):
        """x [batch, frames, n], keep, state -> [batch, frames, channels], state.

        keep: [batch, frames, layers * 2 * channels], 1 where a unit stays as it was; layer after layer.
        """
        after = []
        for layer, kernel, stay, before in zip(
            self.given, self.recalled, tf.split(keep, len(self.given), axis=-1), state, strict=True
        ):
            x, cell = unroll(recur, [layer(x), stay], [], list(before), [kernel])
            after.append([x[:, -1], cell[:, -1]])
        return x, after
