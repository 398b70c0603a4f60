"""What it costs to round the weights of a sound tier: held-out speech as each engine predicts it.

Of 8 bits by the compiled loops themselves; of the graph's 16 by a copy of the model with the weights that they are.
"""

import functools
import itertools
from collections.abc import Callable

import numpy as np
import tensorflow as tf
import tqdm

from datasets.errors import InputError
from zoo import generation, objective, words
from zoo.agent import Speaker
from zoo.generation import BITS, GRAPH_BITS
from zoo.layers import NormalisedDense

_CROPS = 16
_FRAMES_AT_ONCE = 25


def bits_per_sample(
    model: Speaker, held_out, seed: int = 0, crops: int = _CROPS, bits: int = 8
) -> dict[str, np.ndarray]:
    """By engine, first without rounding, float [rows, 2]: bits of the samples where a speaker speaks, and their number.

    Args:
        model: trained; its sound tier predicts samples, and has a kernel (8 bits) or such weights in the graph (16).
        held_out: `datasets.prepare.PreparedSplit`.
        seed: of the choice of crops, of which each speaker is a row.
        crops: how many.
        bits: of a rounded weight.
    """
    predictors = _of_the_graph(model) if bits == 16 else _of_kernels(model)
    n = max(1, crops // model.config.batch_size)
    total = min(n, model.n_batches(held_out, seed, 0)) * 2 * model.config.batch_size
    found = {engine: [] for engine in predictors}
    with tqdm.tqdm(total=total * len(predictors), desc="predicting", unit="speaker", leave=False) as bar:
        for batch in itertools.islice(model.batches(held_out, seed, 0), n):
            told = _told(model, model.view(batch))
            for engine, predict in predictors.items():
                found[engine].append(predict(*told))
                bar.update(len(told[0]))
    return {engine: np.concatenate(each) for engine, each in found.items()}


def describe(found: dict[str, np.ndarray]) -> str:
    """One line: bits by engine, of which the second rounds, and what that costs with its standard error over rows."""
    exact, rounded = found
    means = {engine: each[:, 0].sum() / each[:, 1].sum() for engine, each in found.items()}
    rows = (found[rounded] - found[exact])[:, 0] / found[exact][:, 1].mean()
    error = rows.std(ddof=1) / len(rows) ** 0.5 if len(rows) > 1 else float("nan")
    said = ", ".join(f"{engine} {mean:.4f}" for engine, mean in means.items())
    samples, bits = int(found[exact][:, 1].sum()), (BITS | GRAPH_BITS)[rounded]
    cost = f"{means[rounded] - means[exact]:+.4f}"
    return f"bits/sample by engine: {said}; {bits} bits cost {cost} (standard error {error:.4f}, {samples} samples)"


def round_graph(model: Speaker) -> None:
    """Gives a SampleRNN the weights that `graph16` multiplies by, so that `predict` says what that draws from.

    What is folded into others is the identity afterwards.
    """
    sound, prepared = model.sound, model.sound.prepared(16)
    layers = [*sound.hidden, sound.logits]
    n_folded = len(layers) - len(prepared["layers"])
    for layer in layers[:n_folded]:
        _assign(sound.recent, sound.recent.kernel @ layer.kernel)
        _assign(layer, tf.eye(layer.units), tf.zeros([layer.units]))
    for layer, told in zip(layers[n_folded:], prepared["layers"], strict=True):
        _assign(layer, *told)
    for tier, told in zip(sound.tiers, prepared["tiers"], strict=True):
        _assign(tier.up, *told["up"])
        for depth, (layer, weights) in enumerate(zip(tier.recurrent.stack, told["recurrent"], strict=True)):
            _assign(layer.recalled, *weights["recalled"])
            # Of the first it is multiplied with once a frame of the tier, and not rounded.
            if depth:
                _assign(layer.given, *weights["given"])


def _assign(layer: NormalisedDense, kernel: tf.Tensor, bias: tf.Tensor | None = None) -> None:
    """Sets a layer's weights; the kernel may be words."""
    if kernel.dtype == tf.uint32:
        kernel = words.unpack(kernel, layer.direction.shape[0])
    layer.direction.assign(kernel)
    if hasattr(layer, "length"):
        layer.length.assign(tf.norm(kernel, axis=0))
    if bias is not None and hasattr(layer, "offset"):
        layer.offset.assign(bias)


def _of_kernels(model: Speaker) -> dict[str, Callable[..., np.ndarray]]:
    kernels = {engine: model.sound.fused(bits) for engine, bits in BITS.items()} if model.sound.coding else {}
    if not kernels or not all(kernels.values()):
        raise InputError("rounding is measured of models that predict samples: WaveNet and SampleRNN")
    return {engine: functools.partial(_bits, model.sound, kernel) for engine, kernel in kernels.items()}


def _of_the_graph(model: Speaker) -> dict[str, Callable[..., np.ndarray]]:
    generation.check_engine(model, "graph16", "--graph16")
    rounded = type(model).from_config(model.get_config())
    rounded.set_weights(model.get_weights())
    round_graph(rounded)
    return {
        "graph": functools.partial(_graph_bits, model.sound),
        "graph16": functools.partial(_graph_bits, rounded.sound),
    }


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


def _graph_bits(sound, audio, gate, condition) -> np.ndarray:
    """As `_bits`, by `predict`, some frames at a time: it keeps all that it makes of them."""
    rows, frames = gate.shape
    heard, state, found = np.pad(audio, [(0, 0), (sound.hop, 0)]), sound.initial_state(rows), np.zeros(rows)
    for start in range(0, frames, _FRAMES_AT_ONCE):
        stop = min(start + _FRAMES_AT_ONCE, frames)
        part, speaks = heard[:, start * sound.hop : (stop + 1) * sound.hop], gate[:, start:stop]
        predicted, state = sound.predict(part, speaks.astype(np.float32), condition[:, start:stop], state)
        nats = sound.coding.nats(predicted, sound.coding.encode(part[:, sound.hop :])).numpy()
        found += np.where(np.repeat(speaks, sound.hop, axis=1), nats, 0.0).sum(axis=1) / np.log(2.0)
    return np.stack([found, sound.hop * gate.sum(axis=1)], axis=1)
