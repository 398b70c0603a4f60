"""What this machine can do at most, measured by small compiled loops: the roof that a kernel's speed is held against.

A roofline (Williams et al. 2009): a loop that does so many multiply-adds on so many bytes of weights takes no less than
the longer of the two times. The bandwidth is that of reading as many bytes over and over, so that it is the one of the
cache in which a model's weights lie.
"""

import dataclasses
import functools
import time

import numba
import numpy as np

from zoo import products

_ORDER = 32
_POINTS = 2048
_ROWS = 4
# 16 kB.
_ROWS_OF_8_BITS, _COLUMNS_OF_8_BITS = 256, 64
# Short enough that some of them go by without another process in between.
_LEAST_SECONDS = 0.002
_TIMES = 20
_FASTER = np.float32(0.999)
# Not `cache=True`: what a cached loop was compiled for need not be what it is timed on.
_loop = numba.njit(fastmath=True, nogil=True)


@dataclasses.dataclass
class Roofline:
    """The best that was seen so far, of one core.

    Attributes:
        multiply_adds_per_second: by the bits of a weight: float32, fused; 8 bits by 16, two at a time. Weights of 16
            bits are multiplied as float32.
        bytes_per_second: by the bytes that are read over and over.
    """

    multiply_adds_per_second: dict[int, float] = dataclasses.field(default_factory=dict)
    bytes_per_second: dict[int, float] = dataclasses.field(default_factory=dict)

    def measure(self, sizes_bytes) -> None:
        """Times the loops once more; what is best stays."""
        peaks = {32: peak_multiply_adds_per_second, 8: peak_products_per_second}
        for best, found in (
            (self.multiply_adds_per_second, {bits: peak() for bits, peak in peaks.items()}),
            (self.bytes_per_second, {size: peak_bytes_per_second(size) for size in sizes_bytes}),
        ):
            best.update({key: max(best.get(key, 0.0), rate) for key, rate in found.items()})

    def samples_per_second(self, multiply_adds: float, weight_bytes: int, bits: int = 32) -> float:
        """At most, of one channel: a loop that does so many multiply-adds for a sample and reads a weight for each.

        Args:
            multiply_adds: for a sample.
            weight_bytes: of all weights, among those of `measure`.
            bits: of a weight.
        """
        read = self.bytes_per_second[weight_bytes] / (bits / 8)
        return min(self.multiply_adds_per_second[8 if bits == 8 else 32], read) / multiply_adds


def peak_multiply_adds_per_second() -> float:
    """Of polynomials of order 32 in numbers that lie in the first cache."""
    x, out = np.linspace(-0.5, 0.5, _POINTS, dtype=np.float32), np.empty(_POINTS, np.float32)
    return _rate(functools.partial(_polynomials, x, out), _ORDER * _POINTS)


def peak_products_per_second() -> float:
    """Of vectors by matrices of 8 bits (`zoo.products`) that lie in the first cache."""
    weights = products.matrices(np.ones((1, _ROWS_OF_8_BITS, _COLUMNS_OF_8_BITS)), 8)
    vector, total = np.ones(_ROWS_OF_8_BITS, np.float32), np.zeros(_COLUMNS_OF_8_BITS, np.float32)
    room = products.room_for(weights, _ROWS_OF_8_BITS)
    return _rate(functools.partial(_multiply, total, vector, weights, room), _ROWS_OF_8_BITS * _COLUMNS_OF_8_BITS)


def peak_bytes_per_second(size_bytes: int) -> float:
    """Of reading that many bytes over and over."""
    columns = max(size_bytes // (4 * _ROWS), 16)
    numbers = np.ones((_ROWS, columns), np.float32)
    return _rate(functools.partial(_read, numbers), numbers.nbytes)


def _rate(loop, work: int) -> float:
    """`loop(times)` does `work` so many times; work a second, the best of twenty."""
    times, took = 1, 0.0
    loop(1)
    while took < _LEAST_SECONDS:
        times *= 2
        took = _time(loop, times)
    return times * work / min(took, *(_time(loop, times) for _ in range(_TIMES)))


def _time(loop, times: int) -> float:
    started = time.perf_counter()
    loop(times)
    return time.perf_counter() - started


@_loop
def _polynomials(x, out, times):
    for _ in range(times):
        for i in range(_POINTS):
            y = x[i]
            for _ in range(_ORDER):
                y = y * x[i] + _FASTER
            out[i] = y
        x[0] = out[1]


@_loop
def _multiply(total, vector, weights, room, times):
    ready = products.operand(vector, room)
    for _ in range(times):
        products.add_nth_product(total, ready, weights, 0)


@_loop
def _read(numbers, times):
    total = np.float32(0.0)
    for _ in range(times):
        part = np.float32(0.0)
        for i in range(numbers.shape[1]):
            part += (numbers[0, i] + numbers[1, i]) + (numbers[2, i] + numbers[3, i])
        # Without this the sum would be taken once.
        numbers[0, 0] = _FASTER * numbers[0, 0]
        total += part
    return total
