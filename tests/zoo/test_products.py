"""Products of compiled loops, by weights of 32 and of 8 bits, against numpy."""

import numba
import numpy as np
import pytest

from zoo import products
from zoo.products import add_nth_product, operand, room_for

SHAPES = [(64, 128), (32, 32), (4, 256), (30, 30), (100, 257), (7, 5), (1, 1), (1024, 48)]


@numba.njit
def _add(total, vector, several, index, room):
    add_nth_product(total, operand(vector, room), several, index)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def _product(vector, several, index, columns, start=0.0):
    total = np.full(columns, start, np.float32)
    _add(total, vector.astype(np.float32), several, index, room_for(several, len(vector)))
    return total


@pytest.mark.parametrize("shape", SHAPES)
def test_floats_are_numpys(rng, shape):
    weights, vector = rng.standard_normal((3, *shape)), rng.standard_normal(shape[0])
    found = _product(vector, products.matrices(weights), 2, shape[1], start=1.0)
    np.testing.assert_allclose(found, 1.0 + vector @ weights[2], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape", SHAPES)
def test_8_bits_are_numpys_product_with_the_rounded_weights(rng, shape):
    weights, vector = rng.standard_normal((3, *shape)), rng.standard_normal(shape[0])
    packed = products.matrices(weights, 8)
    assert packed.levels.dtype == np.int8 and packed.levels.size < 2 * weights.size + 3 * 512
    rounded = products.unpacked(packed, *shape)
    steps = np.abs(weights).max(axis=1, keepdims=True) / 127
    assert (np.abs(rounded - weights) <= 0.5001 * steps).all()
    found = _product(vector, packed, 1, shape[1], start=1.0)
    # A vector is rounded to a 2^14th of its largest number, or half of that.
    close = np.abs(vector).max() * 2**-13 * np.abs(rounded[1]).sum(axis=0).max()
    np.testing.assert_allclose(found, 1.0 + vector @ rounded[1], rtol=1e-5, atol=close)


@pytest.mark.parametrize("rows", [512, 1024, 4096])
@pytest.mark.parametrize("value", [1.0, -0.9999999, 2.0**-10, 3e30])
def test_sums_of_the_largest_numbers_stay_within_32_bits(rows, value):
    weights = np.full((1, rows, 32), -0.5)
    found = _product(np.full(rows, value), products.matrices(weights, 8), 0, 32)
    np.testing.assert_allclose(found, -0.5 * rows * value, rtol=1e-3)


def test_nothing_times_anything_is_nothing(rng):
    weights = rng.standard_normal((1, 20, 8))
    weights[..., 3] = 0.0
    packed = products.matrices(weights, 8)
    np.testing.assert_array_equal(_product(np.zeros(20), packed, 0, 8), 0.0)
    assert np.isfinite(packed.scales).all() and _product(rng.standard_normal(20), packed, 0, 8)[3] == 0.0
    # Smaller than any number that matters, and no division by it.
    assert np.abs(_product(np.full(20, 1e-40), packed, 0, 8)).max() < 1e-20


def test_one_large_number_costs_the_others_their_last_bits_only(rng):
    weights, vector = rng.standard_normal((1, 64, 32)), rng.standard_normal(64)
    vector[5] = 100.0
    packed = products.matrices(weights, 8)
    wanted = vector @ products.unpacked(packed, 64, 32)[0]
    assert np.abs(_product(vector, packed, 0, 32) - wanted).max() < 64 * 100.0 * 2**-14
