"""SampleRNN's sample loop as one compiled function.

`SampleTiers.sample_frame` is the reference; the parity test holds this to it. What the perceptron makes of a token at
one of its taps is looked up: the embedding and its parts of the first two products are one table.
"""

import functools
from typing import Any, NamedTuple

import numpy as np

from zoo.compiling import compiled, inlined, part
from zoo.fused import FusedSound, add, add_token, as_sound, draw, fill, rectify, sigmoid, span, tanh, token_table
from zoo.parts import Product, Work
from zoo.products import add_nth_product, add_product, matrices, nth_of, operand, room_for

_TWO = np.float32(2.0)
_ONE = np.float32(1.0)


class Weights(NamedTuple):
    """What the loop reads; matrices as of `zoo.products.matrices`, layers those of all tiers, from the slowest on.

    Attributes:
        lstm: True, or None for a GRU: what is None is left out of the loop when it is compiled.
        sizes: int64 [tiers], samples of a frame.
        entry, entry_bias: of the sound that a tier hears, a matrix [samples, n] each, and [tiers, n].
        given, given_bias, recalled, recalled_bias: of input and state, matrices [layers, n, gates] and [layers, gates].
        up, up_bias, handed: of what a tier hands down, a matrix [n, handed] each, [tiers, largest of handed], and
            [tiers].
        table: what the perceptron makes of a token, [taps, tokens, width].
        is_folded: whether its first layer is in the table, and in what the last tier hands down.
        hidden, hidden_bias: of its other layers, matrices [layers, width, width] and [layers, width].
        logits, logits_bias: a matrix [width, parameters], and [parameters].
        decode: sound of a level [256], or None.
        initial: states [layers, s] after a frame with a shut gate.
    """

    lstm: bool | None
    sizes: np.ndarray
    entry: tuple
    entry_bias: np.ndarray
    given: Any
    given_bias: np.ndarray
    recalled: Any
    recalled_bias: np.ndarray
    up: tuple
    up_bias: np.ndarray
    handed: np.ndarray
    table: np.ndarray
    is_folded: bool
    hidden: Any
    hidden_bias: np.ndarray
    logits: Any
    logits_bias: np.ndarray
    decode: np.ndarray | None
    initial: np.ndarray


class Scratch(NamedTuple):
    """What the loop writes on while it makes a frame.

    Attributes:
        tokens, sound: [heard + hop], those of the frame before that are heard, and of this one.
        below: [tiers, largest of handed], what each tier handed down.
        x: [n], the input of a layer and its output.
        given, recalled: [gates], products of input and state.
        head, rectified: [width], of the perceptron.
        scores, shares: [parameters].
        room: for the operands of products.
    """

    tokens: np.ndarray
    sound: np.ndarray
    below: np.ndarray
    x: np.ndarray
    given: np.ndarray
    recalled: np.ndarray
    head: np.ndarray
    rectified: np.ndarray
    scores: np.ndarray
    shares: np.ndarray
    room: np.ndarray | None


class FusedSampleTiers(FusedSound):
    """The sound tier of a SampleRNN.

    Args:
        sound: `zoo.samplernn.sound.SampleTiers`.
        bits: of a weight (`zoo.products`).
    """

    def __init__(self, sound, bits: int = 32):
        tiers = sound.tiers
        super().__init__(sound, context_samples=tiers[0].frame_samples)
        layers = [layer for tier in tiers for layer in tier.recurrent.stack]
        packed = functools.partial(matrices, bits=bits)
        recurrent = [
            made(_stacked([getattr(getattr(layer, product), part) for layer in layers]))
            for product in ("given", "recalled")
            for part, made in (("kernel", packed), ("bias", matrices))
        ]
        sizes = np.array([tier.frame_samples for tier in tiers])
        ups = [(np.asarray(tier.up.kernel), np.asarray(tier.up.bias)) for tier in tiers]
        taps = np.split(matrices(sound.recent.kernel), sound.taps)
        table = np.stack([token_table(sound.embedding) @ tap for tap in taps])
        if sound.hidden:
            table, ups[-1] = _folded(table, *ups[-1], *map(np.asarray, (sound.hidden[0].kernel, sound.hidden[0].bias)))
        after, width = sound.hidden[1:], table.shape[-1]
        hidden = np.zeros((len(after), width, width), np.float32), np.zeros((len(after), width), np.float32)
        for i, dense in enumerate(after):
            hidden[0][i], hidden[1][i] = dense.kernel, dense.bias
        entry = tuple(packed(tier.entry.kernel) for tier in tiers), _stacked([tier.entry.bias for tier in tiers])
        # Of what a tier hands down, the biases side by side, filled up with zeros.
        handed = np.array([len(bias) for _, bias in ups])
        biases = _stacked([np.pad(bias, (0, handed.max() - len(bias))) for _, bias in ups])
        up = tuple(packed(kernel) for kernel, _ in ups), biases, handed
        logits = packed(sound.logits.kernel), matrices(sound.logits.bias)
        lstm = True if sound.cell == "lstm" else None
        self._weights = Weights(
            lstm, sizes, *entry, *recurrent, *up, matrices(table), len(sound.hidden) > 0,
            packed(hidden[0]), hidden[1], *logits,
            self.decode, _stacked([layer.initial for layer in layers]),
        )  # fmt: skip

    def buffers(self, state: list) -> np.ndarray:
        """States of the graph ([batch, s] a layer of each tier) as [batch, layers of all tiers, s]."""
        return np.stack([np.asarray(layer) for tier in state for layer in tier], axis=1)

    def work(self) -> Work:
        """What a sample takes, for `zoo.parts`."""
        w, gates = self._weights, self._weights.given_bias.shape[-1]
        width, heads, depth = gates // (4 if w.lstm else 3), w.hidden_bias.shape[-1], len(w.given_bias) // len(w.sizes)
        products, cells = [], 0.0
        for tier, size in enumerate(w.sizes):
            steps, own = 1.0 / size, slice(tier * depth, (tier + 1) * depth)
            layers = steps * depth
            products += [
                Product.of_one(w.entry[tier], size, width, steps),
                Product(nth_of(w.given, own), width, gates, layers),
                Product(nth_of(w.recalled, own), width, gates, layers),
                Product.of_one(w.up[tier], width, w.handed[tier], steps),
            ]
            cells += layers
        if len(w.hidden_bias):
            products.append(Product(w.hidden, heads, heads, len(w.hidden_bias)))
        products.append(Product.of_one(w.logits, heads, len(w.logits_bias)))
        state, pre = np.zeros(w.initial.shape[-1], np.float32), np.zeros(gates, np.float32)
        step = functools.partial(_cells, state, pre, pre.copy(), w.lstm)
        return Work(products, [(step, cells)], len(w.logits_bias))

    def speak_rows(self, *batch) -> None:
        _speak_rows(*batch, self._weights, self._scratch())

    def _scratch(self) -> Scratch:
        w, n, gates = self._weights, self._weights.entry_bias.shape[-1], self._weights.given_bias.shape[-1]
        heard, width, parameters = self._context_samples + self.hop, w.table.shape[2], len(w.logits_bias)
        shapes = heard, heard, w.up_bias.shape, n, gates, gates, width, width, parameters, parameters
        room = room_for(w.logits, max(n, width, w.sizes[0]))
        return Scratch(*(np.empty(shape, np.float32) for shape in shapes), room)


def _folded(table, up, up_bias, kernel, bias):
    """Table, and matrix and bias of the last tier, with the perceptron's first layer in them: nothing bends between."""
    inputs = len(kernel)
    up = (up.reshape(len(up), -1, inputs) @ kernel).reshape(len(up), -1)
    return table @ kernel, (up, (up_bias.reshape(-1, inputs) @ kernel + bias).reshape(-1))


def _stacked(weights: list) -> np.ndarray:
    return np.stack([matrices(weight) for weight in weights])


@part
def _gru(state, given, recalled):
    n = state.shape[0]
    for i in range(n):
        update, reset = sigmoid(given[i] + recalled[i]), sigmoid(given[n + i] + recalled[n + i])
        candidate = tanh(given[2 * n + i] + reset * recalled[2 * n + i])
        state[i] = update * state[i] + (_ONE - update) * candidate


@part
def _lstm(state, given, recalled):
    n = state.shape[0] // 2
    for i in range(n):
        enter, forget = sigmoid(given[i] + recalled[i]), sigmoid(given[n + i] + recalled[n + i])
        candidate, leave = tanh(given[2 * n + i] + recalled[2 * n + i]), sigmoid(given[3 * n + i] + recalled[3 * n + i])
        state[n + i] = forget * state[n + i] + enter * candidate
        state[i] = leave * tanh(state[n + i])


@compiled
def _cells(state, given, recalled, lstm, times):
    for _ in range(times):
        _step(state, given, recalled, lstm)


@part
def _step(state, given, recalled, lstm):
    if lstm is None:
        _gru(state, given, recalled)
    else:
        _lstm(state, given, recalled)


@inlined
def _advance(state, first, last, weights, scratch):
    """One step of the layers of a tier, from the first on: x [n] becomes the output, state [layers, s] goes on."""
    w, x, given, recalled, room = weights, scratch.x, scratch.given, scratch.recalled, scratch.room
    n = x.shape[0]
    for layer in range(first, last):
        own = state[layer]
        fill(given, w.given_bias[layer])
        add_nth_product(given, operand(x, room), w.given, layer)
        fill(recalled, w.recalled_bias[layer])
        add_nth_product(recalled, operand(span(own, 0, n), room), w.recalled, layer)
        _step(own, given, recalled, w.lstm)
        fill(x, own)


@inlined
def _speak(frame, past, conditions, state, uniforms, inverse_temperature, told, predicted, weights, scratch):
    """Fills one frame of one speaker; state [layers of all tiers, s] goes on."""
    w, tokens, sound, below, x = weights, scratch.tokens, scratch.sound, scratch.below, scratch.x
    head, rectified, scores, room = scratch.head, scratch.rectified, scratch.scores, scratch.room
    heard, taps, width, depth = past.shape[0], w.table.shape[0], w.table.shape[2], len(w.given_bias) // len(w.sizes)
    for k in range(heard):
        tokens[k], sound[k] = past[k], _TWO * as_sound(past[k], w.decode)
    for i in range(frame.shape[0]):
        now = heard + i
        for tier in range(len(w.sizes)):
            size = w.sizes[tier]
            if i % size == 0:
                fill(x, w.entry_bias[tier])
                if tier == 0:
                    add(x, conditions[i // size])
                else:
                    at = i % w.sizes[tier - 1] // size * x.shape[0]
                    add(x, span(below[tier - 1], at, x.shape[0]))
                add_product(x, operand(span(sound, now - size, size), room), w.entry[tier])
                _advance(state, tier * depth, (tier + 1) * depth, weights, scratch)
                told_below = span(below[tier], 0, w.handed[tier])
                fill(told_below, w.up_bias[tier])
                add_product(told_below, operand(x, room), w.up[tier])
        at = i % taps * width
        fill(head, span(below[-1], at, width))
        for k in range(taps):
            add_token(head, tokens[now - taps + k], w.table[k])
        if w.is_folded:
            rectify(head)
        for layer in range(len(w.hidden_bias)):
            fill(rectified, w.hidden_bias[layer])
            add_nth_product(rectified, operand(head, room), w.hidden, layer)
            rectify(rectified)
            fill(head, rectified)
        fill(scores, w.logits_bias)
        add_product(scores, operand(head, room), w.logits)
        tokens[now] = draw(scores, uniforms[i], inverse_temperature, scratch.shares, w.decode)
        if told.shape[0]:
            fill(predicted[i], scores)
            tokens[now] = told[i]
        frame[i] = as_sound(tokens[now], w.decode)
        sound[now] = _TWO * frame[i]


@compiled
def _speak_rows(
    rows, frames, past, gate, conditions, states, uniforms, inverse_temperature, told, predicted, weights, scratch
):
    for row in rows:
        if gate[row]:
            _speak(
                frames[row], past[row], conditions[row], states[row], uniforms[row], inverse_temperature, told[row],
                predicted[row], weights, scratch,
            )  # fmt: skip
        else:
            for layer in range(len(weights.initial)):
                fill(states[row, layer], weights.initial[layer])
