"""What training minimises, and the same quantities as held-out figures.

toggle      bits per second of the own gate, plain likelihood: class weights would bend the rates
projection  bits per frame of the two seconds to come, auxiliary
code        bits per frame of the acoustic code, where the gate is open
finer       bits that a 16-bit sample has beyond its level, not trained
sound       bits per sample where the gate is open; of a model that predicts spectra,
mel         bits per frame of a density, which may be less than none
of a model that reads a text,
stop        bits per step of whether it is the last
drift       share of the attention that is far from the diagonal, no bits
of one that writes down what is said,
letters     bits per letter, summed over all ways to spread the letters over the steps
errors      letters of the best path that are wrong, missing or too many, a share, not trained
"""

import math

import tensorflow as tf

from datasets.dialogue import FRAMES_PER_SECOND
from zoo import apart
from zoo.coding import jittered
from zoo.dialogue_tier import projection_labels
from zoo.layers import hashed_uniform, mixed_bfloat16

_WINDOWS, _LAPSES, _INPUT_NOISE = range(3)  # Streams of random numbers.
_WEIGHTS = {
    "toggle": 0.2,
    "projection": 0.02,
    "code": 0.2,
    "sound": 1.0,
    "mel": 0.05,
    "stop": 1.0,
    "drift": 5.0,
    "letters": 1.0,
}


def by_speaker(batch: dict) -> dict:
    """Each crop twice, once from each speaker's side.

    Args:
        batch: of `datasets.pipeline.crops`: audio [n, 2, samples], activity [n, 2, frames], mask [n, frames],
            role and voice [n, 2]; row [n], numbers of the crops where they are a part of a larger batch.

    Returns:
        own_audio, partner_audio [2 n, samples]; gate, partner_gate, mask [2 n, frames]; role, voice, row [2 n].
    """

    def both(value):
        return tf.concat([value[:, 0], value[:, 1]], axis=0), tf.concat([value[:, 1], value[:, 0]], axis=0)

    own_audio, partner_audio = both(batch["audio"])
    gate, partner_gate = both(batch["activity"])
    row = batch["row"] if "row" in batch else tf.range(tf.shape(batch["mask"])[0])
    return {
        "own_audio": own_audio,
        "partner_audio": partner_audio,
        "gate": gate,
        "partner_gate": partner_gate,
        "mask": tf.concat([batch["mask"], batch["mask"]], axis=0),
        "role": both(batch["role"])[0],
        "voice": both(batch["voice"])[0],
        "row": tf.concat([2 * row, 2 * row + 1], axis=0),
    }


def sums(model, batch: dict, seed: tf.Tensor, training: bool = False) -> dict[str, tuple[tf.Tensor, tf.Tensor]]:
    """For each term (sum of bits, number of frames or samples); sums of several batches add up.

    Args:
        model: a `zoo.agent.DialogueModel`.
        batch: of `datasets.pipeline.crops`.
        seed: int32 [2], of where the windows of sound are cut and of what layers draw.
        training: whether what is heard lapses, as the configuration's `scheduled_sampling` and `input_noise` say.
    """
    return terms(model, predict(model, batch, seed, training), seed, training)


def predict(model, batch: dict, seed: tf.Tensor, training: bool = False) -> dict:
    """The examples of a batch (`by_speaker`) with what is predicted of them (`DialogueModel.observe`).

    And "scored" [2 n, frames], the weight of each frame, and "toggled" [2 n, frames], 1 where the gate did.
    """
    example = by_speaker(batch)
    gate = example["gate"]
    state = model.initial_state(tf.shape(gate)[0], example["role"], example["voice"])
    state = {**model.seeded(state, drawing(seed, example["row"])), "gate": gate[:, 0]}
    lapses = None
    if training and model.config.scheduled_sampling:
        lapses = _uniform(seed, example["row"], [tf.shape(gate)[1], 2], _LAPSES)
    with mixed_bfloat16(False):  # For the sound alone.
        predicted, _ = model.observe(example["own_audio"], gate, example["partner_audio"], state, lapses)
    warm = tf.range(tf.shape(gate)[1]) >= round(model.config.warmup_seconds * FRAMES_PER_SECOND)
    scored = example["mask"] * tf.cast(warm, tf.float32)
    toggled = tf.cast(tf.not_equal(gate, predicted["gate_before"]), tf.float32)
    return {**example, **predicted, "scored": scored, "toggled": toggled}


def drawing(seed: tf.Tensor, row: tf.Tensor) -> tf.Tensor:
    """The seed of what layers draw in a step: int32 [], another one for another share of the batch."""
    return 1_000_003 * seed[0] + seed[1] + 7_919 * row[0]


def terms(model, told: dict, seed: tf.Tensor, training: bool = False) -> dict[str, tuple[tf.Tensor, tf.Tensor]]:
    """As of `sums`, from what `predict` returns."""
    gate, scored = told["gate"], told["scored"]
    codes = model.acoustic.codes
    code = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.minimum(told["code"], codes - 1), told["code_logits"])
    return {
        **timing(told),
        **_projection(model, told, told["context"], scored),
        # One code is none: it tells nothing and costs nothing.
        **({"code": _weighted(code, scored * gate)} if codes > 1 else {}),
        **sound(model, told["own_audio"], gate, told["condition"], scored, seed, told["row"], training),
    }


def timing(told: dict) -> dict[str, tuple[tf.Tensor, tf.Tensor]]:
    """The terms of the gate alone, from what `predict` returns."""
    scored, toggled = told["scored"], told["toggled"]
    toggle = tf.nn.sigmoid_cross_entropy_with_logits(toggled, told["toggle"])
    return {
        "toggle": _weighted(toggle, scored),
        "expected_toggles": (tf.reduce_sum(tf.sigmoid(told["toggle"]) * scored), tf.reduce_sum(scored)),
        "toggles": (tf.reduce_sum(toggled * scored), tf.reduce_sum(scored)),
    }


def loss(found: dict[str, tuple[tf.Tensor, tf.Tensor]]) -> tf.Tensor:
    """One number to descend on, in weighted bits."""
    weights = {**_WEIGHTS, "toggle": _WEIGHTS["toggle"] * FRAMES_PER_SECOND}
    told = [name for name in weights if name in found]
    return tf.add_n([weights[name] * found[name][0] / (found[name][1] + 1.0) for name in told])


def numbers(found: dict[str, tuple[tf.Tensor, tf.Tensor]]) -> dict[str, tuple[float, float]]:
    """The sums as plain numbers."""
    return {name: (float(total), float(count)) for name, (total, count) in found.items()}


def figures(terms: dict[str, tuple[float, float]], hop: int) -> dict[str, float]:
    """Readable figures of summed terms.

    `sound_bits_per_sample` includes the code's share: sound is predicted given its code, and the code is predicted
    too, so their sum bounds the bits of the samples alone. `sound_bits_per_16_bit_sample` compares codings: the samples
    within a level count as alike.
    """
    mean = {name: float(total) / max(float(count), 1.0) for name, (total, count) in terms.items()}
    found = {"sound_bits_per_sample": mean["sound"] + mean.get("code", 0.0) / hop} if "sound" in mean else {}
    if "finer" in mean:
        found["sound_bits_per_16_bit_sample"] = found["sound_bits_per_sample"] + mean["finer"]
    if "toggle" in mean:
        found["timing_bits_per_second"] = mean["toggle"] * FRAMES_PER_SECOND
        found["toggles_expected_over_observed"] = mean["expected_toggles"] / max(mean["toggles"], 1e-9)
    named = {term: f"{term}_bits_per_frame" for term in ("mel", "code", "projection")}
    named |= {"stop": "stop_bits_per_step", "drift": "attention_drift"}
    named |= {"letters": "bits_per_letter", "errors": "character_error_rate"}
    return found | {name: mean[term] for term, name in named.items() if term in mean}


def _projection(model, example, context, scored) -> dict:
    """Bits of the two seconds to come, where the model has a head for them."""
    if not model.dialogue.projection:
        return {}
    labels, known = projection_labels(example["gate"], example["partner_gate"], example["mask"])
    nats = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, model.dialogue.projection(context))
    return {"projection": _weighted(nats, scored * known)}


def sound(model, own_audio, gate, condition, scored, seed, row, training=False, running=None) -> dict:
    """Bits of windows drawn where there is speech; a lead-in of one receptive field is heard but not scored.

    The term `model.sound.term`; of samples, when nothing is trained, also "finer", bits that 16-bit samples have beyond
    what is predicted.

    Where a row's windows lie depends on the seed and the row's number alone, not on who else is in the batch. `running`
    is where the sound runs, if that is not where there is speech.
    """
    config, n = model.config, tf.shape(gate)[0]
    lead, window = model.sound.lead_frames, model.config.window_frames
    speech = tf.pad(tf.cumsum(gate * scored, axis=1), [[0, 0], [1, 0]])
    share = speech[:, window:] - speech[:, :-window]
    start = _drawn(share + 1e-3, config.windows, seed, row)

    def cut(frames, extra=0):
        index = start[..., None] + tf.range(window + extra)
        return tf.reshape(tf.gather(frames, index, batch_dims=1), [-1, window + extra, *frames.shape[2:]])

    frames = tf.reshape(tf.pad(own_audio, [[0, 0], [config.hop, 0]]), [n, -1, config.hop])
    audio = tf.reshape(cut(frames, extra=1), [n * config.windows, (window + 1) * config.hop])
    open_frames = cut(gate if running is None else running)
    counted = cut(gate) * cut(scored) * tf.cast(tf.range(window) >= lead, tf.float32)
    given = [audio, open_frames, counted]
    if training and config.input_noise:
        uniform = _uniform(seed, row, [config.windows, (window + 1) * config.hop, 2], _INPUT_NOISE)
        uniform = tf.reshape(uniform, [n * config.windows, (window + 1) * config.hop, 2])
        given.append(jittered(model.sound.coding, audio, config.input_noise, uniform))

    def bits(condition, audio, open_frames, counted, *heard):
        nats = model.sound.nats(audio, open_frames, condition, *heard)
        return _weighted(nats, tf.repeat(counted, tf.shape(nats)[1] // window, axis=1))

    told, term = cut(condition), model.sound.term
    if not training:
        found = {term: bits(told, *given)}
        if model.sound.coding:
            finer = model.sound.coding.finer_bits(audio[:, config.hop :]) * tf.repeat(counted, config.hop, axis=1)
            found["finer"] = tf.reduce_sum(finer), tf.reduce_sum(counted) * config.hop
        return found
    if not (model.sound.rows_apart and not tf.config.list_physical_devices("GPU")):
        return {term: bits(told, *given)}
    one = apart.total(lambda *row: bits(*row)[0], [told], given, model.sound.trainable_variables)
    return {term: (one, tf.reduce_sum(counted) * config.hop)}


def _uniform(seed: tf.Tensor, row: tf.Tensor, shape: list, stream: int) -> tf.Tensor:
    """Random numbers in [0, 1) of each row, by the seed and the row's number alone: [rows, *shape]."""
    places = seed[0] + (stream << 20), seed[1], row[:, None], tf.range(tf.reduce_prod(shape))
    return tf.reshape(hashed_uniform(*places), [-1, *shape])


def _drawn(weight: tf.Tensor, n: int, seed: tf.Tensor, row: tf.Tensor) -> tf.Tensor:
    """`n` places of each row, as often as its weights [rows, places] say: int32 [rows, n]."""
    until = tf.cumsum(weight, axis=1)[:, None]
    reached = until < _uniform(seed, row, [n], _WINDOWS)[..., None] * until[..., -1:]
    return tf.reduce_sum(tf.cast(reached, tf.int32), axis=-1)


def _weighted(nats: tf.Tensor, weight: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    return tf.reduce_sum(nats * weight) / math.log(2.0), tf.reduce_sum(weight)
