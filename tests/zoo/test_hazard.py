import librosa
import numpy as np
import scipy.signal

from tests.zoo import harness, subjects
from zoo import generation
from zoo.hazard.sound import predictor

RATE = subjects.SIZES["sample_rate"]


class TestHazard(harness.ModelContract):
    name = "hazard"
    sizes = dict(order=4)

    def count(self, model) -> None:
        rng = np.random.default_rng(0)
        noise = rng.standard_normal((model.config.voices, 400))
        noise = [np.convolve(row, rng.standard_normal(3)) for row in noise]
        rows = [predictor(np.correlate(row, row, "full")[len(row) - 1 :][:5] / len(row) / 30) for row in noise]
        model.acoustic.predictors.assign(rows)

    def test_it_is_counted_and_not_learned(self, subject):
        assert not subject.model.trainable_variables


def test_a_predictor_is_that_of_librosa():
    # Burg's method and the autocorrelation's agree on a long stretch of a filter that is no more than that.
    sound = scipy.signal.lfilter([1.0], [1.0, -1.2, 0.7, 0.1], np.random.default_rng(0).standard_normal(50_000))
    found = predictor([sound[: len(sound) - k] @ sound[k:] / len(sound) for k in range(4)])
    np.testing.assert_allclose(found[:3], -librosa.lpc(sound, order=3)[1:], atol=0.01)
    np.testing.assert_allclose(found, [1.2, -0.7, -0.1, 1.0], atol=0.02)


def test_each_voice_speaks_with_its_own_spectrum_and_level():
    model = subjects.tiny("hazard", order=12)
    rng = np.random.default_rng(0)
    low, high = scipy.signal.firwin(31, 300, fs=RATE), scipy.signal.firwin(31, [500, 800], fs=RATE, pass_zero=False)
    shaped = [size * scipy.signal.lfilter(h, 1, rng.standard_normal(40_000)) for size, h in ((0.2, low), (0.4, high))]
    example = {
        "own_audio": np.array(shaped, np.float32),
        "gate": np.ones((2, 1000), np.float32),
        "mask": np.ones((2, 1000), np.float32),
        "voice": np.array([1, 2]),
    }
    sums = model.acoustic.count(example)
    model.acoustic.set_counted({key: value.numpy() for key, value in sums.items()})
    model.dialogue.table.assign(np.full(model.dialogue.table.shape, 0.0))
    nothing, partner = np.zeros((3, 0), np.float32), np.zeros((3, 12_000), np.float32)
    audio, gate = generation.respond(model, nothing, nothing, partner, ["giver"] * 3, [1, 2, 3], seed=0)
    spoken = np.repeat(gate, model.config.hop, axis=1)
    for row, wanted in enumerate(shaped):
        said = audio[row][spoken[row]]
        assert 0.8 < said.std() / wanted.std() < 1.2
        (_, one), (_, two) = (scipy.signal.welch(each, RATE, nperseg=64) for each in (said, wanted))
        assert np.corrcoef(np.log(one + 1e-6), np.log(two + 1e-6))[0, 1] > 0.9
    # A voice that was never heard has the spectrum of all.
    assert shaped[0].std() < audio[2][spoken[2]].std() < shaped[1].std()
