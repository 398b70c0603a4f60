import numpy as np
import pytest
import tensorflow as tf

from datasets import pipeline, prepare
from tests.zoo import subjects
from zoo import objective

SEED = tf.constant([1, 2])


@pytest.fixture(scope="module")
def model():
    model = subjects.tiny()
    subjects.shake(model)
    return model


@pytest.fixture
def batch(bursts, model):
    """Three seconds of two dialogues; the second ends after two."""
    prepared = prepare.prepare(bursts(n=2, sample_rate=model.config.sample_rate), "train", progress=False)
    found = dict(next(iter(pipeline.crops(prepared, 3.0, 2, seed=0, epoch=0, shuffle=False))))
    mask = found["mask"].numpy()
    mask[1, 100:] = 0.0
    return {**found, "mask": tf.constant(mask)}


def test_by_speaker_gives_each_crop_from_both_sides(batch):
    example = objective.by_speaker(batch)
    for i, (crop, own) in enumerate([(0, 0), (1, 0), (0, 1), (1, 1)]):
        for key, value in (("own_audio", "audio"), ("gate", "activity"), ("role", "role"), ("voice", "voice")):
            np.testing.assert_array_equal(example[key][i], batch[value][crop, own])
        np.testing.assert_array_equal(example["partner_audio"][i], batch["audio"][crop, 1 - own])
        np.testing.assert_array_equal(example["partner_gate"][i], batch["activity"][crop, 1 - own])
        np.testing.assert_array_equal(example["mask"][i], batch["mask"][crop])


def test_toggles_and_codes_are_scored_frame_by_frame(model, batch):
    terms, example = objective.sums(model, batch, SEED), objective.by_speaker(batch)
    gate, mask = example["gate"].numpy(), example["mask"].numpy()
    state = model.initial_state(4, example["role"], example["voice"])
    state["gate"] = example["gate"][:, 0]
    found, _ = model.observe(example["own_audio"], gate, example["partner_audio"], state)
    chance = 1 / (1 + np.exp(-found["toggle"].numpy().astype(float)))
    codes = np.log2(np.exp(found["code_logits"] - tf.reduce_logsumexp(found["code_logits"], axis=-1, keepdims=True)))
    toggle_bits = code_bits = frames = spoken = 0.0
    for row in range(4):
        for t in range(10, int(mask[row].sum())):
            toggle_bits -= np.log2(chance[row, t] if gate[row, t] != gate[row, t - 1] else 1 - chance[row, t])
            frames += 1
            if gate[row, t]:
                code_bits -= codes[row, t, found["code"][row, t]]
                spoken += 1
    assert frames == 2 * (140 + 90)
    np.testing.assert_allclose(terms["toggle"], [toggle_bits, frames], rtol=1e-4)
    np.testing.assert_allclose(terms["code"], [code_bits, spoken], rtol=1e-4)
    figures = objective.figures(terms, model.config.hop)
    assert figures["timing_bits_per_second"] == pytest.approx(50 * toggle_bits / frames, rel=1e-4)


def test_what_lies_beyond_the_mask_does_not_count(model, batch):
    wanted = objective.sums(model, batch, SEED)
    rng = np.random.default_rng(0)
    audio, activity = batch["audio"].numpy(), batch["activity"].numpy()
    audio[1, :, 100 * model.config.hop :] = rng.uniform(-1, 1, audio[1, :, 100 * model.config.hop :].shape)
    activity[1, :, 100:] = rng.integers(0, 2, (2, 50))
    found = objective.sums(model, {**batch, "audio": tf.constant(audio), "activity": tf.constant(activity)}, SEED)
    for term in wanted:
        np.testing.assert_allclose(found[term], wanted[term], rtol=1e-5, err_msg=term)
    assert all(count > 0 for _, count in wanted.values())
