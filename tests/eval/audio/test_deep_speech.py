"""The DeepSpeech distances: what the shipped network makes of sound."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest

from datasets.errors import InputError
from eval.audio import damages, deep_speech, distances, rows
from eval.audio.embedding import EMBEDDINGS

RATE = 8000


def test_a_vector_each_160_ms_whatever_the_level(buzz):
    audio = buzz(130, 5.0, RATE)
    vectors = deep_speech.deep_speech_activations(audio, RATE)
    assert vectors.shape == (31, 64) and vectors.dtype == np.float32 and np.isfinite(vectors).all()
    np.testing.assert_allclose(deep_speech.deep_speech_activations(0.1 * audio, RATE), vectors, atol=1e-3)
    for samples in (1, round(0.159 * RATE)):
        assert deep_speech.deep_speech_activations(audio[:samples], RATE).shape == (0, 64)


def test_stretches_side_by_side_are_those_one_by_one(buzz):
    audio = buzz(130, 5.0, RATE)
    network = deep_speech.pretrained()
    level = np.sqrt(np.mean(np.square(audio, dtype=np.float64)))
    stretch = deep_speech._STRETCH_STEPS * RATE // 50
    # Windows of spectra reach beyond a stretch by 5 ms, so they are cut, and not the sound.
    spectra = deep_speech.FilterBank(RATE, network.about["bands"])(
        (audio * 10 ** (-26 / 20) / level).astype(np.float32)
    )
    slowly = []
    for start in range(0, 5 * RATE // 80 // 16 * 16, 2 * deep_speech._STRETCH_STEPS):
        part = spectra[start : start + 2 * stretch * 50 // RATE]
        part = part[: len(part) // 16 * 16]
        means = network.activations(part[None])[0].reshape(-1, 8, 320).mean(axis=1)
        slowly.append((means - network.weights["component_mean"]) @ network.weights["components"])
    np.testing.assert_allclose(network.vectors(audio, RATE), np.concatenate(slowly), atol=1e-3)


def test_no_distance_from_itself_and_damage_in_order(real_speech):
    audio, rate = real_speech
    audio = np.tile(audio, 4)[: 24 * rate]
    vectors = deep_speech.deep_speech_activations(audio, rate)
    assert distances.frechet_of(vectors, vectors) == pytest.approx(0, abs=1e-6)
    assert distances.kernel(vectors, vectors) <= 1e-9
    found = []
    for name in ("noise 20 dB", "noise 10 dB", "noise 0 dB", "white noise"):
        damaged = damages.DAMAGES[name](audio, rate, np.random.default_rng(0))
        found.append(distances.frechet_of(vectors, deep_speech.deep_speech_activations(damaged, rate)))
    assert found == sorted(found) and found[0] > 0


@pytest.mark.parametrize(
    ("audio", "rate", "told"),
    [
        (np.zeros((2, RATE)), RATE, "one channel"),
        (np.zeros(0), RATE, "has no samples"),
        (np.full(RATE, np.nan), RATE, "not finite"),
        (np.zeros(RATE), 4000, "4000 Hz is below 8000 Hz"),
        (np.zeros(RATE, np.int16), RATE, "floats in"),
    ],
)
def test_malformed_is_refused(audio, rate, told):
    with pytest.raises(InputError, match=told):
        deep_speech.deep_speech_activations(audio, rate)


def test_silence_is_no_failure():
    assert np.isfinite(deep_speech.deep_speech_activations(np.zeros(RATE, np.float32), RATE)).all()


def test_a_score_file_says_which_network_it_was():
    digest = hashlib.sha256(deep_speech.PRETRAINED.read_bytes()).hexdigest()
    told = EMBEDDINGS["deep_speech"].version
    assert digest[:12] in told and "layer5" in told and "maptask-voiced, train split" in told
    card = (deep_speech.PRETRAINED.parent / "README.md").read_text(encoding="utf-8")
    assert digest in card
    clip = rows.Clip("a", np.array([[0.0, 1.0]]), 1.0, RATE, lambda: np.zeros(RATE, np.float32))
    assert rows._describe([clip], {"a": 0}, 1.0, RATE)["embeddings"]["deep_speech"] == told


def test_it_needs_no_tensorflow():
    code = (
        "import sys, numpy as np; from eval.audio import deep_speech\n"
        "deep_speech.deep_speech_activations(np.ones(8000, np.float32), 8000)\n"
        "assert not {'tensorflow', 'keras', 'zoo'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=deep_speech.PRETRAINED.parents[2])
