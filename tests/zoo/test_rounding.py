"""What 8 bits cost is the difference of two likelihoods, of which the first is the graph's."""

import numpy as np
import pytest
import tensorflow as tf

from datasets import prepare
from datasets.errors import InputError
from tests.zoo import subjects, test_samplernn, test_tacotron, test_wavenet
from zoo import objective, rounding

SIZES = {"wavenet": test_wavenet.SIZES, "samplernn": test_samplernn.SIZES}


@pytest.fixture
def split(bursts):
    return lambda model: prepare.prepare(bursts(n=3, seconds=4.0, sample_rate=model.config.sample_rate), "validation")


def _by_the_graph(model, batch):
    told = objective.predict(model, batch, tf.constant([0, 0], tf.int32))
    heard = tf.pad(told["own_audio"], [(0, 0), (model.config.hop, 0)])
    nats = model.sound.nats(heard, told["gate"], told["condition"]).numpy()
    spoken = np.repeat(told["gate"].numpy() > 0, model.config.hop, axis=1)
    return np.stack([np.where(spoken, nats, 0.0).sum(axis=1) / np.log(2), spoken.sum(axis=1)], axis=1)


@pytest.mark.slow
def test_bits_of_the_graph_and_of_its_16_bits(split):
    model = subjects.tiny("samplernn", **SIZES["samplernn"])
    subjects.shake(model)
    held_out, before = split(model), model.get_weights()
    found = rounding.bits_per_sample(model, held_out, seed=1, crops=2, bits=16)
    wanted = _by_the_graph(model, next(iter(model.batches(held_out, 1, 0))))
    np.testing.assert_allclose(found["graph"], wanted, rtol=1e-4)
    a_sample = (found["graph16"] - found["graph"])[:, 0] / wanted[:, 1]
    assert 0.0 < np.abs(a_sample).max() < 0.05
    assert "graph16" in rounding.describe(found) and "; 16 bits cost" in rounding.describe(found)
    for weight, was in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, was)


@pytest.mark.slow
@pytest.mark.parametrize("name", SIZES)
def test_bits_of_32_bits_are_the_graphs_and_of_8_nearly(name, split):
    model = subjects.tiny(name, **SIZES[name])
    subjects.shake(model)
    held_out = split(model)
    found = rounding.bits_per_sample(model, held_out, seed=1, crops=2)
    wanted = _by_the_graph(model, next(iter(model.batches(held_out, 1, 0))))
    assert wanted[:, 1].all()
    np.testing.assert_allclose(found["fused"], wanted, rtol=1e-4)
    a_sample = (found["int8"] - wanted)[:, 0] / wanted[:, 1]
    assert 0.0 < np.abs(a_sample).max() < 0.1
    assert "8 bits cost" in rounding.describe(found)


def test_two_rows_by_hand():
    found = {"fused": np.array([[10.0, 5], [30.0, 5]]), "int8": np.array([[11.0, 5], [30.0, 5]])}
    said = "bits/sample by engine: fused 4.0000, int8 4.1000; 8 bits cost +0.1000 (standard error 0.1000, 10 samples)"
    assert rounding.describe(found) == said


def test_what_predicts_no_samples_is_refused(split):
    model = subjects.tiny("tacotron", **test_tacotron.SIZES)
    with pytest.raises(InputError, match="WaveNet and SampleRNN"):
        rounding.bits_per_sample(model, split(model))


def test_16_bits_are_of_samplernn():
    with pytest.raises(InputError, match="--graph16: only SampleRNN has weights of 16 bits in the graph"):
        rounding.bits_per_sample(subjects.tiny(), None, bits=16)
