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

_ORDER = 32
_POINTS = 2048
_ROWS = 4
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
        multiply_adds_per_second: float32, fused.
        bytes_per_second: by the bytes that are read over and over.
    """

    multiply_adds_per_second: float = 0.0
    bytes_per_second: dict[int, float] = dataclasses.field(default_factory=dict)

    def measure(self, sizes_bytes) -> None:
        """Times the loops once more; what is best stays."""
        self.multiply_adds_per_second = max(self.multiply_adds_per_second, peak_multiply_adds_per_second())
        for size in sizes_bytes:
            self.bytes_per_second[size] = max(self.bytes_per_second.get(size, 0.0), peak_bytes_per_second(size))

    def samples_per_second(self, multiply_adds: float, weight_bytes: int) -> float:
        """At most, of one channel: a loop that does so many multiply-adds for a sample and reads a float32 for each.

        Args:
            multiply_adds: for a sample.
            weight_bytes: of all weights, among those of `measure`.
        """
        return min(self.multiply_adds_per_second, self.bytes_per_second[weight_bytes] / 4) / multiply_adds


def peak_multiply_adds_per_second() -> float:
    """Of polynomials of order 32 in numbers that lie in the first cache."""
    x, out = np.linspace(-0.5, 0.5, _POINTS, dtype=np.float32), np.empty(_POINTS, np.float32)
    return _rate(functools.partial(_polynomials, x, out), _ORDER * _POINTS)


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
