"""A vector by a matrix of weights, where one sample waits for the other: by weights of 32 bits or of 8.

Such a loop is bound by reading its weights. Those of 8 bits are a quarter of the bytes, and two of them at a time are
multiplied and summed as integers (on x86 by `vpmaddwd`, or `vpdpwssd` where there is AVX-512 VNNI; LLVM picks what the
machine has). Each column of a matrix has a scale of its own, its largest weight over 127; each vector is rounded to 16
bits by its own largest value, which costs next to nothing in accuracy. LPCNet's 8 bits are the same idea, with vectors
of 8 bits too (Valin and Skoglund 2019, arXiv:1810.11846; Vanhoucke et al. 2011).

The kernels are written once: `room_for`, `nth`, `operand` and `add_product` are compiled by the type of the weights.
"""

import functools
from typing import NamedTuple

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, overload

_LANES = 16
_BLOCKS = 2
_COLUMNS = _BLOCKS * _LANES
# Pairs of rows in one turn of the loop: as many sums at once as hide the time that one takes.
_PAIRS = 4
_ROWS = 2 * _PAIRS
_LARGEST_WEIGHT = 127
# A level is less than 2^14, so that none is rounded out of 16 bits, and a sum of so many products stays within 32.
_LEVEL_BITS = 13
_LONGEST = 2**31 // (_LARGEST_WEIGHT << _LEVEL_BITS + 1)
_MANTISSA_BITS, _LEAST_EXPONENT, _TWICE_BIAS = 23, 40, 254
_WITHOUT_SIGN = np.int32(0x7FFFFFFF)
_FLOATS, _SUMS, _HALVES = (ir.VectorType(kind, _LANES) for kind in (ir.FloatType(), ir.IntType(32), ir.IntType(16)))
_WEIGHTS, _LEVELS, _PRODUCTS = (ir.VectorType(ir.IntType(bits), 2 * _LANES) for bits in (8, 16, 32))
_HOW = {"fastmath": True, "nogil": True, "error_model": "numpy"}


class Packed(NamedTuple):
    """Matrices of 8 bits, in the order in which a product reads them.

    Attributes:
        levels: int8 [..., groups of columns, pairs of rows, columns, 2]; rows and columns are filled up with zeros.
        scales: float32 [..., columns], what a level is worth.
    """

    levels: np.ndarray
    scales: np.ndarray


class Room(NamedTuple):
    """Where a product of 8 bits keeps what it is working on.

    Attributes:
        levels: int16 [rows], of a vector.
        sums: int32 [columns of a group].
    """

    levels: np.ndarray
    sums: np.ndarray


def matrices(weights, bits: int = 32):
    """Weights [..., rows, columns] as the loops read them: float32, or `Packed`."""
    weights = np.ascontiguousarray(np.asarray(weights, np.float32))
    return weights if bits == 32 else pack(weights)


def pack(weights: np.ndarray) -> Packed:
    """Rounds float32 [..., rows, columns] to 8 bits."""
    *many, rows, columns = weights.shape
    largest = np.abs(weights).max(axis=-2)
    scales = np.where(largest > 0, largest, 1.0) / _LARGEST_WEIGHT
    levels = np.rint(weights / scales[..., None, :]).astype(np.int8)
    filled = [(0, 0)] * len(many) + [(0, -rows % _ROWS), (0, -columns % _COLUMNS)]
    levels = np.pad(levels, filled)
    pairs, groups = levels.shape[-2] // 2, levels.shape[-1] // _COLUMNS
    levels = np.moveaxis(levels.reshape(*many, pairs, 2, groups, _COLUMNS), (-2, -4, -1, -3), (-4, -3, -2, -1))
    return Packed(np.ascontiguousarray(levels), np.pad(scales, filled[:-2] + filled[-1:]).astype(np.float32))


def unpacked(packed: Packed, rows: int, columns: int) -> np.ndarray:
    """The weights that `pack` made of a matrix [..., rows, columns]."""
    *many, groups, pairs, _, _ = packed.levels.shape
    levels = np.moveaxis(packed.levels, (-4, -3, -2, -1), (-2, -4, -1, -3))
    levels = levels.reshape(*many, 2 * pairs, groups * _COLUMNS)
    return (levels * packed.scales[..., None, :])[..., :rows, :columns]


def nth_of(weights, index: int):
    """Some of several matrices; as `nth`, in Python."""
    return Packed(weights.levels[index], weights.scales[index]) if isinstance(weights, Packed) else weights[index]


def room_for(weights, rows):
    """A `Room` for products of vectors of at most so many numbers, where the weights need one."""
    raise NotImplementedError("for compiled loops")


def nth(weights, index):
    """One of several matrices."""
    raise NotImplementedError("for compiled loops")


def operand(vector, room):
    """A vector as `add_product` takes it: worth making once where it meets several matrices; it lies in the room."""
    raise NotImplementedError("for compiled loops")


def add_product(total, vector, matrix):
    """total += vector @ matrix, of an `operand`."""
    raise NotImplementedError("for compiled loops")


def _is_packed(kind) -> bool:
    return isinstance(kind, types.NamedTuple) and kind.instance_class is Packed


@overload(room_for, jit_options=_HOW, inline="always")
def _room_for(weights, rows):
    if _is_packed(weights):
        return lambda weights, rows: Room(np.zeros(rows + -rows % _ROWS, np.int16), np.zeros(_COLUMNS, np.int32))
    return lambda weights, rows: None


@overload(nth, jit_options=_HOW, inline="always")
def _nth(weights, index):
    if _is_packed(weights):
        return lambda weights, index: Packed(weights.levels[index], weights.scales[index])
    return lambda weights, index: weights[index]


@overload(operand, jit_options=_HOW, inline="always")
def _operand(vector, room):
    if isinstance(room, types.NoneType):
        return lambda vector, room: vector
    return _rounded


def _rounded(vector, room):
    n, levels = vector.shape[0], room.levels
    whole = n - n % _LANES
    # The power of two that is worth a level: no division stands in the way of the next product.
    exponent = max(np.int32(_largest_bits(vector) >> _MANTISSA_BITS), _LEAST_EXPONENT) - _level_bits(n)
    scale = np.int32(exponent << _MANTISSA_BITS).view(np.float32)
    steps = np.int32((_TWICE_BIAS - exponent) << _MANTISSA_BITS).view(np.float32)
    _round_blocks(vector, levels, steps)
    for i in range(whole, n):
        levels[i] = np.int16(np.rint(vector[i] * steps))
    for i in range(n, n + -n % _ROWS):
        levels[i] = 0
    return levels, scale, room.sums


@numba.njit(**_HOW)
def _level_bits(n):
    """Of the largest level of a vector of n, counted from its first one."""
    bits, longest = _LEVEL_BITS, _LONGEST
    while n > longest:
        bits, longest = bits - 1, 2 * longest
    return bits


@overload(add_product, jit_options=_HOW, inline="always")
def _add_product(total, vector, matrix):
    return _add_packed if _is_packed(matrix) else _add_floats


def _add_packed(total, vector, matrix):
    levels, scale, sums = vector
    columns = total.shape[0]
    for group in range(matrix.levels.shape[0]):
        _sum_products(sums, levels, matrix.levels[group])
        first = group * _COLUMNS
        if first + _COLUMNS <= columns:
            # A loop of known length needs no check and no rest.
            for j in range(_COLUMNS):
                total[first + j] += np.float32(sums[j]) * (scale * matrix.scales[first + j])
        else:
            for j in range(columns - first):
                total[first + j] += np.float32(sums[j]) * (scale * matrix.scales[first + j])


def _add_floats(total, vector, matrix):
    """The inner loop runs along contiguous memory, over eight rows at a time."""
    n = vector.shape[0]
    whole = n - n % 8
    for i in range(0, whole, 8):
        a, b, c, d = vector[i], vector[i + 1], vector[i + 2], vector[i + 3]
        e, f, g, h = vector[i + 4], vector[i + 5], vector[i + 6], vector[i + 7]
        for j in range(total.shape[0]):
            one = (a * matrix[i, j] + b * matrix[i + 1, j]) + (c * matrix[i + 2, j] + d * matrix[i + 3, j])
            two = (e * matrix[i + 4, j] + f * matrix[i + 5, j]) + (g * matrix[i + 6, j] + h * matrix[i + 7, j])
            total[j] += one + two
    for i in range(whole, n):
        value = vector[i]
        for j in range(total.shape[0]):
            total[j] += value * matrix[i, j]


@intrinsic
def _largest_bits(typing_context, vector):
    """Largest of the bits of float32 [n] without the sign: of those the integers are ordered as the floats are."""
    del typing_context

    def generate(context, builder, signature, arguments):
        data, n = _data_and_length(context, builder, signature, arguments, 0)
        bits, blocks = (builder.bitcast(data, kind.as_pointer()) for kind in (_SUMS.element, _SUMS))
        whole = builder.udiv(n, n.type(_LANES))
        most = cgutils.alloca_once_value(builder, ir.Constant(_SUMS, [0] * _LANES))
        with cgutils.for_range(builder, whole) as block:
            _keep_larger(builder, most, _load(builder, blocks, block.index, 4))
        reduce = _llvm(builder, f"llvm.vector.reduce.smax.v{_LANES}i32", _SUMS.element, _SUMS)
        largest = cgutils.alloca_once_value(builder, builder.call(reduce, [builder.load(most)]))
        with cgutils.for_range_slice(builder, builder.mul(whole, n.type(_LANES)), n, n.type(1), inc=True) as (i, _):
            _keep_larger(builder, largest, _load(builder, bits, i, 4))
        return builder.load(largest)

    return types.int32(vector), generate


def _keep_larger(builder, kept, bits) -> None:
    mask = int(_WITHOUT_SIGN)
    bits = builder.and_(bits, ir.Constant(bits.type, [mask] * _LANES if bits.type == _SUMS else mask))
    so_far = builder.load(kept)
    builder.store(builder.select(builder.icmp_signed(">", bits, so_far), bits, so_far), kept)


@intrinsic
def _round_blocks(typing_context, vector, levels, steps):
    """levels[i] = round(steps vector[i]) over whole blocks of float32 [n]; int16 [n or more]."""
    del typing_context

    def generate(context, builder, signature, arguments):
        data, n = _data_and_length(context, builder, signature, arguments, 0)
        rounded, _ = _data_and_length(context, builder, signature, arguments, 1)
        data, rounded = builder.bitcast(data, _FLOATS.as_pointer()), builder.bitcast(rounded, _HALVES.as_pointer())
        steps = _beside_itself(builder, arguments[2], _FLOATS)
        nearest = _llvm(builder, f"llvm.rint.v{_LANES}f32", _FLOATS, _FLOATS)
        with cgutils.for_range(builder, builder.udiv(n, n.type(_LANES))) as block:
            level = builder.call(nearest, [builder.fmul(_load(builder, data, block.index, 4), steps)])
            level = builder.trunc(builder.fptosi(level, _SUMS), _HALVES)
            builder.store(level, builder.gep(rounded, [block.index])).align = 2
        return context.get_dummy_value()

    return types.void(vector, levels, steps), generate


def _data_and_length(context, builder, signature, arguments, index: int):
    array = context.make_array(signature.args[index])(context, builder, arguments[index])
    return array.data, cgutils.unpack_tuple(builder, array.shape)[0]


def _llvm(builder, name: str, returned, *taken):
    """A function that LLVM knows, for vectors of `_LANES`."""
    return cgutils.get_or_insert_function(builder.module, ir.FunctionType(returned, taken), name)


def _load(builder, data, index, align: int):
    loaded = builder.load(builder.gep(data, [index]))
    loaded.align = align
    return loaded


def _beside_itself(builder, number, kind):
    """One number in all lanes."""
    nothing = ir.Constant(kind, ir.Undefined)
    lanes = builder.insert_element(nothing, number, ir.IntType(32)(0))
    return builder.shuffle_vector(lanes, nothing, ir.Constant(_SUMS, [0] * _LANES))


@intrinsic
def _sum_products(typing_context, sums, levels, weights):
    """sums[c] = sum over rows of levels[row] weights[row, c], of one group of columns.

    Args:
        sums: int32 [columns].
        levels: int16 [rows or more].
        weights: int8 [pairs of rows, columns, 2], as many pairs as a multiple of `_PAIRS`.
    """
    del typing_context

    def generate(context, builder, signature, arguments):
        (sums, _), (levels, _), (weights, pairs) = (
            _data_and_length(context, builder, signature, arguments, i) for i in range(3)
        )
        _emit_sums(builder, sums, levels, weights, pairs)
        return context.get_dummy_value()

    return types.void(sums, levels, weights), generate


def _emit_sums(builder, sums, levels, weights, pairs) -> None:
    """The loop over pairs of rows, whose sums stay in registers.

    Written out, as no compiler finds it in scalar loops: each 16 columns by a pair of rows are one instruction.
    """
    index, start = pairs.type, builder.block
    loop, done = builder.append_basic_block("pairs"), builder.append_basic_block("summed")
    sums = builder.bitcast(sums, _SUMS.as_pointer())
    # Two levels of 16 bits are read as one number, to be set beside itself sixteen times.
    levels = builder.bitcast(levels, ir.IntType(32).as_pointer())
    weights = builder.bitcast(weights, _WEIGHTS.as_pointer())
    builder.branch(loop)
    builder.position_at_end(loop)
    first = builder.phi(index)
    first.add_incoming(index(0), start)
    before = [builder.phi(_SUMS) for _ in range(_PAIRS * _BLOCKS)]
    after = []
    for i, so_far in enumerate(before):
        so_far.add_incoming(ir.Constant(_SUMS, [0] * _LANES), start)
        pair, block = builder.add(first, index(i // _BLOCKS)), index(i % _BLOCKS)
        at = builder.add(builder.mul(pair, index(_BLOCKS)), block)
        level, weight = _load(builder, levels, pair, 2), _load(builder, weights, at, 1)
        after.append(builder.add(so_far, _dot_pairs(builder, level, weight)))
        so_far.add_incoming(after[-1], loop)
    following = builder.add(first, index(_PAIRS))
    first.add_incoming(following, loop)
    builder.cbranch(builder.icmp_signed("<", following, pairs), loop, done)
    builder.position_at_end(done)
    for block in range(_BLOCKS):
        total = functools.reduce(builder.add, after[block::_BLOCKS])
        builder.store(total, builder.gep(sums, [index(block)])).align = 4


def _dot_pairs(builder, level, weight):
    """Of two levels in an int32, and [16 columns, 2] of int8: int32 [16]."""
    level = builder.sext(builder.bitcast(_beside_itself(builder, level, _SUMS), _LEVELS), _PRODUCTS)
    product = builder.mul(level, builder.sext(weight, _PRODUCTS))
    of_each = (ir.Constant(_SUMS, list(range(row, 2 * _LANES, 2))) for row in (0, 1))
    return builder.add(*(builder.shuffle_vector(product, product, which) for which in of_each))
