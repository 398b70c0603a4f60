"""f0, voicing and harmonics-to-noise ratio, on sounds whose answer is known and against librosa.pyin."""

import librosa
import numpy as np
import pytest
import soundfile

from datasets.errors import InputError
from eval.audio import pitch

LONGEST_SECONDS = 6


@pytest.mark.parametrize("f0_hz", [75, 120, 210, 330, 450])
@pytest.mark.parametrize("rate", [8000, 16000])
def test_finds_the_f0_of_a_buzz(buzz, f0_hz, rate):
    f0, ratio = pitch.track(buzz(f0_hz, 1.0, rate), rate)
    assert np.isfinite(f0).mean() > 0.97
    np.testing.assert_allclose(f0[np.isfinite(f0)], f0_hz, rtol=0.01)
    assert np.nanmedian(ratio) > 15


def test_noise_has_no_voice():
    f0, ratio = pitch.track(np.random.default_rng(0).standard_normal(32000).astype(np.float32) * 0.1, 16000)
    assert np.isfinite(f0).mean() < 0.03 and np.array_equal(np.isnan(f0), np.isnan(ratio))


@pytest.mark.parametrize("wanted_db", [5, 10, 20])
def test_ratio_is_that_of_the_mixture(wanted_db):
    t = np.arange(24000) / 8000
    tone = np.sqrt(2) * np.sin(2 * np.pi * 150 * t)
    noise = 10 ** (-wanted_db / 20) * np.random.default_rng(0).standard_normal(len(t))
    assert np.nanmedian(pitch.track((0.1 * (tone + noise)).astype(np.float32), 8000)[1]) == pytest.approx(
        wanted_db, abs=1.5
    )


def test_the_path_is_the_best_of_all():
    """The dynamic programme against all paths of a short stretch."""
    import itertools

    rng = np.random.default_rng(0)
    f0, r = rng.uniform(80, 400, (5, 4)), rng.uniform(0.2, 0.9, (5, 4))
    r[2, 3] = -1
    unvoiced = rng.uniform(0.3, 0.8, 5)

    def gain(path):
        total = 0.0
        for i, state in enumerate(path):
            if state == 4:
                total += unvoiced[i]
            elif r[i, state] < 0:
                return -np.inf
            else:
                total += r[i, state] - pitch._OCTAVE_COST * np.log2(pitch.LOWEST_HZ / f0[i, state])
            if i:
                before = path[i - 1]
                if (before == 4) != (state == 4):
                    total -= pitch._VOICING_COST
                elif state < 4:
                    total -= pitch._JUMP_COST * abs(np.log2(f0[i - 1, before] / f0[i, state]))
        return total

    best = max(itertools.product(range(5), repeat=5), key=gain)
    assert tuple(pitch._cheapest_path(f0, r, unvoiced)) == best


@pytest.mark.slow
def test_agrees_with_pyin_on_real_recordings(real_audio_dir):
    differences = []
    for path in sorted([*real_audio_dir.glob("read/*.wav"), *real_audio_dir.glob("ami/sample.wav")]):
        audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
        audio = librosa.resample(audio[: LONGEST_SECONDS * rate, 0], orig_sr=rate, target_sr=8000)
        ours = pitch.track(audio, 8000)[0]
        theirs = librosa.pyin(
            audio, fmin=pitch.LOWEST_HZ, fmax=pitch.HIGHEST_HZ, sr=8000, frame_length=512, hop_length=80, center=False
        )[0]
        # The middles of the windows: 23 ms and 32 ms after their beginnings.
        place = np.round(np.arange(len(ours)) + (3 / pitch.LOWEST_HZ / 2 - 0.032) / 0.010).astype(int)
        theirs = theirs[place.clip(0, len(theirs) - 1)]
        both = np.isfinite(ours) & np.isfinite(theirs)
        differences.append(np.abs(ours[both] / theirs[both] - 1))
    differences = np.concatenate(differences)
    assert len(differences) > 1000
    assert np.median(differences) < 0.03 and np.mean(differences > 0.2) < 0.06


def test_short_and_malformed():
    assert [len(each) for each in pitch.track(np.zeros(100, np.float32), 8000)] == [0, 0]
    f0, _ = pitch.track(np.zeros(8000, np.float32), 8000)
    assert len(f0) and np.isnan(f0).all()
    with pytest.raises(InputError, match="one channel"):
        pitch.track(np.zeros((2, 8000)), 8000)
