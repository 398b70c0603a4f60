import numpy as np
import pytest
from sklearn import metrics

from datasets import corpora
from datasets.corpora import maptask
from eval import pairs


def test_auc_equals_sklearns():
    rng = np.random.default_rng(0)
    higher, lower = rng.integers(0, 12, 80) / 10, rng.integers(0, 9, 50) / 10
    truth = np.repeat([1, 0], [80, 50])
    assert pairs.auc(higher, lower) == pytest.approx(metrics.roc_auc_score(truth, np.concatenate([higher, lower])))
    assert pairs.auc(np.ones(3), np.zeros(4)) == 1 and pairs.auc(np.ones(3), np.ones(4)) == 0.5


def test_humans_are_told_from_the_rows_on_another_pair_of_quads(maptask_dir):
    """One pair of 28; `python -m eval.reproduce --pairs` has all."""
    corpus = maptask.MapTask(corpora.Options(data_dir=maptask_dir))
    real = [corpus.load(name, audio=False) for name in corpus.names()]
    found = pairs.auc_of_rows(real, (2, 6), "follower", draws=60, floor_draws=200)
    for name in pairs.CLAIMED_ROWS:
        assert found[name] >= pairs.LEAST_AUC, name
    assert 0.3 < found["delayed_200"] < 0.9
