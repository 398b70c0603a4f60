"""WaveNet's sample loop as one compiled function.

`DilatedSound.sample_frame` is the reference; the parity test holds this to it.
"""

import functools

import numpy as np

from zoo.compiling import compiled, compiled_with_arrays, inlined, part
from zoo.fused import FusedSound, add, add_token, as_sound, draw, fill, gated, rectify, token_table
from zoo.parts import Product, Work
from zoo.products import add_product, matrices, nth, operand, room_for


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
        self._weights = (*products, *biases, dilations, self._starts, *tables, *head, self.decode)
        self._channels, self._skips = channels, out.shape[-1] - channels

    def buffers(self, state: list) -> np.ndarray:
        """Histories of the graph ([batch, dilation, channels] a layer) with room for a frame each."""
        buffers = np.zeros((len(state[0]), self._starts[-1], self._channels), np.float32)
        for start, history in zip(self._starts, state, strict=False):
            buffers[:, start : start + history.shape[1]] = np.asarray(history)
        return buffers

    def work(self) -> Work:
        """What a sample takes, for `zoo.parts`."""
        taps, out, bias, *_ = self._weights
        *_, hidden, hidden_bias, logits, logits_bias, _ = self._weights
        layers, skips, heads = len(bias), self._skips, len(hidden_bias)
        products = [
            Product(taps, 2 * self._channels, 2 * self._channels, layers),
            Product(out, self._channels, self._channels + skips, layers),
            Product.of_one(hidden, skips, heads),
            Product.of_one(logits, heads, len(logits_bias)),
        ]
        pre = np.zeros(2 * self._channels, np.float32)
        gates = functools.partial(_gates, pre, pre[self._channels :].copy())
        return Work(products, [(gates, layers)], len(logits_bias))

    def speak_rows(self, *batch) -> None:
        _speak_rows(*batch, *self._weights)


@part
def pass_gates(passed, pre):
    """passed [n] = tanh(pre[:n]) sigmoid(pre[n:])."""
    n = passed.shape[0]
    for c in range(n):
        passed[c] = gated(pre[c], pre[n + c])


@compiled
def _gates(pre, passed, times):
    for _ in range(times):
        pass_gates(passed, pre)


@inlined
def _speak(
    frame, past, conditions, buffer, uniforms, inverse_temperature, told, predicted,
    taps, out, bias, residual_bias, skip_bias, dilations, starts, now, before,
    hidden, hidden_bias, logits, logits_bias, decode,
):  # fmt: skip
    """Fills one frame of one speaker; `buffer` holds each layer's past inputs and takes the new ones."""
    channels, layers = now.shape[1], len(dilations)
    inputs = np.empty(2 * channels, np.float32)
    older_x, newer_x = inputs[:channels], inputs[channels:]
    pre = np.empty(2 * channels, np.float32)
    passed = np.empty(channels, np.float32)
    outputs = np.empty(channels + skip_bias.shape[0], np.float32)
    x, skips = outputs[:channels], outputs[channels:]
    head = np.empty(hidden_bias.shape[0], np.float32)
    scores = np.empty(logits_bias.shape[0], np.float32)
    shares = np.empty(logits_bias.shape[0], np.float32)
    room = room_for(taps, max(2 * channels, skips.shape[0], head.shape[0]))
    older, newer = past[0], past[1]
    held = np.empty(conditions.shape, np.float32)
    for position in range(held.shape[0]):
        for layer in range(layers):
            fill(held[position, layer], conditions[position, layer])
            add(held[position, layer], bias[layer])
    for i in range(frame.shape[0]):
        position = i * conditions.shape[0] // frame.shape[0]
        fill(skips, skip_bias)
        for c in range(channels):
            x[c] = np.float32(0.0)
        add_token(x, newer, now)
        add_token(x, older, before)
        for layer in range(layers):
            row = starts[layer] + i
            fill(older_x, buffer[row])
            fill(newer_x, x)
            fill(buffer[row + dilations[layer]], x)
            fill(pre, held[position, layer])
            add_product(pre, operand(inputs, room), nth(taps, layer))
            pass_gates(passed, pre)
            add(x, residual_bias[layer])
            add_product(outputs, operand(passed, room), nth(out, layer))
        rectify(skips)
        fill(head, hidden_bias)
        add_product(head, operand(skips, room), hidden)
        rectify(head)
        fill(scores, logits_bias)
        add_product(scores, operand(head, room), logits)
        older, newer = newer, draw(scores, uniforms[i], inverse_temperature, shares, decode)
        if told.shape[0]:
            fill(predicted[i], scores)
            newer = told[i]
        frame[i] = as_sound(newer, decode)


@compiled_with_arrays
def _speak_rows(
    rows, frames, past, gate, conditions, buffers, uniforms, inverse_temperature, told, predicted,
    taps, out, bias, residual_bias, skip_bias, dilations, starts, now, before,
    hidden, hidden_bias, logits, logits_bias, decode,
):  # fmt: skip
    """Some rows of a batch, one after the other, and then their buffers moved on by a frame."""
    hop = frames.shape[1]
    for row in rows:
        buffer = buffers[row]
        if gate[row]:
            _speak(
                frames[row], past[row], conditions[row], buffer, uniforms[row], inverse_temperature,
                told[row], predicted[row],
                taps, out, bias, residual_bias, skip_bias, dilations, starts, now, before,
                hidden, hidden_bias, logits, logits_bias, decode,
            )  # fmt: skip
        for layer in range(len(dilations)):
            start, steps = starts[layer], dilations[layer]
            if not gate[row]:
                for i in range(hop):
                    for c in range(buffer.shape[1]):
                        buffer[start + steps + i, c] = np.float32(0.0)
            for i in range(steps):
                fill(buffer[start + i], buffer[start + hop + i])
