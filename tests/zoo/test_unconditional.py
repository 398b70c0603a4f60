import keras
import numpy as np
import pytest
import tensorflow as tf

from datasets.errors import InputError
from tests.zoo import commands, harness, subjects, test_samplernn, test_wavenet
from zoo import export, generation, objective, registry
from zoo.runs import new_model

SIZES = {"wavenet": test_wavenet.SIZES, "samplernn": test_samplernn.SIZES}


@pytest.fixture(params=SIZES, scope="module")
def model(request):
    in_dialogue = subjects.tiny(request.param, **SIZES[request.param])
    model = new_model(type(in_dialogue), in_dialogue.config, "unconditional")
    rng = np.random.default_rng(0)
    for weight in model.trainable_variables:
        weight.assign_add(0.3 * rng.standard_normal(weight.shape))
    return model


def test_it_is_the_sound_tier_alone(model):
    assert [layer.name for layer in model.layers] == ["sound"]
    assert sum(np.prod(weight.shape) for weight in model.sound.weights) == model.count_params()


def test_a_seed_repeats_and_engines_agree(model):
    graph, again, other = (generation.babble(model, 0.2, channels=2, seed=s, engine="graph") for s in (1, 1, 2))
    assert graph.shape == (2, 10 * model.config.hop) and np.abs(graph).max() <= 1
    np.testing.assert_array_equal(graph, again)
    assert harness.differs(graph, other) and harness.differs(graph[0], graph[1])
    fused = generation.babble(model, 0.2, channels=2, seed=1, engine="fused")
    assert (np.abs(fused - graph) < harness.TOLERANCE).mean() > 0.9


def test_what_is_babbled_is_what_is_predicted(model):
    config, seed = model.config, tf.constant(3)
    audio = generation.babble(model, 0.3, channels=2, seed=3, engine="graph")
    state = model.initial_state(2)
    uniforms = np.concatenate([model.uniforms({**state, "time": t}, seed) for t in range(15)], axis=1)
    gate, condition = np.ones((2, 15), np.float32), np.zeros((2, 15, 0), np.float32)
    past = np.zeros((2, config.hop), np.float32)
    logits, _ = model.sound.predict(np.concatenate([past, audio], axis=1), gate, condition, state["sound"])
    levels = model.sound.coding.encode(audio).numpy()
    assert harness.drawn_from(levels, logits.numpy(), uniforms).all() and len(np.unique(levels)) > 20


def test_every_frame_counts_and_either_channel(model):
    batch = subjects.clip(model.config)
    terms = model.sums(batch, tf.constant([0, 0]))
    windows = 2 * model.config.windows * (model.config.window_frames - model.sound.lead_frames)
    total, count = (float(each) for each in terms["sound"])
    assert set(terms) == {"sound", "finer"} and 0.7 * windows * model.config.hop < count <= windows * model.config.hop
    found = objective.figures(objective.numbers(terms), model.config.hop)
    assert found["sound_bits_per_sample"] == total / count
    # The softer a sample, the finer is its level.
    assert 2.0 < found["sound_bits_per_16_bit_sample"] - total / count < 9.0


def test_what_is_exported_says_the_same(model, tmp_path):
    export.export(model, tmp_path / "saved_model")
    agent = tf.saved_model.load(str(tmp_path / "saved_model"))
    wanted = generation.babble(model, 0.2, channels=2, seed=5, engine="graph")
    harness.same(agent.generate(channels=2, seconds=0.2, seed=5), wanted)
    assert not export.is_agent(agent)


def test_keras_brings_it_back(model, tmp_path):
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    wanted = generation.babble(model, 0.1, seed=5, engine="graph")
    np.testing.assert_array_equal(generation.babble(again, 0.1, seed=5, engine="graph"), wanted)


def test_a_table_has_no_sound_without_its_dialogue():
    with pytest.raises(InputError, match="--mode=unconditional: Hazard has no sound without its dialogue"):
        new_model(*registry.find("hazard"), "unconditional")


def test_train_then_generate(tmp_path):
    folder = tmp_path / "here"
    folder.mkdir()
    sizes = {**subjects.SIZES, **subjects.SMALLEST_WAVENET, "crop_seconds": 3.2, "batch_size": 4}
    flags = [f"--set={key}={'+'.join(map(str, v)) if isinstance(v, tuple) else v}" for key, v in sizes.items()]
    done = commands.run(
        folder, "zoo.train", "--model=wavenet", "--mode=unconditional", "--corpus=bursts", "--steps=3", *flags,
        prepare=commands.use_bursts,
    )  # fmt: skip
    assert done.status == 0, done.stderr
    assert "bits/sample" in done.stdout and "bits/s " not in done.stdout
    run = "--run=runs/wavenet-unconditional-tiny-bursts"
    done = commands.run(folder, "zoo.generate", run, "--seconds=0.5", "--out=babble.wav")
    assert done.status == 0 and (folder / "babble.wav").is_file() and not (folder / "babble.csv").exists()
    done = commands.run(folder, "zoo.generate", run, "--engine=graph16")
    assert done.status == 2 and "--engine=graph16: only SampleRNN has weights of 16 bits in the graph" in done.stderr
    done = commands.run(folder, "zoo.generate", run, "--duet")
    assert done.status == 2 and "an unconditional model takes no --partner, --duet" in done.stderr
