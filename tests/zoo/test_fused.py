"""The small loops that kernels share, against numpy."""

import numba
import numpy as np
import pytest
from numba.core import errors

from zoo.fused import add, clear, fill, rectify, span

LENGTHS = [0, 1, 7, 16, 100]


@numba.njit
def _fill(x, values):
    fill(x, values)


@numba.njit
def _add(x, values):
    add(x, values)


@numba.njit
def _clear(x, values):
    clear(x)


@numba.njit
def _rectify(x, values):
    rectify(x)


@numba.njit
def _fill_span(x, first, n, values):
    fill(span(x, first, n), values)


@numba.njit
def _fill_row_of_span(x, first, n, row, values):
    part = span(x, first, n)
    fill(part[row], values)
    return part.shape


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("n", LENGTHS)
@pytest.mark.parametrize(
    ("loop", "expected"),
    [
        (_fill, lambda x, values: values),
        (_add, lambda x, values: x + values),
        (_clear, lambda x, values: 0 * x),
        (_rectify, lambda x, values: np.maximum(x, 0)),
    ],
)
def test_a_loop_is_numpys(rng, loop, expected, n):
    x, values = rng.standard_normal((2, n)).astype(np.float32)
    then = expected(x, values)
    loop(x, values)
    np.testing.assert_array_equal(x, then)


def test_a_span_is_a_slice_that_may_be_written_to(rng):
    x, values = np.zeros(10, np.float32), rng.standard_normal(10).astype(np.float32)
    _fill_span(x, 3, 4, values)
    np.testing.assert_array_equal(x, [0, 0, 0, *values[:4], 0, 0, 0])


def test_a_span_of_rows(rng):
    x, values = np.zeros((5, 6), np.float32), rng.standard_normal(6).astype(np.float32)
    assert _fill_row_of_span(x, 1, 3, 2, values) == (3, 6)
    np.testing.assert_array_equal(x, [*np.zeros((3, 6)), values, np.zeros(6)])


def test_an_array_with_gaps_is_refused():
    with pytest.raises(errors.TypingError, match="contiguous"):
        _clear(np.zeros((4, 4), np.float32)[:, 0], np.zeros(4, np.float32))
