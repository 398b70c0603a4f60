"""What it costs to round the weights of a sound tier to 8 bits: held-out speech as each compiled engine predicts it."""

import itertools

import numpy as np
import tensorflow as tf
import tqdm

from datasets.errors import InputError
from zoo import objective
from zoo.agent import Speaker
from zoo.generation import BITS

_CROPS = 16


def bits_per_sample(model: Speaker, held_out, seed: int = 0, crops: int = _CROPS) -> dict[str, np.ndarray]:
    """By engine, float [rows, 2]: bits of the samples where a speaker speaks, and their number.

    Args:
        model: trained; its sound tier predicts samples and has a kernel.
        held_out: `datasets.prepare.PreparedSplit`.
        seed: of the choice of crops, of which each speaker is a row.
        crops: how many.
    """
    kernels = {engine: model.sound.fused(bits) for engine, bits in BITS.items()} if model.sound.coding else {}
    if not kernels or not all(kernels.values()):
        raise InputError("rounding is measured of models that predict samples: WaveNet and SampleRNN")
    n = max(1, crops // model.config.batch_size)
    total = min(n, model.n_batches(held_out, seed, 0)) * 2 * model.config.batch_size
    found = {engine: [] for engine in kernels}
    with tqdm.tqdm(total=total * len(kernels), desc="predicting", unit="speaker", leave=False) as bar:
        for batch in itertools.islice(model.batches(held_out, seed, 0), n):
            told = _told(model, model.view(batch))
            for engine, kernel in kernels.items():
                found[engine].append(_bits(model.sound, kernel, *told))
                bar.update(len(told[0]))
    return {engine: np.concatenate(each) for engine, each in found.items()}


def describe(found: dict[str, np.ndarray]) -> str:
    """One line: bits by engine, and the cost of rounding with its standard error over rows."""
    means = {engine: each[:, 0].sum() / each[:, 1].sum() for engine, each in found.items()}
    rows = (found["int8"] - found["fused"])[:, 0] / found["fused"][:, 1].mean()
    error = rows.std(ddof=1) / len(rows) ** 0.5 if len(rows) > 1 else float("nan")
    said = ", ".join(f"{engine} {mean:.4f}" for engine, mean in means.items())
    samples = int(found["fused"][:, 1].sum())
    cost = means["int8"] - means["fused"]
    return f"bits/sample by engine: {said}; 8 bits cost {cost:+.4f} (standard error {error:.4f}, {samples} samples)"


def _told(model: Speaker, batch) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sound [rows, samples], gate bool [rows, frames], and condition [rows, frames, n] of each speaker of a batch."""
    if model.mode == "dialogue":
        told = objective.predict(model, batch, tf.constant([0, 0], tf.int32))
        return told["own_audio"].numpy(), told["gate"].numpy() > 0, told["condition"].numpy()
    told = objective.by_speaker(batch)
    gate = told["gate"].numpy() > 0
    return told["own_audio"].numpy(), gate, np.zeros((*gate.shape, 0), np.float32)


def _bits(sound, kernel, audio, gate, condition) -> np.ndarray:
    """float [rows, 2], as of `bits_per_sample`."""
    rows, frames = gate.shape
    buffers = kernel.buffers(sound.initial_state(rows))
    past, found = np.zeros((rows, sound.hop), np.float32), np.zeros(rows)
    for t in range(frames):
        frame = audio[:, t * sound.hop : (t + 1) * sound.hop]
        conditions = sound.frame_conditions(condition[:, t]).numpy()
        predicted = kernel.predict(past, frame, conditions, buffers, gate[:, t])
        nats = sound.coding.nats(predicted, sound.coding.encode(frame)).numpy().sum(axis=1)
        found += np.where(gate[:, t], nats, 0.0) / np.log(2.0)
        # As in dialogue, where an own frame of silence is heard as it was.
        past = frame
    return np.stack([found, sound.hop * gate.sum(axis=1)], axis=1)
