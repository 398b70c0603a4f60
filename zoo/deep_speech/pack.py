"""Packs a trained Deep Speech for the distances of `eval.audio`, which need no TensorFlow.

    python -m zoo.deep_speech.pack --run=runs/deep_speech --corpus=maptask-voiced --data_dir=... --out=deep_speech.npz

The file holds the weights (float16), the sizes, and the first principal components of the fifth layer, counted on the
train split: means over `WINDOW_STEPS` steps of 20 ms of clean speech.
"""

import json
import os

import numpy as np
import tqdm
from absl import flags

from datasets import files
from datasets import flags as corpus_flags
from datasets.errors import InputError, run_command

FLAGS = flags.FLAGS
corpus_flags.define_corpus_flags()
flags.DEFINE_string("run", None, "Run folder of a deep_speech.")
flags.DEFINE_string("out", "deep_speech.npz", "The file that is written.")

WINDOW_STEPS = 8
COMPONENTS = 64
_BATCHES = 100


def main(argv: list[str]) -> None:
    del argv
    from datasets import prepare
    from zoo import utterances
    from zoo.runs import open_run

    if not FLAGS.run:
        raise InputError("--run: which run folder? python -m zoo.train --model=deep_speech makes one under runs/")
    run = open_run(FLAGS.run)
    if run.model.mode != "transcript":
        raise InputError(f"--run={FLAGS.run}: is no recogniser; a deep_speech is meant")
    corpus = corpus_flags.corpus_from_flags(run.sample_rate)
    prepared = prepare.prepare(corpus, "train", workers=os.cpu_count())
    train = utterances.spoken(corpus, prepared, run.model.config.crop_seconds)
    packed = pack(run.model, train, f"{FLAGS.corpus}, train split, {len(prepared.records)} dialogues")
    with files.replacing(FLAGS.out) as part, open(part, "wb") as file:
        np.savez_compressed(file, **packed)
    print(f"{FLAGS.out}: {os.path.getsize(FLAGS.out) / 2**20:.1f} MiB")


def pack(model, train, trained_on: str, batches: int = _BATCHES) -> dict[str, np.ndarray]:
    """Arrays by name: the weights of each layer, the components, and `about`, JSON."""
    mean, components, kept = principal(_windows(model, train, batches), COMPONENTS)
    packed = {
        "band_mean": model.levels.mean.numpy(),
        "band_scale": model.levels.scale.numpy(),
        "ahead": model.both_ways.ahead.numpy(),
        "back": model.both_ways.back.numpy(),
        "component_mean": mean,
        "components": components,
    }
    for name, layer in [(each.name, each) for each in (*model.below, model.above)] + [("given", model.both_ways.given)]:
        packed |= {f"{name}_kernel": layer.kernel.numpy(), f"{name}_bias": layer.bias.numpy()}
    large = {name: value.astype(np.float16) for name, value in packed.items() if value.ndim == 2}
    config = model.config
    about = {
        "sample_rate": config.sample_rate,
        "bands": config.bands,
        "context": config.context,
        "layer": "layer5",
        "window_steps": WINDOW_STEPS,
        "variance_kept": round(kept, 4),
        "trained_on": trained_on,
    }
    return packed | large | {"about": np.array(json.dumps(about))}


def principal(vectors: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Mean [d] and the first components [d, n] of vectors [m, d], scaled to a mean variance of 1, and their share."""
    mean = vectors.mean(axis=0)
    variances, directions = np.linalg.eigh(np.cov(vectors - mean, rowvar=False))
    kept = variances[::-1][:n]
    components = directions[:, ::-1][:, :n] / np.sqrt(kept.mean())
    return mean.astype(np.float32), components.astype(np.float32), float(kept.sum() / variances.sum())


def _windows(model, train, batches: int) -> np.ndarray:
    found = []
    for rows in tqdm.tqdm(model.examples.plan(train, 0, 0)[:batches], "components", unit="batch"):
        chosen = [train.utterances[row] for row in rows if row >= 0]
        batch = model.examples.read(train, chosen, len(chosen))
        _, activations = model(batch["spectra"], batch["n_steps"])
        for each, n in zip(activations.numpy(), batch["n_steps"], strict=True):
            whole = n // WINDOW_STEPS * WINDOW_STEPS
            found.append(each[:whole].reshape(-1, WINDOW_STEPS, each.shape[-1]).mean(axis=1))
    return np.concatenate(found)


if __name__ == "__main__":
    run_command(main)
