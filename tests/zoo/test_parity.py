"""The compiled loops against the graph: what they predict, what they draw from it, and what they say on their own."""

import numpy as np
import pytest
import tensorflow as tf

from tests.zoo import subjects, test_samplernn, test_wavenet
from zoo import generation
from zoo.runs import new_model

pytestmark = pytest.mark.slow

SIZES = {"wavenet": test_wavenet.SIZES, "samplernn": {**test_samplernn.SIZES, "channels": 16}}
STEPS = 16000
SEEDS = 100
STEP = 2.0**-15


@pytest.fixture(params=["mu-law", "mixture"], scope="module")
def coding(request):
    return request.param


@pytest.fixture(params=SIZES, scope="module")
def model(request, coding):
    """A sound tier alone at 8 kHz, with weights away from their start."""
    sizes = {**SIZES[request.param], "coding": coding, "sample_rate": 8000}
    if request.param == "samplernn":
        sizes["frame_samples"] = (16, 4)
    in_dialogue = subjects.tiny(request.param, **sizes)
    model = new_model(type(in_dialogue), in_dialogue.config, "unconditional")
    rng = np.random.default_rng(0)
    for weight in model.trainable_variables:
        weight.assign_add(0.1 * rng.standard_normal(weight.shape))
    return model


def _predicted_by_the_kernel(model, sound):
    """[frames, hop] -> [frames * hop, parameters]."""
    state = model.initial_state(1)
    kernel = generation.kernel_of(model, state)
    conditions = generation.functions(model).decide(state, tf.constant(0))[1].numpy()
    buffers, past = kernel.buffers(state["sound"]), np.zeros((1, model.config.hop), np.float32)
    found = []
    for frame in sound:
        found.append(kernel.predict(past, frame[None], conditions, buffers)[0])
        past = frame[None]
    return np.concatenate(found)


def _predicted_by_the_graph(model, audio):
    """[batch, samples] -> [batch, samples, parameters]."""
    batch, frames = len(audio), audio.shape[1] // model.config.hop
    gate, condition = np.ones((batch, frames), np.float32), np.zeros((batch, frames, 0), np.float32)
    heard = np.pad(audio, [(0, 0), (model.config.hop, 0)])
    return model.sound.predict(heard, gate, condition, model.sound.initial_state(batch))[0].numpy()


def test_what_is_predicted_over_16000_steps(model):
    rng = np.random.default_rng(1)
    loud = np.repeat(rng.choice([0.003, 0.3], STEPS // 400), 400)
    sound = (loud * rng.standard_normal(STEPS)).clip(-1, 1).astype(np.float32).reshape(-1, model.config.hop)
    found, wanted = _predicted_by_the_kernel(model, sound), _predicted_by_the_graph(model, sound.reshape(1, -1))[0]
    assert found.shape == (STEPS, model.sound.coding.parameters) and wanted.std(axis=0).max() > 0.05
    np.testing.assert_allclose(found, wanted, atol=1e-3, rtol=0)


def test_what_is_said_is_drawn_from_what_the_graph_predicts(model):
    said = generation.babble(model, 1.0, channels=4, seed=3, engine="fused")
    state, seed = model.initial_state(4), tf.constant(3)
    uniforms = np.concatenate([model.uniforms({**state, "time": t}, seed) for t in range(50)], axis=1)
    wanted = model.sound.coding.decode(
        model.sound.coding.sample(_predicted_by_the_graph(model, said), uniforms, 1.0)
    ).numpy()
    if model.config.coding == "mixture":
        # Of 16 bits, the next step where rounding falls the other way.
        away = np.abs(said - wanted) / STEP
        assert (away == 0).mean() > 0.97 and (away <= 1).mean() > 0.999
    else:
        assert (np.abs(said - wanted) < 1e-5).mean() > 0.9999
    assert said.std() > 0.01


def test_the_engines_say_the_same_for_a_second(model, coding):
    # A row of a batch has random numbers of its own, as a seed has.
    fused, graph = (generation.babble(model, 1.0, channels=SEEDS, seed=5, engine=e) for e in ("fused", "graph"))
    apart = np.abs(fused - graph)
    if coding == "mixture":
        # Rounding to 16 bits falls the other way in one draw of fifty; what follows hears another sample.
        firsts = [row[np.argmax(row > 0)] for row in apart]
        assert np.median(firsts) <= STEP
        assert (apart[:, :20] == 0).mean() > 0.6
    else:
        assert (apart.max(axis=1) < 1e-5).mean() >= 0.95
    assert len(np.unique(fused[:, -1])) > 20
