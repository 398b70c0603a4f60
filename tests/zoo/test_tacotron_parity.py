"""Tacotron's compiled loops against the graph: what they predict, and what they say on their own."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.zoo import test_tacotron
from zoo import generation, registry
from zoo.runs import new_model

pytestmark = pytest.mark.slow

SEEDS = 100
FRAMES = 1000


@pytest.fixture(params=["regression", "normal"], scope="module")
def model(request):
    """A decoder and its sound alone at 8 kHz, as loud as speech, with weights away from their start."""
    sizes = {**test_tacotron.SIZES, "sample_rate": 8000, "mel_bands": 24, "acoustic_codes": 16}
    model_class, config = registry.find("tacotron", "tiny", {**sizes, "output": request.param})
    keras.utils.set_random_seed(0)
    model = new_model(model_class, config, "unconditional")
    rng = np.random.default_rng(0)
    for weight in model.trainable_variables:
        weight.assign_add(0.2 * rng.standard_normal(weight.shape))
    model.acoustic.codebook.assign(-7.0 + 2.0 * rng.standard_normal(model.acoustic.codebook.shape))
    model.sound.set_levels(model.acoustic.codebook.numpy())
    return model


def _conditions(model, rng, frames: int) -> np.ndarray:
    return rng.uniform(-1, 1, (2, frames, model.config.condition_channels)).astype(np.float32)


@pytest.mark.parametrize(("bits", "tolerance"), [(32, 1e-3), (8, 0.1)])
def test_what_is_predicted_over_many_frames(model, bits, tolerance):
    rng = np.random.default_rng(1)
    conditions, gate = _conditions(model, rng, FRAMES), rng.integers(0, 2, (2, FRAMES // 10)).repeat(10, axis=1)
    start = model.sound.initial_state(2)
    *wanted, voicing = model.sound.predict(None, tf.constant(gate, tf.float32), conditions, start)[0]
    kernel = model.sound.fused(bits)
    buffers = kernel.buffers(start)
    found = [kernel.predict(gate[:, t] > 0, conditions[:, t], buffers) for t in range(FRAMES)]
    heard = gate > 0
    for name, one, two in (
        ("mels", np.stack([parts for parts, _ in found], axis=1), np.stack(wanted, axis=2)),
        ("voicing", np.stack([each for _, each in found], axis=1), voicing.numpy()),
    ):
        assert two[heard].std() > 0.1, name
        np.testing.assert_allclose(one[heard], two[heard], atol=tolerance, rtol=0, err_msg=name)


def test_the_engines_say_the_same_for_a_second(model):
    # A row of a batch has random numbers of its own, as a seed has.
    fused, graph = (generation.babble(model, 1.0, channels=SEEDS, seed=5, engine=e) for e in ("fused", "graph"))
    assert graph.std() > 0.02 and len(np.unique(fused[:, -1])) > 20
    assert (np.abs(fused - graph).max(axis=1) < 1e-4).mean() >= 0.95


def test_where_the_gate_is_shut_nothing_is_computed(model):
    state, kernel = model.sound.initial_state(3), model.sound.fused()
    buffers, rng = kernel.buffers(state), np.random.default_rng(2)
    nothing = np.zeros((3, model.config.hop), np.float32)
    gate, uniforms = np.array([False, True, False]), rng.random(nothing.shape, np.float32)
    buffers[:] = 0.5
    conditions = np.where(gate[:, None], _conditions(model, rng, 3)[0], np.nan)
    frame = kernel.generate(nothing, gate, conditions, buffers, uniforms, 1.0)
    assert np.isfinite(buffers).all() and frame[1].std() > 0 and not frame[~gate].any()
    shut = {**state, "postnet": [np.full(h.shape, 0.5, np.float32) for h in state["postnet"]]}
    np.testing.assert_array_equal(buffers[~gate], kernel.buffers(model.sound.silent(shut))[~gate])
