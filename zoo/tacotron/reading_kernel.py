"""The decoder that reads a text as one compiled loop over steps: prenet, attention, LSTMs, mel frames and the stop.

`ReadingDecoder` is the reference; the parity test holds this to it. At the paper's sizes a step reads 18 million
weights from memory, and that is its time. So those of the LSTMs are rounded to 16 bits, with a scale for each row,
which moves what is predicted by less than 1e-3.
"""

import concurrent.futures
import os
from typing import NamedTuple

import numpy as np

from zoo.compiling import compiled, compiled_with_arrays
from zoo.fused import fill
from zoo.fused_layers import array
from zoo.products import add_product
from zoo.tacotron import reading
from zoo.tacotron.cell_kernel import attend, attention_weights, drawing_of, lstm, prenet_into, prenet_weights

_LARGEST = 2**15 - 1
_ROWS = 4
_PRENET, _ATTENTION, _STACK = reading.PRENET_STREAM, reading.ATTENTION_STREAM, reading.DECODER_STREAM


class Rounded(NamedTuple):
    """A matrix of 16 bits, its rows filled up to a multiple of four.

    Attributes:
        levels: int16 [rows, columns].
        scales: float32 [rows], what a level is worth.
    """

    levels: np.ndarray
    scales: np.ndarray


def rounded(*kernels) -> Rounded:
    """Of kernels [rows, columns] one above the other."""
    weights = np.concatenate([np.asarray(kernel, np.float32) for kernel in kernels])
    weights = np.pad(weights, [(0, -len(weights) % _ROWS), (0, 0)])
    largest = np.abs(weights).max(axis=1)
    scales = np.where(largest > 0, largest, 1.0) / _LARGEST
    return Rounded(np.rint(weights / scales[:, None]).astype(np.int16), scales.astype(np.float32))


class Spelled(NamedTuple):
    """What a decoder made of texts, up to the step in which the last of them ended.

    Attributes:
        frames: float32 [batch, steps, reduction * mel_bands].
        stop: float32 [batch, steps], logits.
        alignment: float32 [batch, steps, letters].
        n_steps: int32 [batch], of each text.
        stopped: bool [batch], whether it found the end by itself.
    """

    frames: np.ndarray
    stop: np.ndarray
    alignment: np.ndarray
    n_steps: np.ndarray
    stopped: np.ndarray


class FusedReadingDecoder:
    """A `ReadingDecoder`, compiled.

    Args:
        decoder: `zoo.tacotron.reading.ReadingDecoder`; its weights are copied.
    """

    def __init__(self, decoder):
        self._mel_bands, self._outputs = decoder.mel_bands, decoder.frames.units
        attention, stack = decoder.attention, decoder.stack
        recalled, *weights = attention.attention
        self._keys, self._memory_channels = attention.keys, attention.memory_channels
        self._weights = (
            prenet_weights(decoder.prenet),
            rounded(attention.given.kernel, recalled), array(attention.given.bias),
            attention_weights(weights),
            tuple(rounded(layer.kernel, own) for layer, own in zip(stack.given, stack.recalled, strict=True)),
            tuple(array(layer.bias) for layer in stack.given),
            (array(decoder.frames.kernel), array(decoder.frames.bias)),
            (array(decoder.stop.kernel), array(decoder.stop.bias)),
            np.float32(decoder.zoneout),
        )  # fmt: skip

    def compile(self) -> None:
        """Compiles the loop, or reads it from the cache, by a text of which no step is made."""
        told, memory = np.zeros((0, self._mel_bands), np.float32), np.zeros((1, self._memory_channels), np.float32)
        made = np.zeros((0, self._outputs), np.float32), np.zeros(0, np.float32), np.zeros((0, 1), np.float32)
        keys = np.zeros((1, self._keys.units), np.float32)
        _read(*made, memory, keys, told, np.uint32(0), np.uint32(0), *self._weights)

    def spell(self, memory, n_letters, most, seed: int, told=None) -> Spelled:
        """Reads texts, a core for each.

        Args:
            memory: float32 [batch, letters, memory_channels], the encoded texts.
            n_letters: int [batch], of each.
            most: int [batch], steps after which each is cut off.
            seed: of dropout and zoneout.
            told: None, or float32 [batch, steps, mel_bands]: the last frame of the step before each, standardised,
                instead of that predicted; then each text takes all of its steps.
        """
        memory = np.ascontiguousarray(memory, np.float32)
        keys = np.ascontiguousarray(self._keys(memory), np.float32)
        batch, letters, steps = *memory.shape[:2], int(np.max(most))
        frames, stop = np.zeros((batch, steps, self._outputs), np.float32), np.zeros((batch, steps), np.float32)
        alignment = np.zeros((batch, steps, letters), np.float32)
        told = np.zeros((batch, 0, self._mel_bands), np.float32) if told is None else np.asarray(told, np.float32)

        def read(row: int) -> int:
            n, until = int(n_letters[row]), int(most[row])
            given = memory[row, :n], keys[row, :n], told[row], np.uint32(seed % 2**32), np.uint32(row)
            return _read(frames[row, :until], stop[row], alignment[row], *given, *self._weights)

        with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            n_steps = np.array(list(pool.map(read, range(batch))), np.int32)
        last = max(int(n_steps.max()), 1)
        stopped = stop[np.arange(batch), np.maximum(n_steps, 1) - 1] > 0
        return Spelled(frames[:, :last], stop[:, :last], alignment[:, :last], n_steps, stopped)


@compiled_with_arrays
def _read(
    frames, stops, alignments, memory, keys, told, seed, row,
    prenet, recurrence, recurrence_bias, attention, stack, stack_bias, mel, stop, zoneout,
):  # fmt: skip
    """Steps of one text, until it stops or `frames` is full; returns their number."""
    letters, n, m = memory.shape[0], recurrence_bias.shape[0] // 4, memory.shape[1]
    layers, units = len(stack_bias), stack_bias[0].shape[0] // 4
    bands, width = told.shape[1], prenet[1][-1].shape[0]
    # What each product reads lies in one vector: what is given, the state, and zeros up to a multiple of four.
    x = np.zeros(recurrence.scales.shape[0], np.float32)
    hidden, context = x[width : width + n], x[width + n : width + n + m]
    cell, cells = np.zeros(n, np.float32), np.zeros((layers, units), np.float32)
    deepest = 0
    for layer in range(layers):
        deepest = max(deepest, stack[layer].scales.shape[0])
    given = np.zeros((layers, deepest), np.float32)
    out = np.zeros(units + m, np.float32)
    pre = np.empty(4 * max(n, units), np.float32)
    before, no_lag = np.zeros(bands, np.float32), np.zeros(letters, np.float32)
    aligned, attended = np.zeros(letters, np.float32), np.zeros(letters, np.float32)
    for t in range(frames.shape[0]):
        if told.shape[0]:
            fill(before, told[t])
        prenet_into(x[:width], before, prenet, seed, _PRENET, t, row)
        fill(pre[: 4 * n], recurrence_bias)
        _add_rounded(pre[: 4 * n], x, recurrence.levels, recurrence.scales)
        lstm(pre[: 4 * n], hidden, cell, zoneout, drawing_of(seed, _ATTENTION, t, row), 0)
        attend(alignments[t], context, hidden, memory, keys, aligned, attended, no_lag, attention)
        fill(given[0, :n], hidden)
        fill(given[0, n : n + m], context)
        entered = n + m
        for layer in range(layers):
            own = given[layer, entered : entered + units]
            fill(pre[: 4 * units], stack_bias[layer])
            rows = stack[layer].scales.shape[0]
            _add_rounded(pre[: 4 * units], given[layer, :rows], stack[layer].levels, stack[layer].scales)
            lstm(pre[: 4 * units], own, cells[layer], zoneout, drawing_of(seed, _STACK, t, row), 2 * units * layer)
            if layer + 1 < layers:
                fill(given[layer + 1, :units], own)
                entered = units
            else:
                fill(out[:units], own)
        fill(out[units:], context)
        fill(frames[t], mel[1])
        add_product(frames[t], out, mel[0])
        fill(stops[t : t + 1], stop[1])
        add_product(stops[t : t + 1], out, stop[0])
        if told.shape[0] == 0:
            fill(before, frames[t, frames.shape[1] - bands :])
            if stops[t] > np.float32(0.0):
                return t + 1
    return frames.shape[0]


@compiled
def _add_rounded(total, vector, levels, scales):
    """total += vector @ matrix, of a `Rounded`."""
    for i in range(0, levels.shape[0], _ROWS):
        a, b = vector[i] * scales[i], vector[i + 1] * scales[i + 1]
        c, d = vector[i + 2] * scales[i + 2], vector[i + 3] * scales[i + 3]
        for j in range(total.shape[0]):
            one = a * np.float32(levels[i, j]) + b * np.float32(levels[i + 1, j])
            two = c * np.float32(levels[i + 2, j]) + d * np.float32(levels[i + 3, j])
            total[j] += one + two
