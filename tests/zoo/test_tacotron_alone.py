"""A Tacotron's decoder with nobody to listen to, `--mode=unconditional`."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.zoo import harness, subjects
from tests.zoo.test_tacotron_parts import SMALLEST
from zoo import export, generation, objective, registry
from zoo.runs import new_model

FRAMES = 12


@pytest.fixture(scope="module")
def model():
    model_class, config = registry.find("tacotron", "tiny", {**subjects.SIZES, **SMALLEST})
    keras.utils.set_random_seed(0)
    model = new_model(model_class, config, "unconditional")
    rng = np.random.default_rng(0)
    for weight in model.trainable_variables:
        weight.assign_add(0.3 * rng.standard_normal(weight.shape))
    model.acoustic.codebook.assign(-5.0 + rng.standard_normal(model.acoustic.codebook.shape))
    model.sound.set_levels(model.acoustic.codebook.numpy())
    return model


def test_it_has_no_ears_and_no_gate(model):
    assert {layer.name for layer in model.layers} == {"acoustic", "sound"} and model.mode == "unconditional"


def test_a_seed_repeats_and_channels_differ(model):
    one, again, other = (generation.babble(model, 0.3, channels=2, seed=seed) for seed in (1, 1, 2))
    assert one.shape == (2, 15 * model.config.hop) and np.abs(one).max() <= 1
    np.testing.assert_array_equal(one, again)
    assert harness.differs(one, other) and harness.differs(one[0], one[1])


def test_codes_are_drawn_from_what_is_predicted_of_the_codes_before(model):
    state, seed, codes, uniforms = model.initial_state(2), tf.constant(3), [], []
    for t in range(FRAMES):
        uniforms.append(tf.random.stateless_uniform([2], [3, 4 * t + 2]))
        _, code, _, state = model.decide(state, seed)
        codes.append(code.numpy())
        state = model.listen(None, state)
    codes = np.stack(codes, axis=1)
    before = np.pad(codes[:, :-1], [[0, 0], [1, 0]], constant_values=model.acoustic.codes)
    state = model.acoustic.initial_state(2)
    state["noise"] = {**state["noise"], "seed": seed}
    logits, _ = model.predict(tf.constant(before), state)
    shares = np.cumsum(tf.nn.softmax(logits).numpy(), axis=-1)
    drawn = (shares < np.stack(uniforms, axis=1)[..., None]).sum(axis=-1)
    assert (drawn == codes).mean() > 0.95 and len(np.unique(codes)) > 2


def test_every_frame_counts_and_it_learns(model):
    batch = subjects.clip(model.config)
    terms = model.sums(batch, tf.constant([0, 0]))
    frames = batch["mask"].shape[1]
    assert float(terms["code"][1]) == 2 * (frames - 10) and set(terms) == {"code", "mel"}  # Ten frames warm up.
    figures = objective.figures(objective.numbers(terms), model.config.hop)
    assert set(figures) == {"code_bits_per_frame", "mel_bits_per_frame"}
    model.count([batch], 0)
    assert np.abs(model.acoustic.codebook.numpy()).max() > 0
    with tf.GradientTape() as tape:
        loss = objective.loss(model.sums(batch, tf.constant([0, 0])))
    gradients = tape.gradient(loss, model.trainable_variables)
    silent = [v.path for v, g in zip(model.trainable_variables, gradients, strict=True) if g is None]
    assert not silent, silent


def test_what_is_exported_and_saved_says_the_same(model, tmp_path):
    wanted = generation.babble(model, 0.2, channels=2, seed=5)
    export.export(model, tmp_path / "saved_model")
    agent = tf.saved_model.load(str(tmp_path / "saved_model"))
    harness.same(agent.generate(channels=2, seconds=0.2, seed=5), wanted, 1e-4)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    harness.same(generation.babble(again, 0.2, channels=2, seed=5), wanted, 1e-4)
