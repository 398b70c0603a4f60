"""Fits who speaks next, before any gradient of the whole: a few thousand silences, and how the partner ended each.

Within a training step these are few among many frames; by themselves they take seconds.
"""

from collections.abc import Callable, Iterable

import keras
import numpy as np
import tensorflow as tf

from datasets.dialogue import FRAMES_PER_SECOND
from zoo import hearing, turn_cue
from zoo.objective import by_speaker

# One frame of so many is an example: those of one silence are much alike.
_EVERY_FRAMES = 5
_PRIOR_FRAMES = 20.0
_PASSES, _FEWEST_STEPS = 30, 600
_ROWS, _RATE = 512, 3e-3


def next_speaker(gate: np.ndarray, partner: np.ndarray) -> np.ndarray:
    """Who ends the silence in which a frame lies: int8 [rows, frames], 1 own, 0 partner, -1 unknown or no silence.

    Args:
        gate, partner: bool [rows, frames], who speaks.
    """
    frames = gate.shape[1]
    speaks = gate | partner
    index = np.where(speaks, np.arange(frames), frames)
    following = np.minimum.accumulate(index[:, ::-1], axis=1)[:, ::-1]
    known = ~speaks & (following < frames)
    at = np.minimum(following, frames - 1)
    starts = [np.take_along_axis(each, at, axis=1) for each in (gate, partner)]
    return np.where(known & (starts[0] != starts[1]), starts[0], -1).astype(np.int8)


def fit(model, batches: Iterable[dict], seed: int, progress: Callable = iter) -> float:
    """Counts the shares of a model's `zoo.turn_cue` and fits its network by likelihood.

    Args:
        model: a `zoo.agent.DialogueModel` whose ears are set.
        batches: of `datasets.pipeline.crops`.
        seed: of the order of examples.
        progress: wraps the iteration.

    Returns:
        Bits that the network saves of a silence's bit of who ends it, on what it was fitted to.
    """
    cue = model.dialogue.cue
    silences = tf.function(lambda example: _silences(model, example), autograph=False, reduce_retracing=True)
    examples = [_examples(model, silences, batch) for batch in progress(batches)]
    x, role, own, partner, is_own = (np.concatenate(parts) for parts in zip(*examples, strict=True))
    if not len(x):
        return 0.0
    frames, own_next = np.zeros(cue.share.shape), np.zeros(cue.share.shape)
    np.add.at(frames, (role, own, partner), 1.0)
    np.add.at(own_next, (role, own, partner), is_own)
    share = (own_next + _PRIOR_FRAMES * is_own.mean()) / (frames + _PRIOR_FRAMES)
    cue.share.assign(np.log(share / (1.0 - share)))
    offset = cue.share.numpy()[role, own, partner]
    # Under a strategy the model's variables are of all replicas, and an optimiser out here takes plain ones.
    plain = turn_cue.TurnCue(cue.hidden[0].units)
    plain.build()
    plain.set_weights([tf.convert_to_tensor(weight.value).numpy() for weight in cue.weights])
    saved = _descend(plain, *(tf.constant(each, tf.float32) for each in (x, offset, is_own)), seed)
    for weight, fitted in zip(cue.weights, plain.weights, strict=True):
        weight.assign(fitted)
    return saved


def _examples(model, silences, batch) -> list[np.ndarray]:
    """Of every few frames of silence: features, role, cells of both, and whether the own speaker ended it."""
    example = by_speaker(batch)
    x, *told, silent = (np.asarray(each) for each in silences(example))
    following = next_speaker(*(np.asarray(example[key]) > 0 for key in ("gate", "partner_gate")))
    late = np.arange(silent.shape[1]) >= round(model.config.warmup_seconds * FRAMES_PER_SECOND)
    chosen = np.flatnonzero((following >= 0) & silent & late & (np.asarray(example["mask"]) > 0))[::_EVERY_FRAMES]
    return [x.reshape(-1, turn_cue.N_FEATURES)[chosen], *(each.ravel()[chosen] for each in (*told, following))]


def _silences(model, example) -> tuple[tf.Tensor, ...]:
    """Features [rows, frames, n], role, cells of both and whether it is a silence after speech, [rows, frames]."""
    gate, role = example["gate"], example["role"]
    state = model.initial_state(tf.shape(gate)[0], role)
    heard, _ = model.hear(example["partner_audio"], state)
    before = {**heard, "gate": gate, "own_age": hearing.own_ages(gate, gate[:, 0], state["own_age"])}
    cells = hearing.cell(gate, before["own_age"]), hearing.partner_cell(before["quiet"], before["spurt"])
    # The partner must have been heard, or there is nothing that it ended.
    ended = tf.logical_and(turn_cue.silence(before), before["spurt"] < hearing.LONG_AGO_FRAMES)
    return turn_cue.features(before, role), turn_cue.by_frame(role, gate), *cells, ended


def _descend(cue, x, offset, is_own, seed: int) -> float:
    variables = [weight for layer in (*cue.hidden, cue.out) for weight in layer.trainable_variables]
    optimizer = keras.optimizers.Adam(_RATE)

    def nats(x, offset, is_own):
        return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(is_own, offset + cue.heard(x)))

    @tf.function(autograph=False, jit_compile=False)
    def step(rows):
        with tf.GradientTape() as tape:
            loss = nats(*(tf.gather(each, rows) for each in (x, offset, is_own)))
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))

    begun = nats(x, offset, is_own)
    rng = np.random.default_rng(seed)
    size = min(_ROWS, len(x))
    passes = max(_PASSES, _FEWEST_STEPS // (len(x) // size))
    for i in range(passes):
        optimizer.learning_rate.assign(_RATE * 0.5 * (1.0 + np.cos(np.pi * i / passes)))
        order = rng.permutation(len(x))
        for first in range(0, len(x) - size + 1, size):
            step(tf.constant(order[first : first + size]))
    return float(begun - nats(x, offset, is_own)) / np.log(2.0)
