"""WaveNet's sample loop as one compiled function.

`DilatedSound.sample_frame` is the reference; the parity test holds this to it.
"""

import functools
from typing import Any, NamedTuple

import numpy as np

from zoo.compiling import compiled, inlined
from zoo.fused import FusedSound, add, add_token, as_sound, clear, draw, fill, pass_gates, rectify, token_table
from zoo.parts import Product, Work
from zoo.products import add_nth_product, add_product, matrices, operand, room_for


class Weights(NamedTuple):
    """What the loop reads; matrices as of `zoo.products.matrices`.

    Attributes:
        taps: matrices [layers, 2 channels, 2 channels], of the older and the newer input of a layer.
        out: matrices [layers, channels, channels + skips], of what passes its gate, for residual and skip.
        bias, residual_bias, skip_bias: [layers, 2 channels], [layers, channels] and, of all layers, [skips].
        dilations, starts: int64 [layers] and [layers + 1], samples, and where in the buffer a layer's inputs lie.
        now, before: of the newest token and the one before, for `zoo.fused.add_token`.
        hidden, hidden_bias, logits, logits_bias: of the head, [skips, heads] and [heads, parameters].
        decode: sound of a level [256], or None.
    """

    taps: Any
    out: Any
    bias: np.ndarray
    residual_bias: np.ndarray
    skip_bias: np.ndarray
    dilations: np.ndarray
    starts: np.ndarray
    now: np.ndarray
    before: np.ndarray
    hidden: Any
    hidden_bias: np.ndarray
    logits: Any
    logits_bias: np.ndarray
    decode: np.ndarray | None


class Scratch(NamedTuple):
    """What the loop writes on while it makes a sample.

    Attributes:
        held: [positions, layers, 2 channels], conditions and biases of a frame.
        inputs: [2 channels], of a layer: `older` and `newer` are its halves.
        pre, passed: before and after the gates of a layer, [2 channels] and [channels].
        outputs: [channels + skips], of which `x` is the residual, and `skips` their sum.
        head, scores, shares: [heads], [parameters] and [parameters].
        room: for the operands of products.
    """

    held: np.ndarray
    inputs: np.ndarray
    older: np.ndarray
    newer: np.ndarray
    pre: np.ndarray
    passed: np.ndarray
    outputs: np.ndarray
    x: np.ndarray
    skips: np.ndarray
    head: np.ndarray
    scores: np.ndarray
    shares: np.ndarray
    room: np.ndarray | None


class FusedDilatedSound(FusedSound):
    """The sound tier of a WaveNet.

    Args:
        sound: `zoo.wavenet.sound.DilatedSound`.
        bits: of a weight (`zoo.products`).
    """

    def __init__(self, sound, bits: int = 32):
        super().__init__(sound, context_samples=2)
        layers, channels = sound.stack.stack, sound.stack.channels
        # Each layer is two products: of the older and the newer input, and of what passes the gate, for residual and
        # skip.
        taps = np.stack([np.asarray(layer.conv.kernel) for layer in layers])
        bias = np.stack([np.asarray(layer.conv.bias) for layer in layers])
        out = np.stack([np.asarray(layer.out.kernel) for layer in layers])
        out_bias = np.stack([np.asarray(layer.out.bias) for layer in layers])
        biases = bias, np.ascontiguousarray(out_bias[:, :channels]), out_bias[:, channels:].sum(axis=0)
        dilations = np.array([layer.conv.dilation for layer in layers])
        self._starts = np.concatenate([[0], np.cumsum(dilations + self.hop)]).astype(np.int64)
        tables = token_table(sound.now), token_table(sound.before)
        head = (
            part
            for dense in (sound.hidden, sound.logits)
            for part in (matrices(dense.kernel, bits), np.asarray(dense.bias))
        )
        products = matrices(taps, bits), matrices(out, bits)
        self._weights = Weights(*products, *biases, dilations, self._starts, *tables, *head, self.decode)
        self._channels, self._skips = channels, out.shape[-1] - channels

    def buffers(self, state: list) -> np.ndarray:
        """Histories of the graph ([batch, dilation, channels] a layer) with room for a frame each."""
        buffers = np.zeros((len(state[0]), self._starts[-1], self._channels), np.float32)
        for start, history in zip(self._starts, state, strict=False):
            buffers[:, start : start + history.shape[1]] = np.asarray(history)
        return buffers

    def work(self) -> Work:
        """What a sample takes, for `zoo.parts`."""
        weights, layers, skips = self._weights, len(self._weights.bias), self._skips
        heads, parameters = len(weights.hidden_bias), len(weights.logits_bias)
        products = [
            Product(weights.taps, 2 * self._channels, 2 * self._channels, layers),
            Product(weights.out, self._channels, self._channels + skips, layers),
            Product.of_one(weights.hidden, skips, heads),
            Product.of_one(weights.logits, heads, parameters),
        ]
        pre = np.zeros(2 * self._channels, np.float32)
        gates = functools.partial(_gates, pre, pre[self._channels :].copy())
        return Work(products, [(gates, layers)], parameters)

    def speak_rows(self, rows, frames, past, gate, conditions, *batch) -> None:
        scratch = self._scratch(conditions.shape[1])
        _speak_rows(rows, frames, past, gate, conditions, *batch, self._weights, scratch)

    def _scratch(self, positions: int) -> Scratch:
        weights, n = self._weights, self._channels
        heads, parameters = len(weights.hidden_bias), len(weights.logits_bias)
        held = np.empty((positions, *weights.bias.shape), np.float32)
        sizes = 2 * n, 2 * n, n, n + self._skips, heads, parameters, parameters
        inputs, pre, passed, outputs, *rest = (np.empty(size, np.float32) for size in sizes)
        room = room_for(weights.taps, max(2 * n, self._skips, heads))
        halves, parts = (inputs[:n], inputs[n:]), (outputs[:n], outputs[n:])
        return Scratch(held, inputs, *halves, pre, passed, outputs, *parts, *rest, room)


@compiled
def _gates(pre, passed, times):
    for _ in range(times):
        pass_gates(passed, pre)


@inlined
def _speak(frame, past, conditions, buffer, uniforms, inverse_temperature, told, predicted, weights, scratch):
    """Fills one frame of one speaker; `buffer` holds each layer's past inputs and takes the new ones."""
    w, held, pre, room, x, skips = weights, scratch.held, scratch.pre, scratch.room, scratch.x, scratch.skips
    layers, older, newer = len(w.dilations), past[0], past[1]
    for position in range(held.shape[0]):
        for layer in range(layers):
            fill(held[position, layer], conditions[position, layer])
            add(held[position, layer], w.bias[layer])
    for i in range(frame.shape[0]):
        position = i * conditions.shape[0] // frame.shape[0]
        fill(skips, w.skip_bias)
        clear(x)
        add_token(x, newer, w.now)
        add_token(x, older, w.before)
        for layer in range(layers):
            row = w.starts[layer] + i
            fill(scratch.older, buffer[row])
            fill(scratch.newer, x)
            fill(buffer[row + w.dilations[layer]], x)
            fill(pre, held[position, layer])
            add_nth_product(pre, operand(scratch.inputs, room), w.taps, layer)
            pass_gates(scratch.passed, pre)
            add(x, w.residual_bias[layer])
            add_nth_product(scratch.outputs, operand(scratch.passed, room), w.out, layer)
        rectify(skips)
        fill(scratch.head, w.hidden_bias)
        add_product(scratch.head, operand(skips, room), w.hidden)
        rectify(scratch.head)
        fill(scratch.scores, w.logits_bias)
        add_product(scratch.scores, operand(scratch.head, room), w.logits)
        older, newer = newer, draw(scratch.scores, uniforms[i], inverse_temperature, scratch.shares, w.decode)
        if told.shape[0]:
            fill(predicted[i], scratch.scores)
            newer = told[i]
        frame[i] = as_sound(newer, w.decode)


@compiled
def _speak_rows(
    rows, frames, past, gate, conditions, buffers, uniforms, inverse_temperature, told, predicted, weights, scratch
):
    """Some rows of a batch, one after the other, and then their buffers moved on by a frame."""
    starts, dilations, hop = weights.starts, weights.dilations, frames.shape[1]
    for row in rows:
        buffer = buffers[row]
        if gate[row]:
            _speak(
                frames[row], past[row], conditions[row], buffer, uniforms[row], inverse_temperature, told[row],
                predicted[row], weights, scratch,
            )  # fmt: skip
        for layer in range(len(dilations)):
            start, steps = starts[layer], dilations[layer]
            if not gate[row]:
                for i in range(hop):
                    clear(buffer[start + steps + i])
            for i in range(steps):
                fill(buffer[start + i], buffer[start + hop + i])
