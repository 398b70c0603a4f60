"""What the compiled loops of Tacotron share: prenet, attention, LSTM with zoneout, and the noise that these draw.

`zoo.tacotron.noise`, `tiers.Prenet` and `attention` are the reference.
"""

import numpy as np

from zoo.compiling import inlined, part
from zoo.fused import add, clear, exp, fill, rectify, sigmoid, span, tanh
from zoo.products import add_product, array
from zoo.tacotron.noise import APART

_ONE = np.float32(1.0)
# Of `zoo.layers.hashed_uniform`.
_FIRST, _SECOND, _APART, _SHORT = np.uint32(0x85EBCA6B), np.uint32(0xC2B2AE35), np.uint32(APART), np.float32(2.0**-24)


def prenet_weights(prenet) -> tuple:
    """Of a `Prenet`, for `prenet_into`."""
    kernels, biases = (tuple(array(getattr(layer, part)) for layer in prenet.stack) for part in ("kernel", "bias"))
    return kernels, biases, np.float32(prenet.dropout)


def attention_weights(weights: list) -> tuple:
    """Of an attention by content and, where it has filters, location, for `attend`.

    Filters and what takes them to the keys are one matrix [2 taps, k], of no rows where there is no location.

    Args:
        weights: query, energy and its bias; of the location filters and their product.
    """
    query, energy, bias, *location = map(array, weights)
    if not location:
        return query, bias, energy, np.zeros((0, len(bias)), np.float32)
    filters, product = location
    return query, bias, energy, array(filters.reshape(-1, filters.shape[-1]) @ product)


def prenet_scratch(weights: tuple) -> tuple:
    """What `prenet_into` writes on: the outputs of each layer."""
    return tuple(np.empty_like(bias) for bias in weights[1])


def attention_scratch(weights: tuple, entries: int) -> tuple:
    """What `attend` writes on, for at most so many entries: query and scores [k], and the shares around each entry."""
    _, bias, _, location = weights
    return np.empty_like(bias), np.empty_like(bias), np.empty(2 * entries + len(location), np.float32)


@inlined
def prenet_into(y, x, weights, scratch, seed, stream, frame, row):
    """As `Prenet`: x [n] -> y [width]."""
    kernels, biases, dropout = weights
    for layer in range(len(biases)):
        z = scratch[layer]
        fill(z, biases[layer])
        add_product(z, x, kernels[layer])
        rectify(z)
        if dropout:
            drop(z, dropout, drawing_of(seed, stream + layer, frame, row))
        x = z
    fill(y, x)


@part
def drop(x, dropout, drawing):
    """Dropout of x [n], in place; drawing: as `drawing_of` makes it."""
    for i in range(x.shape[0]):
        x[i] = x[i] / (_ONE - dropout) if uniform(drawing, i) >= dropout else np.float32(0.0)


@inlined
def attend(shares, context, hidden, memory, keys, before, attended, lag, weights, scratch):
    """As `zoo.tacotron.attention.align`.

    Args:
        shares: [entries or more], filled.
        context: [m], filled.
        hidden: [n], what asks.
        memory, keys: [entries, m] and [entries, k].
        before, attended: [entries], the shares of the step before and the sum of all before; they go on in place.
        lag: [entries], added to the energies.
        weights, scratch: as of `attention_weights` and `attention_scratch`.
    """
    query, bias, energy, location = weights
    asked, scores, around = scratch
    entries, taps = memory.shape[0], location.shape[0] // 2
    fill(asked, bias)
    add_product(asked, hidden, query)
    left = max(taps - 1, 0) // 2
    clear(around)
    for i in range(entries):
        around[2 * (left + i)], around[2 * (left + i) + 1] = before[i], attended[i]
    highest = np.float32(-np.inf)
    for i in range(entries):
        fill(scores, keys[i])
        add(scores, asked)
        add_product(scores, span(around, 2 * i, 2 * taps), location)
        total = lag[i]
        for j in range(scores.shape[0]):
            total += tanh(scores[j]) * energy[j]
        shares[i] = total
        highest = max(highest, total)
    total = np.float32(0.0)
    for i in range(entries):
        shares[i] = exp(shares[i] - highest)
        total += shares[i]
    for i in range(entries):
        shares[i] /= total
        before[i] = shares[i]
        attended[i] += shares[i]
    clear(context)
    add_product(context, span(shares, 0, entries), memory)


@part
def lstm(pre, hidden, cell, zoneout, drawing, first):
    """As `zoneout_lstm`, in place.

    Args:
        pre: [4 n], the products of input and output.
        hidden, cell: [n].
        zoneout: share of the units that stay.
        drawing: as `drawing_of` makes it.
        first: the outputs draw the numbers from this one on, the cells those that follow.
    """
    n = cell.shape[0]
    for i in range(n):
        new_cell = sigmoid(pre[n + i] + _ONE) * cell[i] + sigmoid(pre[i]) * tanh(pre[2 * n + i])
        new_hidden = sigmoid(pre[3 * n + i]) * tanh(new_cell)
        hidden[i] = hidden[i] if uniform(drawing, first + i) < zoneout else new_hidden
        cell[i] = cell[i] if uniform(drawing, first + n + i) < zoneout else new_cell


@part
def drawing_of(seed, stream, frame, row):
    """What `zoo.tacotron.noise.uniform` has stirred before it comes to a unit; seed and row uint32."""
    bits = _stir(np.uint32(0), np.uint32(seed + np.uint32(stream) * _APART))
    return _stir(_stir(bits, np.uint32(frame)), row)


@part
def uniform(drawing, unit):
    """The number of a unit, in [0, 1)."""
    return np.float32(_stir(drawing, np.uint32(unit)) >> np.uint32(8)) * _SHORT


@part
def _stir(bits, place):
    """One number of `zoo.layers.hashed_uniform`."""
    bits = np.uint32(bits + place)
    bits = np.uint32(np.uint32(bits ^ np.uint32(bits >> np.uint32(16))) * _FIRST)
    bits = np.uint32(np.uint32(bits ^ np.uint32(bits >> np.uint32(13))) * _SECOND)
    return np.uint32(bits ^ np.uint32(bits >> np.uint32(16)))
