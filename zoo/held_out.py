"""Held-out figures of a model, and the two that they are read against: the counted table and the histogram."""

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from datasets import hazard, prepare
from datasets.dialogue import role_index
from zoo import baselines, objective
from zoo.agent import ROLES, Learner, Speaker

_HISTOGRAM_BATCHES = 16
_CROPS = 60
_MEL = "mel {mel_bits_per_frame:.1f} bits/frame"


def evaluate(
    model: Learner,
    train: prepare.PreparedSplit,
    held_out: prepare.PreparedSplit,
    seed: int,
    crops: int | None = _CROPS,
) -> dict[str, float]:
    """Likelihoods of a held-out split, teacher-forced.

    Args:
        model: trained.
        train: what the table and the histogram are counted on.
        held_out: what is scored.
        seed: of the choice of crops and of windows of sound.
        crops: how many are scored; None for all.

    Returns:
        `zoo.objective.figures` and, of a model that predicts samples, histogram_sound_bits_per_sample; of one that has
        a gate, table_timing_bits_per_second.
    """
    config = model.config
    histogram = table = None
    if isinstance(model, Speaker):
        table = baselines.TableBits(counted_tables(train), config.warmup_seconds)
        if model.sound.coding:
            counted = model.batches(train, seed, 0).take(_HISTOGRAM_BATCHES).map(model.view)
            histogram = baselines.LevelHistogram(counted, config.sample_rate, model.sound.coding)
    score = tf.function(model.sums, autograph=False)
    n = model.n_batches(held_out, seed, 0)
    n = n if crops is None else min(n, max(1, crops // config.batch_size))
    totals: dict[str, np.ndarray] = {}
    for i, batch in enumerate(tqdm(model.batches(held_out, seed, 0).take(n), "held out", total=n, unit="batch")):
        for name, values in objective.numbers(score(batch, tf.constant([seed, -1 - i], tf.int32))).items():
            totals[name] = totals.get(name, 0.0) + np.array(values)
        if table:
            table.add(batch)
        if histogram:
            histogram.add(model.view(batch))
    timing = {"table_timing_bits_per_second": table.result()} if "toggle" in totals else {}
    sound = {"histogram_sound_bits_per_sample": histogram.result()} if histogram else {}
    return {**objective.figures(totals, config.hop), **timing, **sound}


def brief(figures: dict[str, float]) -> str:
    """The figures of a step."""
    samples = "sound_bits_per_sample"
    sound = f"sound {figures[samples]:.2f} bits/sample" if samples in figures else _MEL.format(**figures)
    timing = figures.get("timing_bits_per_second")
    return sound if timing is None else f"{sound}, timing {timing:.2f} bits/s"


def describe(figures: dict[str, float]) -> str:
    """One line of the figures that matter."""
    sound = "sound {sound_bits_per_sample:.3f} bits/sample "
    sound += "(histogram by loudness {histogram_sound_bits_per_sample:.3f})"
    sound = sound if "sound_bits_per_sample" in figures else _MEL
    timing = (
        ", timing {timing_bits_per_second:.3f} bits/s (counted table {table_timing_bits_per_second:.3f}), "
        "toggles expected / observed {toggles_expected_over_observed:.3f}"
    )
    return (sound + timing if "timing_bits_per_second" in figures else sound).format(**figures)


def counted_tables(prepared: prepare.PreparedSplit) -> dict[str, hazard.Tables]:
    """The protocol's hazard tables by role, counted on the annotated activity of a split."""
    pairs = {role: [] for role in ROLES}
    for path, record in prepared.records:
        activity = np.fromfile(path, np.uint8, 2 * record.n_frames, offset=record.activity_offset).reshape(2, -1) > 0
        for channel, role in enumerate(record.roles):
            pairs[ROLES[role_index(role)]].append((activity[channel], activity[1 - channel]))
    return {role: hazard.fit_tables(found) for role, found in pairs.items()}
