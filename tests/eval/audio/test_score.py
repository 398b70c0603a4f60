"""Scores of rows whose features are made up, so that every answer is known."""

import numpy as np
import pytest

from datasets.errors import InputError
from eval.audio import score, statistics
from eval.audio.score import Measured, Scorer

N_DIALOGUES, D = 8, 6
NAMES = [f"d{i}" for i in range(N_DIALOGUES)]
GROUPS = {name: int(name[1:]) // 4 for name in NAMES}


def features(rng, shift=0.0, vectors=60, voiced=0.7, f0_hz=120.0, phones=90):
    n = 500
    f0 = np.where(rng.random(n) < voiced, f0_hz * 2 ** (rng.normal(0, 2, n) / 12), np.nan)
    ratio = 10 + rng.normal(0, 1, n)
    return {
        "seconds": np.array(5.0),
        "embedding/speech": rng.normal(shift, 1, (vectors, D)).astype(np.float32),
        "f0": f0.astype(np.float32),
        "hnr": np.where(np.isnan(f0), np.nan, ratio).astype(np.float32),
        "phones": rng.multinomial(phones, np.full(39, 1 / 39)).astype(float),
        "dnsmos": np.array([[3.0, 3.5, 2.8]]) - shift / 10,
        "spectrum": rng.uniform(1, 2, 32),
        "modulation": rng.uniform(4, 5, (8, 7)) / (1 + shift),
        "modulation_windows": np.array(9),
        "guards": np.array([0.0, 0.0, 0.1, 30.0]),
    }


def row(seed, seconds=480.0, **options):
    rng = np.random.default_rng(seed)
    return Measured(NAMES, [features(rng, **options) for _ in NAMES], seconds)


HUMAN, NOISE = row(0), row(1, shift=3.0, voiced=0.02, f0_hz=300.0, phones=1)
HALVES = score.halves_of(NAMES, GROUPS)


@pytest.fixture(scope="module")
def scorer():
    return Scorer(HUMAN, NOISE, HALVES, draws=30)


def test_real_speech_and_noise_are_the_ends(scorer):
    human, noise = scorer.score(HUMAN), scorer.score(NOISE)
    for name in ("frechet_speech", "kernel_speech", "f0_distance", "voiced_share", "phone_rate", "dnsmos_ovrl"):
        assert human[f"{name}_percent"] == pytest.approx(100) and noise[f"{name}_percent"] == pytest.approx(0)
    assert human["babble_quality"] == pytest.approx(100) and noise["babble_quality"] == pytest.approx(0)
    assert human["headline"] == ["frechet_speech", "pitch"]
    assert human["f0_spread"] == pytest.approx(2 * 1.28 * 2, rel=0.1)  # Of a normal with a deviation of 2 semitones.
    assert human["f0_median"] == pytest.approx(120, rel=0.03) and human["phone_rate"] == pytest.approx(18)
    assert [each["dialogue"] for each in human["per_dialogue"]] == NAMES


def test_what_is_worse_is_lower_with_an_interval_around(scorer):
    found = [scorer.score(row(5, shift=shift)) for shift in (0.3, 0.8, 1.6)]
    assert found[0]["babble_quality"] > found[1]["babble_quality"] > found[2]["babble_quality"]
    for each in found:
        assert 0 <= each["babble_quality_low"] <= each["babble_quality"] <= each["babble_quality_high"] <= 100
    assert found[2]["babble_quality_high"] < found[0]["babble_quality_low"]


def test_sums_equal_what_is_counted_at_once(scorer):
    """The Frechet distance and the f0 distance of the score, from the vectors and values themselves."""
    from eval import distances as timing_distances
    from eval.audio import distances

    other, frechet, f0 = row(7, shift=0.5), [], []
    for half in (0, 1):
        own, real = (
            [each for name, each in zip(NAMES, part.features, strict=True) if HALVES[name] == side]
            for part, side in ((other, half), (HUMAN, 1 - half))
        )
        frechet.append(distances.frechet_of(*(np.concatenate([e["embedding/speech"] for e in x]) for x in (own, real))))
        pitches = [12 * np.log2(np.concatenate([e["f0"] for e in x])) for x in (own, real)]
        f0.append(timing_distances.wasserstein(*(each[np.isfinite(each)] for each in pitches)))
    found = scorer.score(other)
    assert found["frechet_speech"] == pytest.approx(np.mean(frechet), rel=1e-5)
    assert found["f0_distance"] == pytest.approx(np.mean(f0), abs=0.02)


def test_a_row_that_speaks_more_is_thinned(scorer):
    """Twice the vectors of the same distribution are no better; unthinned they would be."""
    rng = np.random.default_rng(0)
    doubled = [features(rng, vectors=120) | {"seconds": np.array(10.0)} for _ in NAMES]
    twice = scorer.score(Measured(NAMES, doubled, 480.0))
    assert len(statistics.thinned(doubled[0]["embedding/speech"], 0.5)) == 60
    once = [scorer.score(row(seed))["frechet_speech"] for seed in range(20, 30)]
    assert min(once) < twice["frechet_speech"] < max(once)


def test_a_row_that_speaks_less_has_nearer_ends(scorer):
    rng = np.random.default_rng(0)
    fewer = [features(rng, vectors=20) | {"seconds": np.array(5 / 3)} for _ in NAMES]
    found = scorer.score(Measured(NAMES, fewer, 480.0))
    assert found["frechet_speech"] > scorer.score(HUMAN)["frechet_speech"]
    assert found["frechet_speech_percent"] > 85


def test_thinning_is_even():
    vectors = np.arange(100)[:, None]
    assert len(statistics.thinned(vectors, 0.25)) == 25 and np.diff(statistics.thinned(vectors, 0.25)[:, 0]).max() == 4
    np.testing.assert_array_equal(statistics.thinned(vectors, 1.0), vectors)


def test_a_silent_row_has_no_scores_and_a_flag(scorer):
    found = scorer.score(Measured(NAMES, [{"seconds": np.array(0.0)}] * N_DIALOGUES, 480.0))
    assert np.isnan(found["babble_quality"]) and found["headline"] == []
    assert found["flags"] == ["silence: speaks 0.0% of the time, humans 8.3%"]


def test_too_few_vectors_have_no_distance(scorer):
    rng = np.random.default_rng(0)
    few = [features(rng, vectors=2) for _ in NAMES]
    found = scorer.score(Measured(NAMES, few, 480.0))
    assert np.isnan(found["frechet_speech"]) and np.isnan(found["kernel_speech"])
    assert np.isnan(found["babble_quality"]) and found["pitch_percent"] > 90


def test_a_voiceless_row_is_as_far_as_the_tracker_reaches(scorer):
    found = scorer.score(row(3, voiced=0.0))
    assert found["f0_distance"] == pytest.approx(statistics.SEMITONES) and found["pitch_percent"] == 0
    assert np.isnan(found["f0_median"]) and np.isnan(found["hnr"])


def test_halves_share_no_speakers():
    assert {HALVES[name] for name in NAMES[:4]} != {HALVES[name] for name in NAMES[4:]}
    alone = score.halves_of(NAMES, dict.fromkeys(NAMES, "one"))
    assert sorted(alone.values()) == [0] * 4 + [1] * 4
    with pytest.raises(InputError, match="only one"):
        score.halves_of(["a"], {"a": 1})


def test_real_speech_is_needed_on_both_sides():
    silent = [{"seconds": np.array(0.0)} if HALVES[name] else HUMAN.features[0] for name in NAMES]
    with pytest.raises(InputError, match="one half has none"):
        Scorer(Measured(NAMES, silent, 480.0), NOISE, HALVES)
