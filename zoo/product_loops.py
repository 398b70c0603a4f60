"""The inner loops of `zoo.products`, written as vectors of LLVM: no compiler finds them in scalar loops.

A loop is written once for each function that has it, not compiled from Python and unrolled anew at each product: that
halves the time to compile a kernel.
"""

import copy
import functools

from llvmlite import ir
from numba.core import cgutils, errors

LANES = 16
_BLOCKS = 2
COLUMNS = _BLOCKS * LANES
# Pairs of rows in one turn of the loop: as many sums at once as hide the time that one takes.
_PAIRS = 4
ROWS = 2 * _PAIRS
LARGEST_WEIGHT = 127
# A level is less than 2^14, so that none is rounded out of 16 bits, and a sum of so many products stays within 32.
_LEVEL_BITS = 13
_LONGEST = 2**31 // (LARGEST_WEIGHT << _LEVEL_BITS + 1)
_MANTISSA_BITS, _LEAST_EXPONENT, _TWICE_BIAS, _WITHOUT_SIGN = 23, 40, 254, 0x7FFFFFFF
_INDEX, _INT = ir.IntType(64), ir.IntType(32)
_FLOATS, _SUMS, _HALVES = (ir.VectorType(kind, LANES) for kind in (ir.FloatType(), _INT, ir.IntType(16)))
_WEIGHTS, _LEVELS, _PRODUCTS = (ir.VectorType(ir.IntType(bits), 2 * LANES) for bits in (8, 16, 32))


def add_rows(builder, total, vector, matrix) -> None:
    """total [m] += vector [n] @ matrix [n, m], float32; each a `Contiguous`."""
    taken = [total.data, total.shape[0], vector.data, vector.shape[0], matrix.data]
    _call(builder, "babble_add_rows", ir.VoidType(), taken, _emit_add_rows)


def round_vector(builder, vector, levels):
    """Rounds float32 [n] to int16 [n or more], as far as whole `ROWS`; returns what a level is worth.

    That is a power of two, so that no division stands in the way of the next product.
    """
    taken = [vector.data, vector.shape[0], levels.data]
    return _call(builder, "babble_round_vector", _FLOATS.element, taken, _emit_round_vector)


def add_levels(builder, total, levels, scale, weights, scales) -> None:
    """total [m] += scale scales [m] (levels [n] @ weights).

    Args:
        total, scales: float32.
        levels, scale: int16 and float32, as of `round_vector`.
        weights: int8 [groups of columns, pairs of rows, columns, 2], as of `zoo.products.pack`.
    """
    taken = [total.data, total.shape[0], levels.data, scale, weights.data, *weights.shape[:2], scales.data]
    _call(builder, "babble_add_levels", ir.VoidType(), taken, _emit_add_levels)


def each_number(builder, name: str, operation, x, *others) -> None:
    """x [n] = operation(builder, x, *others) of each number, float32; each a `Contiguous`. The operation has a name."""

    def emit(builder, x, n, *others):
        with cgutils.for_range(builder, n) as i:
            at = builder.gep(x, [i.index])
            values = [builder.load(builder.gep(other, [i.index])) for other in others]
            builder.store(operation(builder, builder.load(at), *values), at)
        builder.ret_void()

    _call(builder, f"babble_{name}", ir.VoidType(), [x.data, x.shape[0], *(other.data for other in others)], emit)


class Contiguous:
    """An array within a compiled function: where it begins, and its shape."""

    def __init__(self, context, builder, kind, value):
        if not kind.is_c_contig:
            raise errors.TypingError(f"a product takes contiguous arrays, not {kind}")
        array = context.make_array(kind)(context, builder, value)
        self.data, self.strides = array.data, array.strides
        self.shape = cgutils.unpack_tuple(builder, array.shape)

    def nth(self, builder, index):
        """One of the parts along its first axis; an index from 0 on."""
        part = copy.copy(self)
        part.shape = self.shape[1:]
        size = functools.reduce(builder.mul, part.shape)
        part.data = builder.gep(self.data, [builder.mul(index, size)])
        return part


def _call(builder, name: str, returned, taken: list, emit):
    """Calls a function that `emit(builder, *arguments)` writes where the module does not have it yet."""
    kind = ir.FunctionType(returned, [each.type for each in taken])
    function = cgutils.get_or_insert_function(builder.module, kind, name)
    if function.is_declaration:
        function.linkage = "linkonce_odr"
        # One that every call shares: within each of them it would be made anew.
        function.attributes.add("noinline")
        emit(ir.IRBuilder(function.append_basic_block()), *function.args)
    return builder.call(function, taken)


def _emit_add_rows(builder, total, columns, vector, rows, matrix) -> None:
    """Along contiguous memory, over eight rows at a time."""
    whole = builder.and_(rows, _INDEX(-ROWS))
    for first, last, at_once in ((_INDEX(0), whole, ROWS), (whole, rows, 1)):
        with cgutils.for_range_slice(builder, first, last, _INDEX(at_once), inc=True) as (row, _):
            start = builder.gep(matrix, [builder.mul(row, columns)])
            _add_some_rows(builder, total, columns, builder.gep(vector, [row]), start, at_once)
    builder.ret_void()


def _add_some_rows(builder, total, columns, vector, matrix, rows: int) -> None:
    """total += vector [rows] @ matrix, in whole blocks of columns and then one by one."""
    values = [builder.load(builder.gep(vector, [_INDEX(k)])) for k in range(rows)]
    starts = [builder.gep(matrix, [builder.mul(_INDEX(k), columns)]) for k in range(rows)]
    whole = builder.and_(columns, _INDEX(-LANES))
    for kind, first, last, step in ((_FLOATS, _INDEX(0), whole, LANES), (_FLOATS.element, whole, columns, 1)):
        factors = [_beside_itself(builder, value, kind) if kind is _FLOATS else value for value in values]
        with cgutils.for_range_slice(builder, first, last, _INDEX(step), inc=True) as (column, _):
            at = builder.bitcast(builder.gep(total, [column]), kind.as_pointer())
            weights = [builder.bitcast(builder.gep(start, [column]), kind.as_pointer()) for start in starts]
            parts = [
                builder.fmul(factor, builder.load(weight, align=4), flags=("fast",))
                for factor, weight in zip(factors, weights, strict=True)
            ]
            sums = [functools.reduce(_plus(builder), parts[half::2]) for half in range(min(2, rows))]
            builder.store(functools.reduce(_plus(builder), [*sums, builder.load(at, align=4)]), at, align=4)


def _plus(builder):
    return lambda a, b: builder.fadd(a, b, flags=("fast",))


def _emit_round_vector(builder, vector, n, levels) -> None:
    largest = builder.lshr(_largest_bits(builder, vector, n), _INT(_MANTISSA_BITS))
    least = _INT(_LEAST_EXPONENT)
    largest = builder.select(builder.icmp_signed(">", largest, least), largest, least)
    # A bit less each time that a vector is twice as long.
    times = builder.trunc(builder.udiv(builder.sub(n, _INDEX(1)), _INDEX(_LONGEST)), _INT)
    fewer = builder.sub(_INT(_INT.width), builder.ctlz(times, ir.IntType(1)(0)))
    exponent = builder.add(builder.sub(largest, _INT(_LEVEL_BITS)), fewer)
    scale, steps = (
        builder.bitcast(builder.shl(each, _INT(_MANTISSA_BITS)), _FLOATS.element)
        for each in (exponent, builder.sub(_INT(_TWICE_BIAS), exponent))
    )
    whole = builder.and_(n, _INDEX(-LANES))
    for kind, first, last, step in ((_FLOATS, _INDEX(0), whole, LANES), (_FLOATS.element, whole, n, 1)):
        factor = _beside_itself(builder, steps, kind) if kind is _FLOATS else steps
        with cgutils.for_range_slice(builder, first, last, _INDEX(step), inc=True) as (i, _):
            _round_some(builder, builder.gep(vector, [i]), builder.gep(levels, [i]), factor)
    # Up to whole rows of the weights.
    padded = builder.and_(builder.add(n, _INDEX(ROWS - 1)), _INDEX(-ROWS))
    with cgutils.for_range_slice(builder, n, padded, _INDEX(1), inc=True) as (i, _):
        builder.store(_HALVES.element(0), builder.gep(levels, [i]))
    builder.ret(scale)


def _round_some(builder, vector, levels, steps) -> None:
    """levels = round(steps vector), of one number or of as many as `steps` has."""
    kind, many = steps.type, isinstance(steps.type, ir.VectorType)
    nearest = _llvm(builder, f"llvm.rint.v{LANES}f32" if many else "llvm.rint.f32", kind, kind)
    value = builder.load(builder.bitcast(vector, kind.as_pointer()), align=4)
    level = builder.fptosi(builder.call(nearest, [builder.fmul(value, steps)]), _SUMS if many else _INT)
    level = builder.trunc(level, _HALVES if many else _HALVES.element)
    builder.store(level, builder.bitcast(levels, level.type.as_pointer()), align=2)


def _largest_bits(builder, vector, n):
    """Largest of the bits of float32 [n] without the sign: of those the integers are ordered as the floats are."""
    whole = builder.and_(n, _INDEX(-LANES))
    most = cgutils.alloca_once_value(builder, ir.Constant(_SUMS, [0] * LANES))
    with cgutils.for_range_slice(builder, _INDEX(0), whole, _INDEX(LANES), inc=True) as (i, _):
        _keep_larger(builder, most, builder.gep(vector, [i]))
    reduce = _llvm(builder, f"llvm.vector.reduce.smax.v{LANES}i32", _INT, _SUMS)
    largest = cgutils.alloca_once_value(builder, builder.call(reduce, [builder.load(most)]))
    with cgutils.for_range_slice(builder, whole, n, _INDEX(1), inc=True) as (i, _):
        _keep_larger(builder, largest, builder.gep(vector, [i]))
    return builder.load(largest)


def _keep_larger(builder, kept, numbers) -> None:
    so_far = builder.load(kept)
    mask = ir.Constant(so_far.type, [_WITHOUT_SIGN] * LANES if so_far.type == _SUMS else _WITHOUT_SIGN)
    bits = builder.and_(builder.load(builder.bitcast(numbers, so_far.type.as_pointer()), align=4), mask)
    builder.store(builder.select(builder.icmp_signed(">", bits, so_far), bits, so_far), kept)


def _emit_add_levels(builder, total, columns, levels, scale, weights, groups, pairs, scales) -> None:
    room = cgutils.alloca_once(builder, _FLOATS, _BLOCKS)
    factor = _beside_itself(builder, scale, _FLOATS)
    with cgutils.for_range(builder, groups) as group:
        first = builder.mul(group.index, _INDEX(COLUMNS))
        start = builder.gep(weights, [builder.mul(builder.mul(first, _INDEX(2)), pairs)])
        sums = _sum_products(builder, levels, start, pairs)
        found = [_scaled(builder, part, scales, first, factor, block) for block, part in enumerate(sums)]
        here = builder.gep(total, [first])
        is_whole = builder.icmp_signed("<=", builder.add(first, _INDEX(COLUMNS)), columns)
        with builder.if_else(is_whole) as (whole, rest):
            with whole:
                for block, part in enumerate(found):
                    at = builder.bitcast(builder.gep(here, [_INDEX(block * LANES)]), _FLOATS.as_pointer())
                    builder.store(builder.fadd(builder.load(at, align=4), part, flags=("fast",)), at, align=4)
            with rest:
                for block, part in enumerate(found):
                    builder.store(part, builder.gep(room, [_INDEX(block)]))
                parts = builder.bitcast(room, _FLOATS.element.as_pointer())
                with cgutils.for_range(builder, builder.sub(columns, first)) as column:
                    at, one = (builder.gep(where, [column.index]) for where in (here, parts))
                    builder.store(builder.fadd(builder.load(at), builder.load(one), flags=("fast",)), at)
    builder.ret_void()


def _scaled(builder, sums, scales, first, factor, block: int):
    at = builder.gep(scales, [builder.add(first, _INDEX(block * LANES))])
    scale = builder.fmul(factor, builder.load(builder.bitcast(at, _FLOATS.as_pointer()), align=4), flags=("fast",))
    return builder.fmul(builder.sitofp(sums, _FLOATS), scale, flags=("fast",))


def _sum_products(builder, levels, weights, pairs) -> list:
    """Of one group of columns, the sums over pairs of rows, which stay in registers: int32 vectors.

    Written out, as no compiler finds it in scalar loops: each 16 columns by a pair of rows are one instruction.
    """
    start = builder.block
    loop, done = builder.append_basic_block("pairs"), builder.append_basic_block("summed")
    # Two levels of 16 bits are read as one number, to be set beside itself sixteen times.
    levels = builder.bitcast(levels, _INT.as_pointer())
    weights = builder.bitcast(weights, _WEIGHTS.as_pointer())
    builder.branch(loop)
    builder.position_at_end(loop)
    first = builder.phi(_INDEX)
    first.add_incoming(_INDEX(0), start)
    before = [builder.phi(_SUMS) for _ in range(_PAIRS * _BLOCKS)]
    after = []
    for i, so_far in enumerate(before):
        so_far.add_incoming(ir.Constant(_SUMS, [0] * LANES), start)
        pair = builder.add(first, _INDEX(i // _BLOCKS))
        at = builder.add(builder.mul(pair, _INDEX(_BLOCKS)), _INDEX(i % _BLOCKS))
        level = builder.load(builder.gep(levels, [pair]), align=2)
        weight = builder.load(builder.gep(weights, [at]), align=1)
        after.append(builder.add(so_far, _dot_pairs(builder, level, weight)))
        so_far.add_incoming(after[-1], loop)
    following = builder.add(first, _INDEX(_PAIRS))
    first.add_incoming(following, loop)
    builder.cbranch(builder.icmp_signed("<", following, pairs), loop, done)
    builder.position_at_end(done)
    return [functools.reduce(builder.add, after[block::_BLOCKS]) for block in range(_BLOCKS)]


def _dot_pairs(builder, level, weight):
    """Of two levels in an int32, and [16 columns, 2] of int8: int32 [16]."""
    level = builder.sext(builder.bitcast(_beside_itself(builder, level, _SUMS), _LEVELS), _PRODUCTS)
    product = builder.mul(level, builder.sext(weight, _PRODUCTS))
    of_each = (ir.Constant(_SUMS, list(range(row, 2 * LANES, 2))) for row in (0, 1))
    return builder.add(*(builder.shuffle_vector(product, product, which) for which in of_each))


def _llvm(builder, name: str, returned, *taken):
    """A function that LLVM knows, for vectors of `LANES`."""
    return cgutils.get_or_insert_function(builder.module, ir.FunctionType(returned, taken), name)


def _beside_itself(builder, number, kind):
    """One number in all lanes."""
    nothing = ir.Constant(kind, ir.Undefined)
    lanes = builder.insert_element(nothing, number, ir.IntType(32)(0))
    return builder.shuffle_vector(lanes, nothing, ir.Constant(_SUMS, [0] * LANES))
