import numpy as np
import pytest
import tensorflow as tf

from datasets import features, hazard, pipeline, prepare
from tests.zoo import subjects
from zoo import hearing, statistics


@pytest.fixture
def counted(bursts):
    """A model and what it counted on noise bursts at -23 dB in room tone at -65 dB."""
    prepared = prepare.prepare(bursts(n=4, seconds=8.0, sample_rate=2000), "train", progress=False)
    batches = list(pipeline.crops(prepared, 1.6, 2, seed=0, epoch=0))
    model = subjects.tiny()
    return model, batches, statistics.fit(model, batches, seed=0)


def test_fit_finds_levels_bands_and_codes(counted):
    model, batches, found = counted
    assert -62 < found["speech_db"] < -25 and found["room_db"] == pytest.approx(-65, abs=1)
    assert float(model.dialogue.speech_db) == pytest.approx(found["speech_db"])
    assert float(model.sound.room_level) == pytest.approx(10 ** (found["room_db"] / 20))
    codebook = model.acoustic.codebook.numpy()
    assert codebook.shape == (8, 6) and np.isfinite(codebook).all()
    # Centres of frames of bursts: a hum or room tone is not among them.
    mel = _mels(batches, model.config)
    assert (np.abs(codebook.mean(axis=0) - mel["speech"].mean(axis=0)) < 1.0).all()
    np.testing.assert_allclose(model.dialogue.mel_mean, mel["all"].mean(axis=0), rtol=0.02)
    np.testing.assert_allclose(model.dialogue.mel_scale, mel["all"].std(axis=0), rtol=0.02)


def test_fit_counts_the_toggles_of_each_role(counted):
    model, batches, _ = counted
    chance = 1 / (1 + np.exp(-model.dialogue.table.numpy()))
    shape = (2, 2, hazard.N_AGES, 2, hazard.N_AGES)
    for role in (0, 1):
        toggles, frames = np.zeros(shape[1:], int), np.zeros(shape[1:], int)
        for batch in batches:
            batch = {key: value.numpy() for key, value in batch.items()}
            for crop, channel in np.argwhere(batch["role"] == role):
                own = batch["activity"][crop, channel] > 0
                level = hearing.level_db(batch["audio"][crop, 1 - channel][None], 2000).numpy()[0]
                _count(toggles, frames, own, level > float(model.dialogue.speech_db), batch["mask"][crop])
        np.testing.assert_allclose(chance[role].reshape(shape[1:]), hazard.Tables(toggles, frames).joint, rtol=1e-4)
        assert toggles.sum() > 20


def test_speech_threshold_separates():
    rng = np.random.default_rng(0)
    level = np.concatenate([rng.normal(-70, 2, 500), rng.normal(-30, 2, 300)])
    speech = np.arange(800) >= 500
    threshold = statistics.speech_threshold_db(level, speech)
    assert (level > threshold)[speech].mean() > 0.98 and not (level > threshold)[~speech].any()
    assert threshold > -50, "of two that separate, the higher"


def test_speech_threshold_of_overlapping_levels_is_the_highest_of_the_best():
    rng = np.random.default_rng(1)
    level = np.concatenate([rng.normal(-50, 8, 900), rng.normal(-40, 8, 300)])
    speech = np.arange(1200) >= 900
    errors = {t: (level[speech] < t).mean() + (level[~speech] >= t).mean() for t in np.arange(-80, 0, 0.5)}
    best = min(errors.values())
    assert statistics.speech_threshold_db(level, speech) == max(t for t in errors if errors[t] <= best + 0.01)


def test_codebook_finds_the_clusters():
    rng = np.random.default_rng(0)
    centres = 10 * rng.standard_normal((5, 6))
    mel = centres[rng.integers(0, 5, 2000)] + 0.1 * rng.standard_normal((2000, 6))
    found = statistics.codebook(mel, 5, seed=0)
    assert found.shape == (5, 6) and found.dtype == np.float32
    distance = np.linalg.norm(found[:, None] - centres, axis=-1)
    assert sorted(distance.argmin(axis=1)) == [0, 1, 2, 3, 4] and distance.min(axis=1).max() < 0.1
    np.testing.assert_array_equal(found, statistics.codebook(mel, 5, seed=0))


def _mels(batches, config) -> dict[str, np.ndarray]:
    found = {"all": [], "speech": []}
    for batch in batches:
        for channel in (0, 1):
            audio = batch["audio"][:, channel]
            mel = features.log_mel(audio, tf.zeros_like(audio[:, : config.hop]), 2000, config.mel_bands).numpy()
            known, gate = batch["mask"].numpy() > 0, batch["activity"].numpy()[:, channel] > 0
            found["all"].append(mel[known])
            found["speech"].append(mel[known & gate])
    return {key: np.concatenate(value) for key, value in found.items()}


def _count(toggles, frames, own, heard, mask, warmup=10):
    """One crop, frame by frame: own state and age, and what can be heard of the partner, against the next toggle."""
    own_age, quiet, spurt = 1, hearing.LONG_AGO_FRAMES, hearing.LONG_AGO_FRAMES
    for t in range(int(mask.sum()) - 1):
        own_age = own_age + 1 if not t or own[t] == own[t - 1] else 1
        spurt = 0 if heard[t] and quiet >= 10 else spurt + 1
        quiet = 0 if heard[t] else quiet + 1
        if t + 1 < warmup:
            continue
        partner_age = spurt + 1 if heard[t] else quiet
        bins = [np.digitize(age / 50, hazard.AGE_EDGES_SECONDS) for age in (own_age, partner_age)]
        cell = (int(own[t]), bins[0], int(heard[t]), bins[1])
        frames[cell] += 1
        toggles[cell] += own[t + 1] != own[t]
