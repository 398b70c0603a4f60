import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from datasets.errors import InputError
from tests.zoo import harness, subjects
from zoo import generation, registry, rounding
from zoo.runs import new_model
from zoo.samplernn.model import PRESETS, SampleRNN

SIZES = dict(
    frame_samples=(20, 4),
    channels=6,
    embedding_channels=4,
    sample_channels=8,
    condition_channels=6,
    context_channels=6,
    acoustic_channels=6,
    lead_frames=1,
)
# Of 16 bits, rounding falls the other way now and then, and what follows hears it.
_APART = {"mu-law": 1e-5, "mixture": 1e-3}


class TestSampleRNN(harness.TrainedContract):
    name = "samplernn"
    sizes = SIZES
    compiled = True


class TestSampleRNNOfTwoTiersOfLSTMs(harness.ModelContract):
    name = "samplernn"
    sizes = {**SIZES, "frame_samples": (8,), "cell": "lstm", "layers": 2, "weight_norm": False, "coding": "linear"}
    compiled = True


class TestSampleRNNWithoutCodes(harness.ModelContract):
    name = "samplernn"
    sizes = {**SIZES, "acoustic_codes": 0}
    compiled = True
    heard_in = ("toggle", "context", "condition")


def test_the_paper_presets_have_as_many_weights_as_counted_by_hand():
    n = 1024
    gru = 2 * (n * 3 * n + 3 * n + 3 * n) + n  # two products, each with lengths and biases, and the initial state
    perceptron = 256 * 256 + 2 * (n * n + n + n) + (n * 256 + 256 + 256)
    down = {16: 256 * 20 * n + 2 * 20 * n, 8: 256 * 40 * n + 2 * 40 * n}
    room_level = 1
    two = (16 * n + 2 * n) + 3 * gru + (n * 16 * n + 2 * 16 * n) + (16 * 256 * n + n)
    upper = (8 * n + 2 * n) + gru + (n * 4 * n + 2 * 4 * n)
    lower = (2 * n + 2 * n) + gru + (n * 2 * n + 2 * 2 * n) + (2 * 256 * n + n)
    for preset, tiers, top in (("paper-2tier", two, 16), ("paper-3tier", upper + lower, 8)):
        config = PRESETS[preset]
        assert SampleRNN(config).sound.count_params() == tiers + perceptron + down[top] + room_level
        # Without a dialogue above, the biases of what hands it down are left.
        alone = SampleRNN.sound_tier(config, 0)
        alone.build()
        assert alone.count_params() == tiers + perceptron + 320 // top * n + room_level


@pytest.mark.parametrize("sizes", [(24,), (16, 3), (0,)])
def test_frames_that_do_not_divide_are_refused(sizes):
    with pytest.raises(InputError, match="--set=frame_samples=.*each must divide the one before.*160 samples"):
        dataclasses.replace(PRESETS["tiny"], frame_samples=sizes)


def test_unknown_cells_are_refused():
    with pytest.raises(InputError, match="--set=cell=rnn: no such cell; the choices are gru, lstm"):
        registry.find("samplernn", "tiny", {"cell": "rnn"})


@pytest.fixture(params=[dict(coding="mu-law"), dict(coding="mixture"), dict(cell="lstm", layers=2)])
def alone(request):
    """A sound tier alone, with weights away from their start."""
    model = subjects.tiny("samplernn", **{**SIZES, **request.param})
    model = new_model(type(model), model.config, "unconditional")
    _shake(model, 0)
    return model


def _shake(model, seed):
    rng = np.random.default_rng(seed)
    for weight in model.trainable_variables:
        weight.assign_add(0.1 * rng.standard_normal(weight.shape))


def test_frames_of_prepared_weights_are_drawn_from_what_is_predicted(alone):
    sound, frames, rng = alone.sound, 5, np.random.default_rng(1)
    start = state = sound.initial_state(2)
    prepared, gate, condition = sound.prepared(), tf.ones([2]), tf.zeros([2, 0])
    uniforms, said = rng.random((frames, 2, sound.hop), np.float32), [np.zeros((2, sound.hop), np.float32)]
    for uniform in uniforms:
        frame, again = sound.sample_frame(said[-1], gate, condition, state, uniform, 1.0, prepared)
        on_the_spot, state = sound.sample_frame(said[-1], gate, condition, state, uniform, 1.0)
        for found, wanted in zip(tf.nest.flatten([frame, again]), tf.nest.flatten([on_the_spot, state]), strict=True):
            np.testing.assert_allclose(found, wanted, atol=_APART[alone.config.coding])
        said.append(frame.numpy())
    audio = np.concatenate(said, axis=1)
    predicted, after = sound.predict(audio, tf.ones([2, frames]), tf.zeros([2, frames, 0]), start)
    drawn = sound.coding.decode(sound.coding.sample(predicted, np.concatenate(uniforms, axis=1), 1.0))
    np.testing.assert_allclose(audio[:, sound.hop :], drawn, atol=_APART[alone.config.coding])
    for found, wanted in zip(tf.nest.flatten(state), tf.nest.flatten(after), strict=True):
        np.testing.assert_allclose(found, wanted, atol=_APART[alone.config.coding])


@pytest.mark.parametrize("batch", [1, 2])
def test_a_voice_of_16_bits_draws_from_the_rounded_weights(alone, batch):
    rounded = type(alone).from_config(alone.get_config())
    rounded.set_weights(alone.get_weights())
    rounding.round_graph(rounded)
    voices = [generation.voice_of(alone, alone.initial_state(batch), "graph16"),
              generation.voice_of(rounded, rounded.initial_state(batch), "graph")]  # fmt: skip
    assert generation.engines_of(alone) == ("fused", "int8", "graph", "graph16")
    for _ in range(3):
        found, wanted = (voice.speak(1, 1.0)[0] for voice in voices)
        np.testing.assert_allclose(found, wanted, atol=_APART[alone.config.coding])
        for voice in voices:
            voice.listen(found)
    told = np.concatenate([found, found], axis=1), tf.ones([batch, 1]), tf.zeros([batch, 1, 0])
    exact, near = (model.sound.predict(*told, model.sound.initial_state(batch))[0] for model in (alone, rounded))
    assert 1e-5 < np.abs(near - exact).max() < 0.1


def test_weights_that_change_are_heard_by_the_next_voice(alone):
    said = []
    for seed in (1, 2):
        voice = generation.voice_of(alone, alone.initial_state(1), "graph")
        said.append(voice.speak(0, 1.0)[0])
        frame, _, _ = alone.speak(alone.initial_state(1), tf.constant(0))
        np.testing.assert_allclose(said[-1], frame, atol=_APART[alone.config.coding])
        _shake(alone, seed)
    assert np.abs(said[1] - said[0]).max() > 0.01
