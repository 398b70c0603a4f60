"""SampleRNN's sample loop as one compiled function.

`SampleTiers.sample_frame` is the reference; the parity test holds this to it. What the perceptron makes of a token at
one of its taps is looked up: the embedding and its parts of the first two products are one table.
"""

import functools

import numpy as np

from zoo.compiling import compiled, compiled_with_arrays, inlined, part
from zoo.fused import FusedSound, add, add_token, as_sound, draw, fill, rectify, sigmoid, tanh, token_table
from zoo.parts import Product, Work
from zoo.products import add_product, matrices, nth, nth_of, operand, room_for

_TWO = np.float32(2.0)
_ONE = np.float32(1.0)


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
        self._initial = _stacked([layer.initial for layer in layers])
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
        # What is None is left out of the loop when it is compiled.
        lstm = True if sound.cell == "lstm" else None
        self._weights = (
            lstm, sizes, *entry, *recurrent, *up, matrices(table), len(sound.hidden) > 0,
            packed(hidden[0]), hidden[1], *logits,
            self.decode, self._initial,
        )  # fmt: skip

    def buffers(self, state: list) -> np.ndarray:
        """States of the graph ([batch, s] a layer of each tier) as [batch, layers of all tiers, s]."""
        return np.stack([np.asarray(layer) for tier in state for layer in tier], axis=1)

    def work(self) -> Work:
        """What a sample takes, for `zoo.parts`."""
        lstm, sizes, entry, _, given, bias, recalled, _, up, _, handed, *_ = self._weights
        hidden, hidden_bias, logits, logits_bias = self._weights[-6:-2]
        width, heads, depth = bias.shape[-1] // (4 if lstm else 3), hidden_bias.shape[-1], len(bias) // len(sizes)
        products, cells = [], 0.0
        for tier, size in enumerate(sizes):
            steps, own = 1.0 / size, slice(tier * depth, (tier + 1) * depth)
            layers = steps * depth
            products += [
                Product.of_one(entry[tier], size, width, steps),
                Product(nth_of(given, own), width, bias.shape[-1], layers),
                Product(nth_of(recalled, own), width, bias.shape[-1], layers),
                Product.of_one(up[tier], width, handed[tier], steps),
            ]
            cells += layers
        if len(hidden_bias):
            products.append(Product(hidden, heads, heads, len(hidden_bias)))
        products.append(Product.of_one(logits, heads, len(logits_bias)))
        state, pre = np.zeros(self._initial.shape[-1], np.float32), np.zeros(bias.shape[-1], np.float32)
        step = functools.partial(_cells, state, pre, pre.copy(), lstm)
        return Work(products, [(step, cells)], len(logits_bias))

    def speak_rows(self, *batch) -> None:
        _speak_rows(*batch, *self._weights)


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
def _advance(x, state, first, last, lstm, kernel, bias, own_kernel, own_bias, room):
    """One step of the layers of a tier, from the first on: x [n] becomes the output, state [layers, s] goes on."""
    n = x.shape[0]
    given, recalled = np.empty(bias.shape[1], np.float32), np.empty(bias.shape[1], np.float32)
    for layer in range(first, last):
        own = state[layer]
        fill(given, bias[layer])
        add_product(given, operand(x, room), nth(kernel, layer))
        fill(recalled, own_bias[layer])
        add_product(recalled, operand(own[:n], room), nth(own_kernel, layer))
        _step(own, given, recalled, lstm)
        fill(x, own)


@inlined
def _speak(
    frame, past, conditions, state, uniforms, inverse_temperature, told, predicted,
    lstm, sizes, entry, entry_bias, given, given_bias, recalled, recalled_bias, up, up_bias, handed,
    table, is_folded, hidden, hidden_bias, logits, logits_bias, decode,
):  # fmt: skip
    """Fills one frame of one speaker; state [layers of all tiers, s] goes on."""
    span, taps, width = past.shape[0], table.shape[0], table.shape[2]
    tokens = np.empty(span + frame.shape[0], np.float32)
    fill(tokens, past)
    sound = np.empty(tokens.shape[0], np.float32)
    for k in range(span):
        sound[k] = _TWO * as_sound(past[k], decode)
    below, depth = np.empty(up_bias.shape, np.float32), given_bias.shape[0] // sizes.shape[0]
    x = np.empty(conditions.shape[1], np.float32)
    head, rectified = np.empty(width, np.float32), np.empty(width, np.float32)
    scores = np.empty(logits_bias.shape[0], np.float32)
    shares = np.empty(logits_bias.shape[0], np.float32)
    room = room_for(logits, max(x.shape[0], width, sizes[0]))
    for i in range(frame.shape[0]):
        now = span + i
        for tier in range(sizes.shape[0]):
            size = sizes[tier]
            if i % size == 0:
                fill(x, entry_bias[tier])
                if tier == 0:
                    add(x, conditions[i // size])
                else:
                    at = i % sizes[tier - 1] // size * x.shape[0]
                    add(x, below[tier - 1, at : at + x.shape[0]])
                add_product(x, operand(sound[now - size : now], room), entry[tier])
                first = tier * depth
                _advance(
                    x, state, first, first + depth, lstm, given, given_bias, recalled, recalled_bias, room
                )  # fmt: skip
                told_below = below[tier, : handed[tier]]
                fill(told_below, up_bias[tier])
                add_product(told_below, operand(x, room), up[tier])
        at = i % taps * width
        fill(head, below[-1, at : at + width])
        for k in range(taps):
            add_token(head, tokens[now - taps + k], table[k])
        if is_folded:
            rectify(head)
        for layer in range(hidden_bias.shape[0]):
            fill(rectified, hidden_bias[layer])
            add_product(rectified, operand(head, room), nth(hidden, layer))
            rectify(rectified)
            fill(head, rectified)
        fill(scores, logits_bias)
        add_product(scores, operand(head, room), logits)
        tokens[now] = draw(scores, uniforms[i], inverse_temperature, shares, decode)
        if told.shape[0]:
            fill(predicted[i], scores)
            tokens[now] = told[i]
        frame[i] = as_sound(tokens[now], decode)
        sound[now] = _TWO * frame[i]


@compiled_with_arrays
def _speak_rows(
    rows, frames, past, gate, conditions, states, uniforms, inverse_temperature, told, predicted,
    lstm, sizes, entry, entry_bias, given, given_bias, recalled, recalled_bias, up, up_bias, handed,
    table, is_folded, hidden, hidden_bias, logits, logits_bias, decode, initial,
):  # fmt: skip
    for row in rows:
        if gate[row]:
            _speak(
                frames[row], past[row], conditions[row], states[row], uniforms[row], inverse_temperature,
                told[row], predicted[row],
                lstm, sizes, entry, entry_bias, given, given_bias, recalled, recalled_bias, up, up_bias, handed,
                table, is_folded, hidden, hidden_bias, logits, logits_bias, decode,
            )  # fmt: skip
        else:
            for layer in range(initial.shape[0]):
                fill(states[row, layer], initial[layer])
