"""The parts of a compiled loop are those of the model, and a profile adds up."""

import pytest

from tests.zoo import subjects, test_samplernn, test_wavenet
from zoo import cost, parts
from zoo.generation import BITS
from zoo.runs import new_model

SIZES = {"wavenet": test_wavenet.SIZES, "samplernn": {**test_samplernn.SIZES, "frame_samples": (8, 4)}}


@pytest.fixture(params=SIZES, scope="module")
def model(request):
    in_dialogue = subjects.tiny(request.param, **SIZES[request.param])
    return new_model(type(in_dialogue), in_dialogue.config, "unconditional")


@pytest.mark.parametrize("bits", BITS.values())
def test_the_products_are_all_multiply_adds(model, bits):
    found = sum(each.rows * each.columns * each.a_sample for each in model.sound.fused(bits).work().products)
    rate = model.config.sample_rate
    wanted = sum(cost.multiply_adds(layer) * steps / rate for layer, steps in model.sound.runs(rate))
    # Embeddings are looked up in the loop, where the graph multiplies, and frames are conditioned before it.
    assert 0.5 * wanted < found <= wanted


@pytest.mark.slow
def test_every_part_takes_time_and_rounding_only_where_there_is_some(model):
    for engine in BITS:
        found = parts.of_model(model, engine, rounds=2)
        assert tuple(found) == parts.PARTS and all(found[part] > 0 for part in ("products", "nonlinear", "draw"))
        assert (found["rounding"] > 0) == (engine == "int8")


def test_shares_by_hand():
    found = {"products": 4e-6, "rounding": 1e-6, "nonlinear": 2e-6, "draw": 1e-6, "rest": 2e-6}
    lines = parts.table({"wavenet": found})
    assert lines[0].split() == ["us", "a", "sample", *parts.PARTS]
    assert lines[1].split() == ["wavenet", "10.00", "40%", "10%", "20%", "10%", "20%"]
