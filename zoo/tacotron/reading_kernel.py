"""The decoder that reads a text as one compiled loop over steps: prenet, attention, LSTMs, mel frames and the stop.

`ReadingDecoder` is the reference; the parity test holds this to it. At the paper's sizes a step reads 18 million
weights from memory, and that is its time. So those of the LSTMs are rounded to 16 bits, with a scale for each row,
which moves what is predicted by less than 1e-3.
"""

import concurrent.futures
import os
from typing import NamedTuple

import numpy as np

from zoo.compiling import compiled
from zoo.fused import fill, span
from zoo.products import add_product, array
from zoo.tacotron import reading
from zoo.tacotron.cell_kernel import (
    attend,
    attention_scratch,
    attention_weights,
    drawing_of,
    lstm,
    prenet_into,
    prenet_scratch,
    prenet_weights,
)

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


class Weights(NamedTuple):
    """What a step reads.

    Attributes:
        prenet, attention: as of `zoo.tacotron.cell_kernel`.
        recurrence, recurrence_bias: of the LSTM that asks the attention, of its inputs and its state.
        stack, stack_bias: of those that follow, of each.
        frames, stop: kernel and bias of what is predicted.
        zoneout: share of the units that stay.
    """

    prenet: tuple
    recurrence: Rounded
    recurrence_bias: np.ndarray
    attention: tuple
    stack: tuple
    stack_bias: tuple
    frames: tuple
    stop: tuple
    zoneout: np.float32


class Scratch(NamedTuple):
    """What steps carry from one to the next, zeros before the first, and what they write on.

    Attributes:
        before: [mel_bands], the last frame of the step before.
        x: what the recurrence reads: what the prenet gives, its state, the context, and zeros up to whole `_ROWS`.
        cell, cells: of the recurrence, [n], and of the stack, [layers, units].
        given: [layers, inputs], what each layer of the stack reads, its own state within.
        out: [units + m], output and context.
        pre: [4 units], gates of an LSTM.
        aligned, attended, lag: [letters], of the attention; nothing is added to its energies here.
        prenet, attention: as of `zoo.tacotron.cell_kernel`.
    """

    before: np.ndarray
    x: np.ndarray
    cell: np.ndarray
    cells: np.ndarray
    given: np.ndarray
    out: np.ndarray
    pre: np.ndarray
    aligned: np.ndarray
    attended: np.ndarray
    lag: np.ndarray
    prenet: tuple
    attention: tuple


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
        self._weights = Weights(
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
        _read(*made, memory, keys, told, np.uint32(0), np.uint32(0), self._weights, self._scratch(1))

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
            made = frames[row, :until], stop[row], alignment[row]
            return _read(*made, *given, self._weights, self._scratch(n))

        with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            n_steps = np.array(list(pool.map(read, range(batch))), np.int32)
        last = max(int(n_steps.max()), 1)
        stopped = stop[np.arange(batch), np.maximum(n_steps, 1) - 1] > 0
        return Spelled(frames[:, :last], stop[:, :last], alignment[:, :last], n_steps, stopped)

    def _scratch(self, letters: int) -> Scratch:
        w = self._weights
        n, units, m = len(w.recurrence_bias) // 4, len(w.stack_bias[0]) // 4, self._memory_channels
        layers, deepest = len(w.stack), max(len(layer.scales) for layer in w.stack)
        carried = len(w.recurrence.scales), n, (layers, units), (layers, deepest), units + m, 4 * max(n, units)
        shapes = self._mel_bands, *carried, letters, letters, letters
        parts = prenet_scratch(w.prenet), attention_scratch(w.attention, letters)
        return Scratch(*(np.zeros(shape, np.float32) for shape in shapes), *parts)


@compiled
def _read(frames, stops, alignments, memory, keys, told, seed, row, weights, scratch):
    """Steps of one text, until it stops or `frames` is full; returns their number."""
    w, x, pre, given, out, before = weights, scratch.x, scratch.pre, scratch.given, scratch.out, scratch.before
    n, m, layers, units = scratch.cell.shape[0], memory.shape[1], scratch.cells.shape[0], scratch.cells.shape[1]
    bands, width = told.shape[1], scratch.prenet[-1].shape[0]
    hidden, context = span(x, width, n), span(x, width + n, m)
    asking, gates = span(pre, 0, 4 * n), span(pre, 0, 4 * units)
    for t in range(frames.shape[0]):
        if told.shape[0]:
            fill(before, told[t])
        prenet_into(span(x, 0, width), before, w.prenet, scratch.prenet, seed, _PRENET, t, row)
        fill(asking, w.recurrence_bias)
        _add_rounded(asking, x, w.recurrence.levels, w.recurrence.scales)
        lstm(asking, hidden, scratch.cell, w.zoneout, drawing_of(seed, _ATTENTION, t, row), 0)
        attend(
            alignments[t], context, hidden, memory, keys, scratch.aligned, scratch.attended, scratch.lag,
            w.attention, scratch.attention,
        )  # fmt: skip
        fill(span(given[0], 0, n), hidden)
        fill(span(given[0], n, m), context)
        entered = n + m
        for layer in range(layers):
            own, matrix = span(given[layer], entered, units), w.stack[layer]
            fill(gates, w.stack_bias[layer])
            _add_rounded(gates, span(given[layer], 0, matrix.scales.shape[0]), matrix.levels, matrix.scales)
            drawing = drawing_of(seed, _STACK, t, row)
            lstm(gates, own, scratch.cells[layer], w.zoneout, drawing, 2 * units * layer)
            if layer + 1 < layers:
                fill(span(given[layer + 1], 0, units), own)
                entered = units
            else:
                fill(span(out, 0, units), own)
        fill(span(out, units, m), context)
        fill(frames[t], w.frames[1])
        add_product(frames[t], out, w.frames[0])
        stop = span(stops, t, 1)
        fill(stop, w.stop[1])
        add_product(stop, out, w.stop[0])
        if told.shape[0] == 0:
            fill(before, span(frames[t], frames.shape[1] - bands, bands))
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
