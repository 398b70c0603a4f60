"""Held-out figures of a model, and the two that they are read against: the counted table and the histogram.

On the way, everything is scored on crops. At the end timing is scored on whole dialogues: an agent that has heard more
of a dialogue knows more of its pace.
"""

import dataclasses

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from datasets import hazard, pipeline, prepare
from datasets.dialogue import FRAMES_PER_SECOND, role_index
from zoo import baselines, objective, reliability
from zoo.agent import ROLES, Learner, Speaker

_HISTOGRAM_BATCHES = 16
_CROPS = 60
_LONGEST_SECONDS = 1200.0
_MEL = "mel {mel_bits_per_frame:.1f} bits/frame"


@dataclasses.dataclass(frozen=True)
class Exam:
    """What an evaluation found.

    Attributes:
        figures: by name.
        hazards: of `zoo.reliability.counts`, of a model that has a gate.
    """

    figures: dict[str, float]
    hazards: np.ndarray | None


class Examiner:
    """Likelihoods of a held-out split, teacher-forced, by a model that may go on learning meanwhile.

    Args:
        model: to score.
        held_out: what is scored.
        seed: of the choice of crops and of windows of sound.
        crops: how many are scored; None for all.
    """

    def __init__(self, model: Learner, held_out: prepare.PreparedSplit, seed: int, crops: int | None = _CROPS):
        self._model, self._held_out, self._seed = model, held_out, seed
        n = model.n_batches(held_out, seed, 0)
        self._n = n if crops is None else min(n, max(1, crops // model.config.batch_size))
        self._score = tf.function(self._terms, autograph=False)

    def batches(self) -> tf.data.Dataset:
        return self._model.batches(self._held_out, self._seed, 0).take(self._n)

    def __call__(self) -> Exam:
        """`zoo.objective.figures` and `zoo.reliability.figures`."""
        totals: dict[str, np.ndarray] = {}
        hazards = 0.0
        for i, batch in enumerate(tqdm(self.batches(), "held out", total=self._n, unit="batch", leave=False)):
            terms, counted = self._score(batch, tf.constant([self._seed, -1 - i], tf.int32))
            for name, values in objective.numbers(terms).items():
                totals[name] = totals.get(name, 0.0) + np.array(values)
            if counted is not None:
                hazards += counted.numpy().astype(np.float64)
        figures = objective.figures(totals, self._model.config.hop)
        if self._model.mode != "dialogue":
            return Exam(figures, None)
        return Exam(figures | reliability.figures(hazards), hazards)

    def _terms(self, batch, seed):
        if self._model.mode != "dialogue":
            return self._model.sums(batch, seed), None
        told = objective.predict(self._model, batch, seed)
        return objective.terms(self._model, told, seed), _toggles(told)[1]


def evaluate(
    model: Learner,
    train: prepare.PreparedSplit,
    held_out: prepare.PreparedSplit,
    seed: int,
    crops: int | None = _CROPS,
) -> Exam:
    """An exam with what it is read against.

    Args:
        model: trained.
        train: what the table and the histogram are counted on.
        held_out, seed, crops: as of `Examiner`.

    Returns:
        With histogram_sound_bits_per_sample of a model that predicts samples, and, of one that has a gate, timing on
        whole dialogues and table_timing_bits_per_second.
    """
    examiner = Examiner(model, held_out, seed, crops)
    exam = examiner()
    figures = exam.figures
    if isinstance(model, Speaker) and model.sound.coding:
        figures |= {"histogram_sound_bits_per_sample": _histogram_bits(model, train, examiner.batches(), seed)}
    if model.mode != "dialogue":
        return Exam(figures, None)
    timing = _timing(model, train, held_out, seed)
    return Exam(figures | timing.figures, timing.hazards)


def _histogram_bits(model: Speaker, train, batches, seed: int) -> float:
    counted = model.batches(train, seed, 0).take(_HISTOGRAM_BATCHES).map(model.view)
    histogram = baselines.LevelHistogram(counted, model.config.sample_rate, model.sound.coding)
    for batch in batches:
        histogram.add(model.view(batch))
    return histogram.result()


def _timing(model, train, held_out, seed: int) -> Exam:
    """Of whole dialogues, one after the other, with the bits of the counted table."""
    longest = max(record.n_frames for _, record in held_out.records) / FRAMES_PER_SECOND
    shape = min(longest, _LONGEST_SECONDS), 1, seed, 0, False
    dialogues, n = pipeline.crops(held_out, *shape), pipeline.n_batches(held_out, *shape)
    table = baselines.TableBits(counted_tables(train), model.config.warmup_seconds)
    predict = tf.function(lambda batch, draw: _toggles(objective.predict(model, batch, draw)), autograph=False)
    totals, hazards = {}, 0.0
    for i, batch in enumerate(tqdm(dialogues, "whole dialogues", total=n, unit="dialogue", leave=False)):
        terms, counted = predict(batch, tf.constant([seed, -1 - i], tf.int32))
        for name, values in objective.numbers(terms).items():
            totals[name] = totals.get(name, 0.0) + np.array(values)
        hazards += counted.numpy().astype(np.float64)
        table.add(batch)
    figures = objective.figures(totals, model.config.hop) | reliability.figures(hazards)
    return Exam(figures | {"table_timing_bits_per_second": table.result()}, hazards)


def _toggles(told):
    told_of = [tf.sigmoid(told["toggle"]), *(told[key] for key in ("toggled", "gate_before", "role", "scored"))]
    return objective.timing(told), reliability.counts(*told_of)


def brief(figures: dict[str, float]) -> str:
    """The figures of a step."""
    samples = "sound_bits_per_sample"
    sound = f"sound {figures[samples]:.2f} bits/sample" if samples in figures else _MEL.format(**figures)
    timing = figures.get("timing_bits_per_second")
    return sound if timing is None else f"{sound}, timing {timing:.2f} bits/s"


def describe(figures: dict[str, float]) -> str:
    """One line of the figures that matter."""
    sound = "sound {sound_bits_per_sample:.3f} bits/sample, {sound_bits_per_16_bit_sample:.3f} of 16 bits "
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
