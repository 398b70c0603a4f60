"""Held-out timing is that of whole dialogues, as an agent lives through them."""

import numpy as np
import pytest
import tensorflow as tf

from datasets import prepare
from datasets.dialogue import FRAMES_PER_SECOND, activity, role_index
from tests.zoo import subjects
from zoo import held_out


@pytest.fixture
def exam(bursts):
    model = subjects.tiny()
    subjects.shake(model)
    corpus = bursts(n=3, seconds=5.0, sample_rate=model.config.sample_rate)
    splits = [prepare.prepare(corpus, split) for split in ("train", "validation")]
    return corpus, model, held_out.evaluate(model, *splits, seed=0, crops=2)


def by_hand(corpus, model) -> tuple[float, float, float]:
    """Bits a second and toggles, expected and observed, from each channel of each dialogue in one piece."""
    bits, frames, expected, observed = 0.0, 0, 0.0, 0
    late = round(model.config.warmup_seconds * FRAMES_PER_SECOND)
    for name in corpus.names("validation"):
        dialogue = corpus.load(name)
        n = -(-dialogue.audio.shape[1] // model.config.hop)
        sound = np.pad(dialogue.audio, [(0, 0), (0, n * model.config.hop - dialogue.audio.shape[1])])
        sound = (np.round(sound * 32768).clip(-32768, 32767) / 32768).astype(np.float32)
        gates = np.stack([activity(dialogue.ipus(channel), n) for channel in (0, 1)])
        for own in (0, 1):
            gate = tf.constant(gates[own : own + 1], tf.float32)
            state = model.initial_state(1, tf.constant([role_index(dialogue.roles[own])]))
            state = {**state, "gate": gate[:, 0]}
            told, _ = model.observe(sound[own : own + 1], gate, sound[1 - own : 2 - own], state)
            hazard = tf.sigmoid(told["toggle"][0]).numpy()[late:].astype(np.float64)
            toggled = (gates[own, 1:] != gates[own, :-1])[late - 1 :]
            bits -= np.log2(np.where(toggled, hazard, 1 - hazard)).sum()
            frames, expected, observed = frames + len(toggled), expected + hazard.sum(), observed + toggled.sum()
    return bits / frames * FRAMES_PER_SECOND, expected, observed


def test_timing_is_scored_on_whole_dialogues(exam):
    corpus, model, found = exam
    bits, expected, observed = by_hand(corpus, model)
    assert found.figures["timing_bits_per_second"] == pytest.approx(bits, rel=1e-3)
    assert found.figures["toggles_expected_over_observed"] == pytest.approx(expected / observed, rel=1e-3)
    assert found.hazards[..., 2].sum() == observed
    assert found.figures["table_timing_bits_per_second"] > 0
