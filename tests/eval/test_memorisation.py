import dataclasses

import numpy as np
import pytest

from datasets import dialogue
from datasets.errors import InputError
from eval import memorisation
from eval.chunks import Span, cut_chunk
from tests.eval.simulated_chunks import in_chunks, simulated_wholes

TRAIN = simulated_wholes(4)
OTHERS = in_chunks(simulated_wholes(2, seed=1))


def plain_best_match(chunk, train):
    signs = [np.where(each.activity()[:, ::2], 1, -1) for each in (chunk, *train)]
    probe, learnt = signs[0], np.concatenate(signs[1:], axis=1)
    n = probe.shape[1]
    return max((probe * learnt[:, i : i + n]).mean() for i in range(learnt.shape[1] - n + 1))


def test_the_fast_match_equals_the_plain_one(monkeypatch):
    monkeypatch.setattr(memorisation, "_BLOCK", 4096)
    expected = [plain_best_match(chunk, TRAIN) for chunk in OTHERS[:3]]
    np.testing.assert_allclose(memorisation.best_matches(OTHERS[:3], TRAIN), expected, atol=1e-5)


def test_replay_matches_fully_and_others_do_not():
    replayed = cut_chunk(Span("x", 0, 71.0), TRAIN[2].own_ipus, TRAIN[2].partner_ipus)
    assert memorisation.best_matches([replayed], TRAIN)[0] == pytest.approx(1, abs=1e-5)
    assert memorisation.best_matches(OTHERS, TRAIN).max() < memorisation.FLAGGED_MATCH


def test_replay_with_a_tenth_of_one_channel_flipped():
    replayed = cut_chunk(Span("x", 0, 71.0), TRAIN[2].own_ipus, TRAIN[2].partner_ipus)
    flipped = replayed.activity()[0] ^ np.repeat(np.random.default_rng(0).random(300) < 0.1, 10)
    noisy = dataclasses.replace(replayed, own_ipus=dialogue.intervals_from_activity(flipped))
    assert memorisation.best_matches([noisy], TRAIN)[0] > memorisation.FLAGGED_MATCH


def test_the_channels_matter():
    replayed = cut_chunk(Span("x", 0, 71.0), TRAIN[2].partner_ipus, TRAIN[2].own_ipus)
    assert memorisation.best_matches([replayed], TRAIN)[0] < 0.9


def test_without_enough_train_dialogues():
    with pytest.raises(InputError, match="needs the train dialogues"):
        memorisation.best_matches(OTHERS, [])
    with pytest.raises(InputError, match="longer than"):
        memorisation.best_matches(OTHERS, simulated_wholes(1, 20.0))
