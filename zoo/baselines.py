"""What a held-out figure is read against: the counted hazard table, and a histogram that knows the loudness."""

from collections.abc import Iterable, Mapping

import numpy as np
import tensorflow as tf

from datasets import hazard
from datasets.dialogue import FRAMES_PER_SECOND
from zoo import hearing
from zoo.agent import ROLES
from zoo.layers import LEVELS
from zoo.objective import by_speaker

_LEVEL_STEP_DB = 2.0
_N_LEVELS = 40


class TableBits:
    """Bits per second of the own gate under the joint table of the protocol, on the frames a model is scored on.

    The table knows both speakers' annotated activity, so it knows at the start of a silence that it will last at
    least the bridge; a model that hears has to find out.

    Args:
        tables: by role name, `datasets.hazard.fit_tables` of the train split.
        warmup_seconds: as the model's.
    """

    def __init__(self, tables: Mapping[str, hazard.Tables], warmup_seconds: float):
        self._hazards = np.stack([tables[role].joint.reshape(hearing.N_CELLS, hearing.N_CELLS) for role in ROLES])
        self._warmup_frames = round(warmup_seconds * FRAMES_PER_SECOND)
        self._bits, self._frames = 0.0, 0.0

    def add(self, batch: Mapping[str, tf.Tensor]) -> None:
        example = by_speaker(batch)
        own, partner = (_cells(example[key]) for key in ("gate", "partner_gate"))
        gate, role = example["gate"].numpy() > 0, example["role"].numpy()[:, None]
        probability = self._hazards[role, own[:, :-1], partner[:, :-1]]
        toggled = gate[:, 1:] != gate[:, :-1]
        bits = -np.log2(np.where(toggled, probability, 1 - probability))
        weight = example["mask"].numpy()[:, 1:] * (np.arange(1, gate.shape[1]) >= self._warmup_frames)
        self._bits += float((bits * weight).sum())
        self._frames += float(weight.sum())

    def result(self) -> float:
        return self._bits / max(self._frames, 1.0) * FRAMES_PER_SECOND


class LevelHistogram:
    """Bits per sample of levels given the loudness of their 20 ms frame: a histogram for each 2 dB.

    Args:
        batches: of `datasets.pipeline.crops`, of the train split.
        sample_rate: Hz.
        coding: of `zoo.coding`.
    """

    def __init__(self, batches: Iterable[Mapping[str, tf.Tensor]], sample_rate: int, coding):
        self._sample_rate, self._coding = sample_rate, coding
        counts = np.ones((_N_LEVELS, LEVELS))
        for batch in batches:
            loudness, levels, _ = self._speech(batch)
            counts += np.bincount(loudness * LEVELS + levels, minlength=counts.size).reshape(counts.shape)
        self._log2 = np.log2(counts / counts.sum(axis=1, keepdims=True))
        self._bits, self._samples = 0.0, 0

    def add(self, batch: Mapping[str, tf.Tensor]) -> None:
        loudness, levels, finer = self._speech(batch)
        self._bits += float(finer.sum() - self._log2[loudness, levels].sum())
        self._samples += len(levels)

    def result(self) -> float:
        return self._bits / max(self._samples, 1)

    def _speech(self, batch):
        """Loudness, cell and bits within the cell of every sample where the gate is open, three [n]."""
        example = by_speaker(batch)
        level = hearing.level_db(example["own_audio"], self._sample_rate).numpy()
        chosen = (example["gate"] * example["mask"]).numpy() > 0
        loudness = np.clip(-level / _LEVEL_STEP_DB, 0, _N_LEVELS - 1).astype(int)
        hop = self._sample_rate // FRAMES_PER_SECOND
        levels, finer = (
            each.numpy().reshape(*chosen.shape, hop)[chosen].ravel()
            for each in self._coding.coarse(example["own_audio"])
        )
        return np.repeat(loudness[chosen], hop), levels, finer


def _cells(gate: tf.Tensor) -> np.ndarray:
    # The first frame has age 1, as in the table: the one before it had none.
    none = tf.zeros_like(gate[:, 0], tf.int32)
    return hearing.cell(gate, hearing.own_ages(gate, gate[:, 0], none)).numpy()
