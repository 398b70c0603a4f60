"""The training audio of a corpus as fingerprints, kept in the cache folder: what a replay is looked up in."""

import hashlib
import json
import pathlib

import numpy as np
import tqdm

from datasets import files
from datasets.corpora import Corpus
from eval.audio import fingerprint

VERSION = 1


def training_index(corpus: Corpus, cache: pathlib.Path) -> fingerprint.Index:
    """Both channels of every train dialogue that has sound."""
    key = hashlib.sha256(json.dumps([VERSION, corpus.key()], sort_keys=True).encode()).hexdigest()[:12]
    path = cache / f"training-{corpus.name}-{key}.npz"
    if not path.is_file():
        found = [np.zeros(0, np.uint16)]
        for name in tqdm.tqdm(corpus.names("train"), desc="fingerprints of the training audio", unit="dialogue"):
            dialogue = corpus.load(name)
            if dialogue.audio is not None:
                found += [fingerprint.bits(channel, dialogue.sample_rate) for channel in dialogue.audio]
        with files.replacing(path) as part:
            np.savez_compressed(part, bits=np.concatenate(found))
    with np.load(path, allow_pickle=False) as content:
        return fingerprint.Index(content["bits"])
