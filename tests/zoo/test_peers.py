import numpy as np
import pytest

from datasets.errors import InputError
from zoo import peers


def test_steps_take_turns_and_the_first_is_not_counted():
    taken = []
    steps = {name: (lambda name=name: taken.append(name) or 1.0, seconds) for name, seconds in (("a", 4.0), ("b", 2.0))}
    found = peers.rate(steps, rounds=3)
    assert taken == ["a", "b"] * 4
    assert {name: rates.shape for name, rates in found.items()} == {"a": (3, 2), "b": (3, 2)}
    assert all((rates[:, 0] > 0).all() for rates in found.values())


def test_a_step_that_diverges_is_named():
    with pytest.raises(InputError, match="a: a step's loss is nan"):
        peers.rate({"a": (lambda: float("nan"), 1.0)}, rounds=1)


def test_the_sizes_are_those_that_are_compared():
    assert peers._DILATIONS == tuple(2**i for i in range(10)) * 2
    assert np.prod(peers._WAVENET_BATCH) == 4 * peers.SAMPLE_RATE
