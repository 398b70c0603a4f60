import keras
import numpy as np
import pytest
import soundfile
import tensorflow as tf

from datasets import features
from datasets.errors import InputError
from tests.zoo import commands, harness, subjects, test_wavenet
from zoo import descent, export, generation, memory, objective, registry
from zoo.runs import new_model
from zoo.vocoder import MELS_A_FRAME, POSITIONS, MelConditioner, VocoderModel
from zoo.wavenet.model import PRESETS, WaveNet

FRAMES = 12


@pytest.fixture(params=["mu-law", "mixture"], scope="module")
def model(request):
    in_dialogue = subjects.tiny("wavenet", **{**test_wavenet.SIZES, "coding": request.param})
    model = new_model(WaveNet, in_dialogue.config, "vocoder")
    rng = np.random.default_rng(0)
    for weight in model.trainable_variables:
        weight.assign_add(0.3 * rng.standard_normal(weight.shape))
    model.conditioner.mel_mean.assign(np.full(model.config.mel_bands, -6.0))
    model.conditioner.mel_scale.assign(np.full(model.config.mel_bands, 4.0))
    return model


def _target(model, n: int = 2) -> np.ndarray:
    return subjects.sound(np.random.default_rng(1), model.config, FRAMES, n)


def test_mels_end_with_each_part_of_a_frame():
    layer = MelConditioner(2000, 6, 4)
    audio = np.random.default_rng(0).standard_normal((1, (2 + FRAMES) * 40)).astype(np.float32)
    found = layer.mels(audio).numpy().reshape(FRAMES, MELS_A_FRAME, 6)
    wanted = features.log_mel(audio[:, 80:], audio[:, 40:80], 2000, 6)[0]
    np.testing.assert_allclose(found[:, -1], wanted, rtol=1e-5)
    # Half a frame earlier.
    wanted = features.log_mel(audio[:, 60:-20], audio[:, 20:60], 2000, 6)[0]
    np.testing.assert_allclose(found[:, 0], wanted, rtol=1e-5)


def test_upsampling_is_a_transposed_convolution(model):
    conditioner, rng = model.conditioner, np.random.default_rng(0)
    layer = conditioner.up[1]
    n = layer.channels // 2
    x = rng.standard_normal((1, 7, n)).astype(np.float32)
    found = layer(x, tf.zeros([1, 1, n]))[0].numpy().reshape(14, n)
    before, now = np.split(layer.kernel.numpy(), 2)
    wanted = np.zeros((16, n)) + layer.bias.numpy().reshape(2, n)[np.arange(16) % 2]
    for t in range(7):
        for k, kernel in enumerate((now, before)):
            wanted[2 * (t + k) : 2 * (t + k) + 2] += (x[0, t] @ kernel).reshape(2, n)
    np.testing.assert_allclose(found, wanted[:14], rtol=1e-4, atol=1e-5)


def test_it_hears_in_pieces_what_it_hears_whole(model):
    target, hop = _target(model), model.config.hop
    whole, _ = model.conditioner(np.pad(target, [(0, 0), (2 * hop, 0)]), model.conditioner.initial_state(2))
    state, parts = model.initial_state(2), []
    for t in range(FRAMES):
        state = model.listen(tf.constant(target[:, t * hop : (t + 1) * hop]), state)
        parts.append(state["condition"])
    np.testing.assert_allclose(np.stack(parts, axis=1), whole, rtol=1e-4, atol=1e-5)
    assert whole.shape == (2, FRAMES, POSITIONS * model.config.condition_channels)


def test_a_seed_repeats_and_engines_agree(model):
    target = _target(model)
    graph, again, other = (generation.vocode(model, target, seed=s, engine="graph") for s in (1, 1, 2))
    assert graph.shape == target.shape and np.abs(graph).max() <= 1
    np.testing.assert_array_equal(graph, again)
    assert harness.differs(graph, other) and harness.differs(graph[0], graph[1])
    fused = generation.vocode(model, target, seed=1, engine="fused")
    # 16-bit samples part sooner than levels do: `test_parity`.
    agree = 0.5 if model.config.coding == "mixture" else 0.9
    assert (np.abs(fused - graph) < harness.TOLERANCE).mean() > agree


def test_what_it_says_is_what_is_predicted_of_the_spectra_of_the_target(model):
    target, hop, seed = _target(model), model.config.hop, tf.constant(3)
    said = generation.vocode(model, target, seed=3, engine="graph")
    start = model.initial_state(2)
    uniforms = np.concatenate([model.uniforms({**start, "time": t + 1}, seed) for t in range(FRAMES)], axis=1)
    condition, _ = model.conditioner(np.pad(target, [(0, 0), (2 * hop, 0)]), start["conditioner"])
    gate = np.ones((2, FRAMES), np.float32)
    logits, _ = model.sound.predict(np.pad(said, [(0, 0), (hop, 0)]), gate, condition, start["sound"])
    coding = model.sound.coding
    if coding.dtype == tf.int32:
        assert harness.drawn_from(coding.encode(said).numpy(), logits.numpy(), uniforms).all()
    else:
        harness.same(coding.sample(logits, uniforms, 1.0), said, 1e-3)


def test_nothing_is_looked_ahead_to(model):
    target, at = _target(model), 7
    other = target.copy()
    other[:, at * model.config.hop :] *= 0.1
    one, two = (generation.vocode(model, each, seed=1, engine="graph") for each in (target, other))
    until = at * model.config.hop
    np.testing.assert_array_equal(one[:, :until], two[:, :until])
    assert harness.differs(one[:, until:], two[:, until:])


def test_a_recording_that_does_not_fit_into_memory_is_refused(model, monkeypatch):
    monkeypatch.setattr(memory, "free_bytes", lambda: 1000.0)
    with pytest.raises(InputError, match="1 channels of 0.24 s would take about"):
        generation.vocode(model, np.zeros((1, FRAMES * model.config.hop), np.float32), seed=1)


def test_what_is_exported_and_what_keras_saves_say_the_same(model, tmp_path):
    target = _target(model)
    wanted = generation.vocode(model, target, seed=5, engine="graph")
    export.export(model, tmp_path / "saved_model")
    agent = tf.saved_model.load(str(tmp_path / "saved_model"))
    harness.same(agent.generate(target, 5, 1.0), wanted)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert isinstance(again, VocoderModel) and again.config == model.config
    harness.same(generation.vocode(again, target, seed=5, engine="graph"), wanted)


def test_one_clip_is_learned_by_its_spectra():
    in_dialogue = subjects.tiny("wavenet", **test_wavenet.SIZES)
    model = new_model(WaveNet, in_dialogue.config, "vocoder")
    batch = subjects.clip(model.config, seconds=2.0)
    model.count(tf.data.Dataset.from_tensors(batch), 0)
    assert np.ptp(model.conditioner.mel_mean) > 0.1 and np.all(model.conditioner.mel_scale.numpy() > 1e-3)
    step = descent.Descent(model, jit=False)
    found = []
    for i in range(60):
        step.set_rates(49, 0.0)
        terms, _ = step(batch, tf.constant([0, i]))
        found.append(objective.figures(objective.numbers(terms), model.config.hop)["sound_bits_per_sample"])
    assert found[0] > 7.0 and found[-1] < 0.5


def test_the_paper_preset_has_as_many_weights_as_counted_by_hand():
    config = PRESETS["vocoder"]
    assert (config.sample_rate, config.mel_bands, len(config.dilations), config.coding) == (24000, 80, 30, "mixture")
    model = VocoderModel(WaveNet, config)
    # Two taps of a linear layer of the number; 30 layers: gated convolution of two taps, residual and skip.
    taps = 2 * (128 + 128)
    layer = (2 * 128 * 256 + 256) + (128 * (128 + 256) + 128 + 256)
    conditions = 128 * 30 * 256 + 30 * 256
    head = (256 * 256 + 256) + (256 * 30 + 30)
    room_level = 1
    assert model.sound.count_params() == taps + 30 * layer + conditions + head + room_level
    # Two steps in, two out, 128 wide; and mean and spread of the bands.
    upsampling = (2 * 80 * 256 + 256) + (2 * 128 * 256 + 256) + 2 * 80
    assert model.conditioner.count_params() == upsampling


def test_others_say_no_spectra():
    with pytest.raises(InputError, match="--mode=vocoder: SampleRNN says no spectra; the choice of --model is wavenet"):
        new_model(*registry.find("samplernn"), "vocoder")


@pytest.mark.slow
def test_train_then_say_it_again(tmp_path):
    folder = tmp_path / "here"
    folder.mkdir()
    sizes = {**subjects.SIZES, **subjects.SMALLEST_WAVENET, "crop_seconds": 3.2, "batch_size": 4}
    flags = [f"--set={key}={'+'.join(map(str, v)) if isinstance(v, tuple) else v}" for key, v in sizes.items()]
    done = commands.run(
        folder, "zoo.train", "--model=wavenet", "--mode=vocoder", "--corpus=bursts", "--steps=3", "--nojit", *flags,
        prepare=commands.use_bursts,
    )  # fmt: skip
    assert done.status == 0, done.stderr
    assert "mels of" in done.stdout and "bits/sample" in done.stdout and "bits/s " not in done.stdout
    run = "--run=runs/wavenet-vocoder-tiny-bursts"
    soundfile.write(folder / "in.wav", 0.1 * np.random.default_rng(0).standard_normal(8000), 8000)
    done = commands.run(folder, "zoo.generate", run, "--vocode=in.wav", "--seconds=0.5", "--out=out.wav")
    assert done.status == 0, done.stderr
    sound, rate = soundfile.read(folder / "out.wav")
    assert sound.shape == (1000,) and rate == 2000 and np.abs(sound).max() > 0
    done = commands.run(folder, "zoo.generate", run)
    assert done.status == 2 and "--vocode=a.wav is of --mode=vocoder" in done.stderr


def test_a_recording_that_is_not_finite_is_refused(model):
    broken = np.full((1, 2 * model.config.hop), np.nan, np.float32)
    with pytest.raises(InputError, match="the recording has samples that are not finite"):
        generation.vocode(model, broken, seed=0)
    with pytest.raises(tf.errors.InvalidArgumentError, match="the recording has samples that are not finite"):
        tf.function(model.generate, autograph=False)(broken, 0)
