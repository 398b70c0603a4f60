"""A Tacotron overfits a few sentences of a synthetic voice and reads them back, free-running.

    SENTENCES=20 python -m pytest -s tests/zoo/test_sentences.py

is the full measurement: some minutes of one core, and a line for each sentence.
"""

import os

import keras
import numpy as np
import pytest
import tensorflow as tf

from datasets import corpora, prepare
from datasets.corpora import espeak
from tests.zoo import sentences
from zoo import objective, registry, utterances

RATE = 8000
# Few large steps of the decoder for the few sentences of the test; else the preset is as it is.
QUICK = {"reduction": 8, "learning_rate": 6e-3, "postnet_layers": 3}
STEPS_QUICK, STEPS_FULL, MOST_ROWS = 220, 2000, 10


@pytest.mark.slow
@pytest.mark.skipif(not espeak.available(), reason="espeakng-loader is not installed")
def test_sentences_are_learned_by_heart_and_understood(tmp_path):
    pytest.importorskip("pystoi", reason="pystoi is not installed: the extra test has it")
    n = int(os.environ.get("SENTENCES", 2))
    quick = n < MOST_ROWS
    split = _split(n, tmp_path)
    assert [each.text for each in split.utterances] == sentences.texts(n)
    sizes = {"batch_size": min(n, MOST_ROWS), **(QUICK if quick else {})}
    model = _overfitted(split, STEPS_QUICK if quick else STEPS_FULL, sizes)
    read = model.read([each.text for each in split.utterances], seed=1)
    scores = []
    for each, said in zip(split.utterances, read, strict=True):
        wanted = utterances.sound(split, each)
        scores.append(sentences.estoi(wanted, said.audio, RATE))
        lengths = f"{len(said.audio) / RATE:.2f} s, rendered {len(wanted) / RATE:.2f} s"
        print(f"ESTOI {scores[-1]:.2f}  {lengths}  focus rate {said.alignment.max(axis=1).mean():.2f}  {each.text}")
    print(f"ESTOI of {n} sentences: mean {np.mean(scores):.3f}, least {np.min(scores):.3f}")
    assert all(each.stopped for each in read)
    assert np.mean(scores) >= 0.6, scores


def _split(n: int, folder) -> utterances.SpokenSplit:
    corpus = sentences.Sentences(corpora.Options(cache_dir=folder, sample_rate=RATE))
    corpus.n = n
    return utterances.spoken(corpus, prepare.prepare(corpus, "train", progress=False), 5.0)


def _overfitted(split: utterances.SpokenSplit, steps: int, sizes: dict):
    keras.utils.set_random_seed(0)
    model_class, config = registry.find("tacotron", "tiny", sizes, "text")
    model = model_class(config)
    model.count(model.batches(split, 0, 0), 0)
    # All voices but the first are never heard; which one it is does not matter to a reading.
    batches = [{**batch, "voice": tf.zeros_like(batch["voice"])} for batch in model.batches(split, 0, 0)]
    rate = keras.optimizers.schedules.CosineDecay(config.learning_rate, steps, alpha=0.1)
    optimizer = keras.optimizers.Adam(rate)
    optimizer.build(model.trainable_variables)

    @tf.function(autograph=False)
    def descend(batch, seed):
        with tf.GradientTape() as tape:
            loss = objective.loss(model.sums(batch, seed, training=True))
        gradients, _ = tf.clip_by_global_norm(tape.gradient(loss, model.trainable_variables), 5.0)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))

    for step in range(steps):
        descend(batches[step % len(batches)], tf.constant([0, step]))
    return model
