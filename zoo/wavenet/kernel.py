"""WaveNet's sample loop as one compiled function: same weights and random numbers as the graph, no graph.

The part that nv-wavenet plays on a GPU, on a CPU by numba. `DilatedSound.sample_frame` is the reference; the parity
test holds this to it. tanh is a rational fit with an error below 4e-6 on the whole line.
"""

import concurrent.futures
import math
import os

import numba
import numpy as np
import tensorflow as tf

from zoo.layers import LEVELS

_TANH_LIMIT = np.float32(8.5)
_P0, _P1, _P2, _P3 = (np.float32(c) for c in (0.999983549, 0.120968923, 2.10208446e-3, 3.17574677e-6))
_Q1, _Q2, _Q3 = (np.float32(c) for c in (0.454251647, 0.0202323962, 1.24105980e-4))
# Python's division by zero would keep the loops from being vectorised.
_compiled = numba.njit(fastmath=True, nogil=True, cache=True, error_model="numpy")
_ONE, _HALF = np.float32(1.0), np.float32(0.5)


class FusedSound:
    """The sound tier of a WaveNet, for a batch of independent speakers.

    Args:
        sound: `zoo.wavenet.sound.DilatedSound`, whose weights are copied.
    """

    def __init__(self, sound):
        layers = sound.stack.stack
        self.hop = sound.hop
        kernel = np.stack([np.asarray(layer.conv.kernel) for layer in layers])
        bias = np.stack([np.asarray(layer.conv.bias) for layer in layers])
        out = np.stack([np.asarray(layer.out.kernel) for layer in layers])
        out_bias = np.stack([np.asarray(layer.out.bias) for layer in layers])
        dilations = np.array([layer.conv.dilation for layer in layers])
        self._starts = np.concatenate([[0], np.cumsum(dilations + self.hop)]).astype(np.int64)
        tables = (np.asarray(table.embeddings) for table in (sound.now, sound.before))
        head = (np.asarray(w) for dense in (sound.hidden, sound.logits) for w in (dense.kernel, dense.bias))
        decode = sound.coding.decode(tf.range(LEVELS)).numpy()
        self._edges = sound.coding.edges().numpy()
        self._weights = (kernel, bias, out, out_bias, dilations, self._starts, *tables, *head, decode)
        self._channels = sound.stack.channels
        self._cores = len(os.sched_getaffinity(0))
        self._pool = concurrent.futures.ThreadPoolExecutor(self._cores)

    def buffers(self, histories: list) -> np.ndarray:
        """Histories of the graph ([batch, dilation, channels] a layer) as one array with room for a frame each."""
        buffers = np.zeros((len(histories[0]), self._starts[-1], self._channels), np.float32)
        for start, history in zip(self._starts, histories, strict=False):
            buffers[:, start : start + history.shape[1]] = np.asarray(history)
        return buffers

    def generate(self, past, gate, conditions, buffers, uniforms, temperature: float) -> np.ndarray:
        """One frame of each row whose gate is open, as `DilatedSound.generate`; `buffers` go on in place.

        Args:
            past: float32 [batch, hop], the frame before.
            gate: bool [batch].
            conditions: float32 [batch, layers, 2 * channels].
            buffers: as `buffers` makes them.
            uniforms: float32 [batch, hop].

        Returns:
            float32 [batch, hop], zeros where the gate is shut.
        """
        frames = np.zeros_like(uniforms)
        levels = np.searchsorted(self._edges, past[:, -2:], side="right")
        inputs = levels, gate, conditions, buffers, uniforms

        def work(rows):
            _speak_rows(rows, frames, *inputs, np.float32(1.0 / temperature), *self._weights)

        # Open rows are the work; dealt out in turn, each core has its share of them.
        order = np.argsort(~gate, kind="stable")
        shares = [order[core :: self._cores] for core in range(min(self._cores, len(order)))]
        list(self._pool.map(work, shares)) if len(shares) > 1 else work(order)
        return frames


@_compiled
def _tanh(x):
    x = min(max(x, -_TANH_LIMIT), _TANH_LIMIT)
    z = x * x
    return x * (_P0 + z * (_P1 + z * (_P2 + z * _P3))) / (_ONE + z * (_Q1 + z * (_Q2 + z * _Q3)))


@_compiled
def _add_product(total, vector, matrix):
    """total += vector @ matrix; the inner loop runs along contiguous memory."""
    for i in range(vector.shape[0]):
        value = vector[i]
        for j in range(total.shape[0]):
            total[j] += value * matrix[i, j]


@_compiled
def _sample(logits, uniform, inverse_temperature, cumulative):
    """Inverse-CDF draw from a softmax."""
    highest = logits[0]
    for i in range(1, LEVELS):
        highest = max(highest, logits[i])
    total = np.float32(0.0)
    for i in range(LEVELS):
        total += math.exp((logits[i] - highest) * inverse_temperature)
        cumulative[i] = total
    threshold, level = uniform * total, 0
    for i in range(LEVELS - 1):
        level += cumulative[i] < threshold
    return level


@_compiled
def _add(total, part):
    for i in range(total.shape[0]):
        total[i] += part[i]


@_compiled
def _rectify(x):
    for i in range(x.shape[0]):
        x[i] = max(x[i], np.float32(0.0))


@_compiled
def _speak(
    frame, past, conditions, buffer, uniforms, inverse_temperature,
    kernel, bias, out, out_bias, dilations, starts, now, before, hidden, hidden_bias, logits, logits_bias, decode,
):  # fmt: skip
    """Fills one frame of one speaker; `buffer` holds each layer's past inputs and takes the new ones."""
    channels = now.shape[1]
    taps = np.empty(2 * channels, np.float32)
    pre = np.empty(2 * channels, np.float32)
    gated = np.empty(channels, np.float32)
    both = np.empty(out.shape[2], np.float32)
    skips = np.empty(out.shape[2] - channels, np.float32)
    head = np.empty(hidden.shape[1], np.float32)
    scores = np.empty(LEVELS, np.float32)
    cumulative = np.empty(LEVELS, np.float32)
    older, newer = past
    x = taps[channels:]
    for i in range(frame.shape[0]):
        skips[:] = np.float32(0.0)
        x[:] = now[newer]
        _add(x, before[older])
        for layer in range(len(dilations)):
            row = starts[layer] + i
            taps[:channels] = buffer[row]
            buffer[row + dilations[layer]] = x
            pre[:] = conditions[layer]
            _add(pre, bias[layer])
            _add_product(pre, taps, kernel[layer])
            for c in range(channels):
                gated[c] = _tanh(pre[c]) * (_HALF + _HALF * _tanh(_HALF * pre[channels + c]))
            both[:] = out_bias[layer]
            _add_product(both, gated, out[layer])
            _add(x, both[:channels])
            _add(skips, both[channels:])
        _rectify(skips)
        head[:] = hidden_bias
        _add_product(head, skips, hidden)
        _rectify(head)
        scores[:] = logits_bias
        _add_product(scores, head, logits)
        older, newer = newer, _sample(scores, uniforms[i], inverse_temperature, cumulative)
        frame[i] = decode[newer]


@_compiled
def _speak_rows(
    rows, frames, past, gate, conditions, buffers, uniforms, inverse_temperature,
    kernel, bias, out, out_bias, dilations, starts, now, before, hidden, hidden_bias, logits, logits_bias, decode,
):  # fmt: skip
    """Some rows of a batch, one after the other, and then their buffers moved on by a frame."""
    hop = frames.shape[1]
    for row in rows:
        buffer = buffers[row]
        if gate[row]:
            _speak(
                frames[row], past[row], conditions[row], buffer, uniforms[row], inverse_temperature,
                kernel, bias, out, out_bias, dilations, starts, now, before, hidden, hidden_bias,
                logits, logits_bias, decode,
            )  # fmt: skip
        for layer in range(len(dilations)):
            start, steps = starts[layer], dilations[layer]
            if not gate[row]:
                buffer[start + steps : start + steps + hop] = np.float32(0.0)
            for i in range(steps):
                buffer[start + i] = buffer[start + hop + i]
