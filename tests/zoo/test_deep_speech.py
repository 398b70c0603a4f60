import dataclasses
import itertools
import json

import jiwer
import keras
import numpy as np
import pytest
import tensorflow as tf

from datasets import corpora, prepare
from datasets.errors import InputError
from datasets.filterbank import FilterBank, levelled
from eval.audio.deep_speech import PRETRAINED, Network
from tests.zoo import commands, worded
from zoo import descent, objective, registry, utterances
from zoo.deep_speech import decoding, evaluation, pack, transcript
from zoo.deep_speech.config import PRESETS
from zoo.deep_speech.layers import BothWays, clipped, context
from zoo.deep_speech.model import DeepSpeech, ctc, errors

SIZES = dict(units=24, bands=20, context=3, batch_size=4, crop_seconds=3.0, averaging=0.9)


def tiny(**sizes) -> DeepSpeech:
    keras.utils.set_random_seed(0)
    return DeepSpeech(dataclasses.replace(PRESETS["tiny"], **{**SIZES, **sizes}))


@pytest.fixture
def split(tmp_path):
    corpus = worded.Worded(corpora.Options(cache_dir=tmp_path, sample_rate=8000))
    return utterances.spoken(corpus, prepare.prepare(corpus, "train", progress=False), 3.0)


def brute_force(logs: np.ndarray, written: list[int]) -> float:
    """The logarithm of the sum over all paths, one by one."""
    steps, n = logs.shape
    found = []
    for path in itertools.product(range(n), repeat=steps):
        if [each for each, _ in itertools.groupby(path) if each != n - 1] == written:
            found.append(sum(logs[t, each] for t, each in enumerate(path)))
    return float(np.logaddexp.reduce(found)) if found else -np.inf


@pytest.mark.parametrize("written", [[0], [0, 1], [1, 1], [0, 1, 0], [2, 2, 2]])
def test_likelihood_is_the_sum_over_all_paths(written):
    logits = np.random.default_rng(len(written)).standard_normal((5, 4)).astype(np.float32)
    logs = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    wanted = brute_force(logs, written)
    assert decoding.log_likelihood(logs, written) == pytest.approx(wanted, rel=1e-5)
    # A row with something beyond its end, and one that is shorter than its text needs.
    padded = np.stack([np.pad(logits, ((0, 3), (0, 0)), constant_values=9.0)] * 2)
    letters = np.array([[*written, 3, 3]] * 2, np.int32)
    found = ctc(padded, *map(tf.constant, ([5, 1], letters, [len(written)] * 2))).numpy()
    assert found[0] == pytest.approx(-wanted, rel=1e-4)
    assert found[1] == (0.0 if len(written) > 1 else pytest.approx(-logs[0, written[0]], rel=1e-4))


def test_a_beam_finds_what_the_best_path_misses():
    # Both steps are likeliest blank, and yet "a" is likelier than nothing.
    logs = np.log(np.array([[0.4, 0.0001, 0.5999], [0.4, 0.0001, 0.5999]]))
    assert decoding.greedy(logs) == [] and decoding.beam(logs, 4) == [0]
    rng = np.random.default_rng(0)
    for _ in range(5):
        logs = np.log(rng.dirichlet(np.full(4, 0.3), 4))
        texts = {tuple(text) for n in range(5) for text in itertools.product(range(3), repeat=n)}
        best = max(texts, key=lambda text: brute_force(logs, list(text)))
        found = decoding.beam(logs, 200, least=-np.inf)
        assert brute_force(logs, found) >= brute_force(logs, decoding.greedy(logs)) - 1e-9
        assert brute_force(logs, found) == pytest.approx(brute_force(logs, list(best)))


@pytest.mark.parametrize("bad", [np.zeros(4), np.zeros((3, 1)), np.full((3, 4), np.nan)])
def test_no_probabilities_no_text(bad):
    for decode in (decoding.greedy, decoding.beam):
        with pytest.raises(InputError, match="log probabilities"):
            decode(bad)
    with pytest.raises(InputError, match="--beam=0: a beam holds at least one text"):
        decoding.beam(np.zeros((3, 4)), 0)


def test_errors_are_those_of_jiwer():
    rng = np.random.default_rng(0)
    letters = rng.integers(0, 28, (6, 9)).astype(np.int32)
    n_letters, n_steps = np.array([9, 5, 1, 9, 7, 3], np.int32), np.array([20, 12, 20, 9, 20, 1], np.int32)
    logits = rng.standard_normal((6, 20, 29)).astype(np.float32)
    found = errors(logits, n_steps, letters, n_letters).numpy()
    for i, wrong in enumerate(found):
        said, heard = (
            transcript.text_of(each) for each in (letters[i, : n_letters[i]], decoding.greedy(logits[i, : n_steps[i]]))
        )
        # jiwer strips white space around a text.
        edits = jiwer.process_characters("|" + said + "|", "|" + heard + "|")
        assert wrong == edits.substitutions + edits.insertions + edits.deletions


def test_layers_are_those_of_the_paper():
    x = np.array([-1.0, 0.0, 3.0, 25.0], np.float32)
    np.testing.assert_array_equal(clipped(x), [0.0, 0.0, 3.0, 20.0])
    spectra = np.arange(12, dtype=np.float32).reshape(1, 6, 2)
    seen = context(spectra, 1).numpy()
    np.testing.assert_array_equal(seen[0], [[0, 0, 0, 1, 2, 3], [2, 3, 4, 5, 6, 7], [6, 7, 8, 9, 10, 11]])
    config = PRESETS["paper"]
    window, units = (2 * config.context + 1) * config.bands, config.units
    assert (window, units) == (19 * 80, 2048)
    dense = (window * units + units) + 2 * (units * units + units)
    recurrent = units * units + units + 2 * units * units
    above = (units * units + units) + (units * 29 + 29)
    shapes = 2 * config.bands
    assert DeepSpeech(config).count_params() == dense + recurrent + above + shapes


def test_the_recurrence_runs_both_ways_from_each_rows_own_end():
    layer = BothWays(3)
    layer.build((None, None, 5))
    x = np.random.default_rng(0).standard_normal((2, 6, 5)).astype(np.float32)
    found, n = layer(x, tf.constant([6, 4])).numpy(), [6, 4]
    for row, steps in enumerate(n):
        given = x[row, :steps] @ layer.given.kernel.numpy() + layer.given.bias.numpy()
        wanted = np.zeros((steps, 3))
        for kernel, order in ((layer.ahead, range(steps)), (layer.back, range(steps)[::-1])):
            state = np.zeros(3)
            for t in order:
                state = np.clip(given[t] + state @ kernel.numpy(), 0, 20)
                wanted[t] += state
        np.testing.assert_allclose(found[row, :steps], wanted, rtol=1e-4, atol=1e-5)


def test_what_lies_beyond_the_end_changes_nothing():
    model, rng = tiny(), np.random.default_rng(0)
    spectra = rng.standard_normal((2, 40, 20)).astype(np.float32)
    short, _ = model(spectra[:, :24], tf.constant([12, 9]))
    long, _ = model(spectra, tf.constant([12, 9]))
    for row, n in enumerate((12, 9)):
        np.testing.assert_allclose(short[row, :n], long[row, :n], rtol=1e-4, atol=1e-5)


def test_texts_have_the_papers_letters():
    assert transcript.plain("Uh-huh, it\u2019s  O.K. 9") == "uh huh it's ok"
    numbers = transcript.numbers("aa b'")
    assert transcript.text_of(numbers) == "aa b'" and max(numbers) < transcript.BLANK == 28
    assert transcript.steps_needed(numbers) == 6


def test_spectra_are_librosas():
    import librosa

    audio = np.random.default_rng(0).standard_normal(4000).astype(np.float32) * 0.1
    bank = FilterBank(8000, 24)
    found = bank(audio)
    assert found.shape == (50, 24)
    options = dict(n_fft=256, hop_length=80, win_length=160, window="hann", center=False)
    padded = np.pad(audio, (40 + 48, 200))
    power = np.abs(librosa.stft(padded, **options)) ** 2
    mels = librosa.filters.mel(sr=8000, n_fft=256, n_mels=24, fmin=60.0, norm=None) @ power
    wanted = np.log(mels.T[:50] / np.square(np.hanning(161)[:-1]).sum() + 1e-7)
    np.testing.assert_allclose(found, wanted, atol=1e-3)
    assert 20 * np.log10(levelled(audio).std()) == pytest.approx(-26, abs=0.1)
    assert not levelled(np.zeros(9, np.float32)).any() and len(bank(audio[:79])) == 0


def test_a_seed_repeats_and_evaluation_is_not_disturbed(split):
    model = tiny()
    batch = next(iter(model.batches(split, 0, 0)))
    assert set(batch) == {"spectra", "letters", "n_steps", "n_letters", "mask"}
    once, again, other = (float(model.sums(batch, tf.constant([0, s]), True)["letters"][0]) for s in (1, 1, 2))
    assert once == again != other
    one, two = (model.sums(batch, tf.constant([0, s])) for s in (1, 2))
    assert float(one["letters"][0]) == float(two["letters"][0]) and set(one) == {"letters", "errors"}


@pytest.mark.slow
def test_a_few_stretches_are_learned_by_heart_and_packed(split, tmp_path):
    model = tiny(dropout=0.0, noise_db=(50.0, 60.0), gain_db=0.0, units=48, learning_rate=4e-3)
    model.count(model.batches(split, 0, 0), 0)
    alike = [each for each in split.utterances if model.examples.units(each) == 2]
    step, rows = descent.Descent(model), tuple(alike[:4])
    few = dataclasses.replace(split, utterances=rows)
    batch = next(iter(model.batches(few, 0, 0)))
    for i in range(160):
        step.set_rates(50, 0.5 * i / 160)
        terms, _ = step(batch, tf.constant([0, i]))
    figures = objective.figures(objective.numbers(model.sums(batch, tf.constant([0, 0]))), model.config.hop)
    assert figures["character_error_rate"] < 0.1 and figures["bits_per_letter"] < 1.0
    assert "character error rate" in model.describe(figures) and "bits/letter" in model.brief(figures)
    rate = evaluation.character_error_rate(model, few)
    assert rate == pytest.approx(figures["character_error_rate"], abs=0.03)
    assert evaluation.character_error_rate(model, few, beam=8) <= rate + 0.03
    assert jiwer.cer(transcript.plain(rows[0].text), model.transcribe(utterances.sound(few, rows[0]))) < 0.2
    _numpy_hears_the_same(model, few, tmp_path)


def _numpy_hears_the_same(model, split, folder):
    np.savez(folder / "packed.npz", **pack.pack(model, split, "four stretches"))
    network = Network.read(folder / "packed.npz")
    assert network.about["trained_on"] == "four stretches" and 0 < network.about["variance_kept"] <= 1
    sound = utterances.sound(split, split.utterances[0])
    spectra = model.bank(levelled(sound))
    spectra = spectra[: len(spectra) // 16 * 16]
    _, wanted = model(spectra[None], tf.constant([len(spectra) // 2]))
    found = network.activations(spectra[None])
    # Weights are kept as float16.
    np.testing.assert_allclose(found, wanted, atol=0.02 * float(tf.reduce_max(wanted)))
    means = found.reshape(-1, pack.WINDOW_STEPS, found.shape[-1]).mean(axis=1)
    vectors = (means - network.weights["component_mean"]) @ network.weights["components"]
    np.testing.assert_allclose(network.vectors(sound, 8000), vectors, rtol=1e-3, atol=1e-3)


def test_the_shipped_network_is_the_keras_one():
    network = Network.read(PRETRAINED)
    about, weights = network.about, network.weights
    sizes = {key: about[key] for key in ("sample_rate", "bands", "context")}
    model = tiny(**sizes, units=len(weights["component_mean"]))
    model.levels.mean.assign(weights["band_mean"])
    model.levels.scale.assign(weights["band_scale"])
    model.both_ways.ahead.assign(weights["ahead"])
    model.both_ways.back.assign(weights["back"])
    for layer in (*model.below, model.above, model.both_ways.given):
        layer.kernel.assign(weights[f"{layer.name}_kernel"])
        layer.bias.assign(weights[f"{layer.name}_bias"])
    spectra = np.random.default_rng(0).normal(-9.0, 3.0, (2, 192, about["bands"])).astype(np.float32)
    _, wanted = model(spectra, tf.constant([96, 96]))
    assert 1.0 < float(tf.reduce_max(wanted)) <= 20.0
    np.testing.assert_allclose(network.activations(spectra), wanted, rtol=1e-4, atol=1e-4)


def test_components_are_those_of_scikit_learn():
    from sklearn.decomposition import PCA

    vectors = np.random.default_rng(0).standard_normal((400, 6)) @ np.diag([5, 4, 3, 2, 1, 0.1])
    mean, components, kept = pack.principal(vectors, 3)
    wanted = PCA(3).fit(vectors)
    np.testing.assert_allclose(mean, wanted.mean_, atol=1e-5)
    scale = np.sqrt(wanted.explained_variance_.mean())
    np.testing.assert_allclose(np.abs(components.T) * scale, np.abs(wanted.components_), atol=1e-4)
    assert kept == pytest.approx(wanted.explained_variance_ratio_.sum(), abs=1e-6)


def test_the_registry_knows_what_it_does():
    assert registry.mode_of("deep_speech") == "transcript" and "deep_speech" in registry.names()
    with pytest.raises(InputError, match="--mode=dialogue: deep_speech does not speak"):
        registry.find("deep_speech", mode="dialogue")
    with pytest.raises(InputError, match="--mode=transcript: wavenet writes no transcript"):
        registry.find("wavenet", mode="transcript")


@pytest.mark.parametrize(
    ("sizes", "told"),
    [
        ({"sample_rate": 8010}, "--set=sample_rate=8010: must be a multiple of 100"),
        ({"dropout": 1.0}, "--set=dropout=1.0: must be a share"),
        ({"noise_db": (60.0, 15.0)}, "--set=noise_db=60.0\\+15.0: the least and the most"),
        ({"units": 0}, "--set=bands=20, units=0"),
    ],
)
def test_sizes_that_cannot_be(sizes, told):
    with pytest.raises(InputError, match=told):
        tiny(**sizes)


@pytest.mark.slow
def test_it_is_trained_continued_and_scored_by_the_ordinary_commands(tmp_path):
    flags = [f"--set={key}={value}" for key, value in SIZES.items() if key != "crop_seconds"]
    train = ("zoo.train", "--model=deep_speech", "--corpus=worded", "--crop_seconds=3", "--name=ears", *flags)
    for steps in (2, 4):
        done = commands.run(tmp_path, *train, f"--steps={steps}", prepare=worded.use_worded)
        assert done.status == 0, done.stderr
    assert "going on from step 2" in done.stdout and "bits/letter, character error rate" in done.stdout
    config = json.loads((tmp_path / "runs" / "ears" / "config.json").read_text())
    assert config["mode"] == "transcript"
    module = tf.saved_model.load(str(tmp_path / "runs" / "ears" / "saved_model"))
    logits, layer = module.write(tf.zeros([1, 8, 20]), tf.constant([4]))
    assert logits.shape == (1, 4, 29) and layer.shape == (1, 4, 24)
    score = ("zoo.score", "--run=runs/ears", "--corpus=worded", "--split=test")
    done = commands.run(tmp_path, *score, "--beam=4", prepare=worded.use_worded)
    assert "by a beam of 4" in done.stdout, done.stderr
    done = commands.run(tmp_path, "zoo.generate", "--run=runs/ears", "--duet", "--out=a.wav")
    assert done.status != 0 and "writes down what is said and makes no sound" in done.stderr
