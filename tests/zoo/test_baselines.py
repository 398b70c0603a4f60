import numpy as np
import pytest
import tensorflow as tf

from datasets import hazard
from zoo import baselines
from zoo.coding import Levels

RATE, HOP, FRAMES = 2000, 40, 60


def _batch(seed: int, crops: int = 3) -> dict:
    """Crops of noise at two levels; the last one ends half way."""
    rng = np.random.default_rng(seed)
    activity = (rng.random((crops, 2, FRAMES // 4)) < 0.5).repeat(4, axis=2)
    level = np.where(activity, 0.2, 0.01).repeat(HOP, axis=2)
    mask = np.ones((crops, FRAMES), np.float32)
    mask[-1, FRAMES // 2 :] = 0.0
    batch = {
        "audio": (level * rng.standard_normal(level.shape)).clip(-1, 1).astype(np.float32),
        "activity": activity.astype(np.float32),
        "mask": mask,
        "role": np.array([[0, 1]] * crops, np.int32),
        "voice": np.zeros((crops, 2), np.int32),
    }
    return {key: tf.constant(value) for key, value in batch.items()}


def test_table_bits_are_those_of_the_hazard_tables():
    rng = np.random.default_rng(0)
    shape, warmup = (2, hazard.N_AGES, 2, hazard.N_AGES), 10
    frames = rng.integers(0, 400, shape)
    counts = {"giver": hazard.Tables(frames // 9, frames), "follower": hazard.Tables(frames // 3, frames)}
    found, bits, scored = baselines.TableBits(counts, warmup / 50), 0.0, 0
    for seed in (1, 2):
        batch = _batch(seed)
        found.add(batch)
        for activity, mask in zip(batch["activity"].numpy() > 0, batch["mask"].numpy(), strict=True):
            for channel, role in enumerate(("giver", "follower")):
                own, partner = activity[channel], activity[1 - channel]
                own_age, partner_age = hazard.ages(own), hazard.ages(partner)
                for t in range(warmup, int(mask.sum())):
                    before = (int(own[t - 1]), own_age[t - 1], int(partner[t - 1]), partner_age[t - 1])
                    toggles = counts[role].joint[before]
                    bits -= np.log2(toggles if own[t] != own[t - 1] else 1 - toggles)
                    scored += 1
    assert found.result() == pytest.approx(bits / scored * 50)


def test_table_bits_of_one_crop_are_the_likelihood_of_the_protocol():
    batch, counts = _batch(3, crops=1), hazard.maptask_tables()
    batch["mask"] = tf.ones_like(batch["mask"])
    found = baselines.TableBits(counts, 0.0)
    found.add(batch)
    first, second = batch["activity"].numpy()[0] > 0
    giver, _ = hazard.log2_likelihood(counts["giver"], first, second)
    follower, _ = hazard.log2_likelihood(counts["follower"], second, first)
    assert found.result() == pytest.approx(-(giver + follower) / (2 * (FRAMES - 1)) * 50)


def test_level_histogram_is_a_histogram_for_each_loudness():
    train, held_out = [_batch(1), _batch(2)], [_batch(3)]
    histogram = baselines.LevelHistogram(train, RATE, Levels("mu-law"))
    for batch in held_out:
        histogram.add(batch)
    counts = np.ones((40, 256))
    for loudness, levels in _spoken(train):
        for level in levels:
            counts[loudness, level] += 1
    bits, samples = 0.0, 0
    for loudness, levels in _spoken(held_out):
        for level in levels:
            bits -= np.log2(counts[loudness, level] / counts[loudness].sum())
            samples += 1
    assert samples > 1000 and histogram.result() == pytest.approx(bits / samples)
    assert histogram.result() < 8.0


def _spoken(batches):
    """Loudness bin of 2 dB and mu-law levels of each frame in which a speaker speaks."""
    for batch in batches:
        batch = {key: value.numpy() for key, value in batch.items()}
        for crop, channel, t in np.argwhere(batch["activity"] * batch["mask"][:, None] > 0):
            frame = batch["audio"][crop, channel, t * HOP : (t + 1) * HOP]
            level_db = 10 * np.log10((frame.astype(np.float64) ** 2).mean() + 1e-8)
            yield int(np.clip(-level_db / 2, 0, 39)), Levels("mu-law").encode(frame).numpy()
