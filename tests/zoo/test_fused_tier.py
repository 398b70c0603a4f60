"""The tiers without TensorFlow against the graph: the same gates and codes, and what conditions the sound."""

import numpy as np
import pytest
import tensorflow as tf

from tests.zoo import subjects, test_samplernn, test_tacotron, test_wavenet
from zoo import fused_ears, fused_layers, fused_tier, generation
from zoo.layers import GatedStack
from zoo.recurrent import CELLS, RecurrentStack
from zoo.runs import new_model

RATE, FRAMES, BATCH = 8000, 300, 3
# Thirty frames of each: what a partner does.
VOICED_HZ = 130.0
MODELS = {
    "wavenet": ("wavenet", {**test_wavenet.SIZES, "context_dilations": (1, 2, 4)}),
    "samplernn": ("samplernn", test_samplernn.SIZES),
    "lstm": ("samplernn", {**test_samplernn.SIZES, "cell": "lstm", "context_layers": 2}),
    "pure": ("wavenet", {**test_wavenet.SIZES, "acoustic_codes": 0}),
    "deaf to prosody": ("samplernn", {**test_samplernn.SIZES, "cue_channels": 0}),
    "tacotron2": ("tacotron", {**test_tacotron.SIZES, "decoder_layers": 2}),
    "tacotron1": ("tacotron", {**test_tacotron.SIZES, "family": "tacotron1", "dropout": 0.0}),
}


def _partner(config, rng) -> np.ndarray:
    """Noise, a voice, room tone and digital silence: [batch, frames, hop]."""
    sound = subjects.sound(rng, config, FRAMES, BATCH).reshape(BATCH, FRAMES, config.hop)
    time = np.arange(FRAMES * config.hop) / config.sample_rate
    voice = sum(np.sin(2 * np.pi * VOICED_HZ * k * time) / k for k in range(1, 6)) * np.sin(np.pi * time)
    sound[0] = sound[0] * 0.01 + 0.2 * voice.reshape(FRAMES, config.hop)
    sound[:, 60:90] = 0.0
    return sound.astype(np.float32)


def _model(name: str, sizes: dict):
    model = subjects.tiny(name, **{**sizes, "sample_rate": RATE})
    subjects.shake(model)
    cue = model.dialogue.cue
    if cue is not None:
        cue.share.assign(np.random.default_rng(2).standard_normal(cue.share.shape))
    return model


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    return _model(*MODELS[request.param])


def test_gates_and_codes_are_those_of_the_graph(model):
    rng, graphs, seed = np.random.default_rng(0), generation.functions(model), tf.constant(7)
    start = model.initial_state(BATCH, [0, 1, 1], [3, 0, 1])
    state = {key: value for key, value in start.items() if key != "sound"}
    tier, partner, opened, codes = fused_tier.tier_of(model, start), _partner(model.config, rng), [], []
    gate, conditions, uniforms, room, state = graphs.decide(state, seed)
    for t in range(FRAMES):
        found = tier.decide(7)
        np.testing.assert_array_equal(found[0], gate > 0)
        np.testing.assert_array_equal(tier.code, state["code"])
        np.testing.assert_allclose(found[1], conditions, atol=1e-4)
        np.testing.assert_array_equal(found[2], uniforms)
        np.testing.assert_allclose(found[3], room, atol=1e-8)
        opened.append(gate.numpy() > 0)
        codes += tier.code.tolist()
        tier.listen(partner[:, t])
        gate, conditions, uniforms, room, state = graphs.listen_decide(partner[:, t], state, seed)
    assert 0.2 < np.mean(opened) < 0.8 and len(set(codes)) == min(model.acoustic.codes, 8) + 1
    # Both starts and stops have changed the pace.
    assert state["dialogue"]["pace"]["observed"].numpy().min() > 3


def test_ears_hear_what_the_model_hears():
    model, rng = _model("wavenet", subjects.SMALLEST_WAVENET), np.random.default_rng(1)
    partner, state = _partner(model.config, rng), model.initial_state(BATCH)
    ears = fused_ears.Ears(model.config, float(model.dialogue.speech_db), state)
    heard, _ = model.hear(partner.reshape(BATCH, -1), state)
    for t in range(FRAMES):
        ears.hear(partner[:, t])
        np.testing.assert_array_equal(ears.quiet, heard["quiet"][:, t])
        np.testing.assert_array_equal(ears.spurt, heard["spurt"][:, t])
        np.testing.assert_allclose(ears.mel, heard["mel"][:, t], atol=1e-3)
        np.testing.assert_allclose(ears.prosody, heard["prosody"][:, t], atol=1e-4)
    voiced = heard["prosody"][0, :, 4].numpy()
    assert 0.3 < voiced.mean() < 1.0 and len(np.unique(heard["prosody"][0, :, 1])) > 20


@pytest.mark.parametrize("taps", [2, 3])
def test_a_stack_goes_on_from_its_histories(taps):
    rng = np.random.default_rng(0)
    stack = GatedStack(5, 7, taps, (1, 2, 4))
    stack.build((None, None, 5))
    x = rng.standard_normal((2, 40, 5)).astype(np.float32)
    _, state = stack(x[:, :9], stack.initial_state(2))
    wanted, _ = stack(x[:, 9:], state)
    fused = fused_layers.Stack(stack, state)
    found = np.stack([fused(x[:, t].copy()) for t in range(9, 40)], axis=1)
    np.testing.assert_allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_recurrent_layers_go_on_from_their_states(cell):
    rng = np.random.default_rng(0)
    stack = RecurrentStack(6, 2, cell, weight_norm=True)
    stack.build((None, None, 4))
    x = rng.standard_normal((2, 30, 4)).astype(np.float32)
    _, state = stack(x[:, :9], stack.initial_state(2))
    wanted, _ = stack(x[:, 9:], state)
    fused = fused_layers.Recurrent(stack, state)
    found = np.stack([fused(x[:, t]).copy() for t in range(9, 30)], axis=1)
    np.testing.assert_allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize(("seed", "number"), [(0, 0), (7, 41), (-3, 2**31 - 1), (2**31 - 1, -5)])
@pytest.mark.parametrize("shape", [(1, 2), (3, 5), (2, 320)])
def test_random_numbers_are_those_of_tensorflow(seed, number, shape):
    wanted = tf.random.stateless_uniform(shape, [seed, number])
    np.testing.assert_array_equal(fused_layers.uniforms(seed, number, shape), wanted)


def test_what_is_not_ours_is_left_to_the_graph():
    model = subjects.tiny("hazard", order=4)
    assert fused_tier.tier_of(model, model.initial_state(1)) is None


@pytest.mark.parametrize("name", ["tacotron2", "tacotron1"])
def test_a_tacotron_goes_on_from_a_prompt(name):
    model, rng, seed = _model(*MODELS[name]), np.random.default_rng(3), tf.constant(4)
    own, partner = (_partner(model.config, rng)[:2, :17].reshape(2, -1) for _ in range(2))
    gate = (np.arange(17) // 4 % 2).astype(np.float32)[None].repeat(2, axis=0)
    start = model.observe(own, gate, partner, model.initial_state(2))[1]
    tier, state = fused_tier.tier_of(model, start), {key: value for key, value in start.items() if key != "sound"}
    heard = _partner(model.config, rng)[:2]
    for t in range(12):
        gate, conditions, _, _, state = generation.functions(model).decide(state, seed)
        found = tier.decide(4)
        np.testing.assert_array_equal(found[0], gate > 0)
        np.testing.assert_allclose(found[1], conditions, atol=1e-4)
        tier.listen(heard[:, t])
        state = model.listen(heard[:, t], state)


def test_one_that_hears_nobody_always_speaks():
    model = _model("samplernn", test_samplernn.SIZES)
    alone = new_model(type(model), model.config, "unconditional")
    state = alone.initial_state(2)
    tier = fused_tier.tier_of(alone, state)
    for _ in range(3):
        gate, conditions, uniforms, _, _ = generation.functions(alone).decide(state, tf.constant(5))
        found = tier.decide(5)
        assert found[0].all()
        np.testing.assert_allclose(found[1], conditions, atol=1e-6)
        np.testing.assert_array_equal(found[2], uniforms)
        tier.listen(np.zeros((2, model.config.hop), np.float32))
        state = alone.listen(None, state)
