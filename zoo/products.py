"""A vector by a matrix of weights, where one sample waits for the other: by weights of 32 bits or of 8.

Such a loop is bound by reading its weights. Those of 8 bits are a quarter of the bytes, and two of them at a time are
multiplied and summed as integers (on x86 by `vpmaddwd`, or `vpdpwssd` where there is AVX-512 VNNI; LLVM picks what the
machine has). Each column of a matrix has a scale of its own, its largest weight over 127; each vector is rounded to 16
bits by its own largest value, which costs next to nothing in accuracy. LPCNet's 8 bits are the same idea, with vectors
of 8 bits too (Valin and Skoglund 2019, arXiv:1810.11846; Vanhoucke et al. 2011).

The kernels are written once: `operand` and `add_product` are compiled by the type of the weights.
"""

from typing import NamedTuple

import numpy as np
from numba.core import types
from numba.extending import intrinsic

from zoo.product_loops import COLUMNS, LARGEST_WEIGHT, ROWS, Contiguous, add_levels, add_rows, round_vector


class Packed(NamedTuple):
    """Matrices of 8 bits, in the order in which a product reads them.

    Attributes:
        levels: int8 [..., groups of columns, pairs of rows, columns, 2]; rows and columns are filled up with zeros.
        scales: float32 [..., columns], what a level is worth.
    """

    levels: np.ndarray
    scales: np.ndarray


def array(weights) -> np.ndarray:
    """A copy that may be written to: to numba, others are of another type, and a function is compiled for each."""
    return np.array(weights, np.float32, order="C")


def matrices(weights, bits: int = 32):
    """Weights [..., rows, columns] as the loops read them: float32, or `Packed`."""
    return array(weights) if bits == 32 else pack(array(weights))


def pack(weights: np.ndarray) -> Packed:
    """Rounds float32 [..., rows, columns] to 8 bits."""
    *many, rows, columns = weights.shape
    largest = np.abs(weights).max(axis=-2)
    scales = np.where(largest > 0, largest, 1.0) / LARGEST_WEIGHT
    levels = np.rint(weights / scales[..., None, :]).astype(np.int8)
    filled = [(0, 0)] * len(many) + [(0, -rows % ROWS), (0, -columns % COLUMNS)]
    levels = np.pad(levels, filled)
    pairs, groups = levels.shape[-2] // 2, levels.shape[-1] // COLUMNS
    levels = np.moveaxis(levels.reshape(*many, pairs, 2, groups, COLUMNS), (-2, -4, -1, -3), (-4, -3, -2, -1))
    return Packed(np.ascontiguousarray(levels), np.pad(scales, filled[:-2] + filled[-1:]).astype(np.float32))


def unpacked(packed: Packed, rows: int, columns: int) -> np.ndarray:
    """The weights that `pack` made of a matrix [..., rows, columns]."""
    *many, groups, pairs, _, _ = packed.levels.shape
    levels = np.moveaxis(packed.levels, (-4, -3, -2, -1), (-2, -4, -1, -3))
    levels = levels.reshape(*many, 2 * pairs, groups * COLUMNS)
    return (levels * packed.scales[..., None, :])[..., :rows, :columns]


def nth_of(weights, index: int | slice):
    """Some of several matrices."""
    return Packed(weights.levels[index], weights.scales[index]) if isinstance(weights, Packed) else weights[index]


def room_for(weights, rows):
    """Room for the levels of a vector of at most so many numbers, int16 [rows], where the weights need it."""
    return np.zeros(rows + -rows % ROWS, np.int16) if isinstance(weights, Packed) else None


def _is_packed(kind) -> bool:
    return isinstance(kind, types.NamedTuple) and kind.instance_class is Packed


@intrinsic
def operand(typing_context, vector, room):
    """A vector as `add_product` takes it: worth making once where it meets several matrices; it lies in the room."""
    del typing_context
    if isinstance(room, types.NoneType):
        return vector(vector, room), lambda context, builder, signature, arguments: _same(
            context, builder, vector, arguments[0]
        )

    def generate(context, builder, signature, arguments):
        taken = (
            Contiguous(context, builder, kind, value) for kind, value in zip((vector, room), arguments, strict=True)
        )
        scale = round_vector(builder, *taken)
        return context.make_tuple(builder, signature.return_type, [_same(context, builder, room, arguments[1]), scale])

    return types.Tuple([room, types.float32])(vector, room), generate


@intrinsic
def add_product(typing_context, total, vector, matrix):
    """total += vector @ matrix, of an `operand`."""
    del typing_context
    return types.void(total, vector, matrix), _add


@intrinsic
def add_nth_product(typing_context, total, vector, several, index):
    """The same, of one of several matrices."""
    del typing_context
    return types.void(total, vector, several, index), _add


def _add(context, builder, signature, arguments):
    """What an intrinsic generates; with an index, arrays of the matrix have one more axis."""
    kinds, index = signature.args, None
    if len(arguments) == 4:
        index = context.cast(builder, arguments[3], kinds[3], types.intp)

    def part(at, *way, index=None):
        kind, value = kinds[at], arguments[at]
        for step in way:
            kind, value = kind[step], builder.extract_value(value, step)
        found = Contiguous(context, builder, kind, value)
        return found if index is None else found.nth(builder, index)

    if _is_packed(kinds[2]):
        scale = builder.extract_value(arguments[1], 1)
        add_levels(builder, part(0), part(1, 0), scale, part(2, 0, index=index), part(2, 1, index=index))
    else:
        add_rows(builder, part(0), part(1), part(2, index=index))
    return context.get_dummy_value()


def _same(context, builder, kind, value):
    """An argument, given back: one more holds it, where that is counted."""
    if context.enable_nrt:
        context.nrt.incref(builder, kind, value)
    return value
