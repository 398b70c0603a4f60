"""What a model takes from its training corpus by counting, before any gradient: its ears, its codes, its first hazards.

The level above which a channel counts as speech, the mean and spread of log-mel bands, the level of room tone, the
codebook of acoustic frames (k-means), and the hazard table of what an agent can *hear* of its partner. The last is
recounted, not taken from the annotations: at the start of a silence nobody knows how long it will be.
"""

from collections.abc import Iterable

import numpy as np
import sklearn.cluster
import tensorflow as tf

from datasets import features, hazard
from datasets.dialogue import FRAMES_PER_SECOND
from zoo import hearing
from zoo.objective import by_speaker

_MEL_CROPS = 64
_CODEBOOK_FRAMES = 60_000
_AS_GOOD = 0.01


def fit(model, batches: Iterable[dict], seed: int, progress=lambda batches: batches) -> dict:
    """Sets the counted weights of a model.

    Args:
        model: a `zoo.agent.DialogueModel`.
        batches: one epoch of `datasets.pipeline.crops`.
        seed: of k-means.
        progress: wraps the iteration, such as tqdm.

    Returns:
        What was found, as JSON values: speech_db, room_db, toggle rates by role.
    """
    rate, bands = model.config.sample_rate, model.config.mel_bands
    rows: dict[str, list[np.ndarray]] = {}
    mels: list[np.ndarray] = []
    sums: dict[str, np.ndarray] = {}
    for batch in progress(batches):
        example = by_speaker(batch)
        found = {
            "level_db": hearing.level_db(example["own_audio"], rate),
            "partner_db": hearing.level_db(example["partner_audio"], rate),
            **{key: example[key] for key in ("gate", "mask", "role")},
        }
        for key, value in found.items():
            rows.setdefault(key, []).append(np.asarray(value))
        for key, value in model.acoustic.count(example).items():
            sums[key] = sums.get(key, 0.0) + np.asarray(value, np.float64)
        if len(mels) * len(example["gate"]) < _MEL_CROPS:
            past = tf.zeros_like(example["own_audio"][:, : model.config.hop])
            mels.append(features.log_mel(example["own_audio"], past, rate, bands).numpy())
    all_rows = {key: np.concatenate(parts) for key, parts in rows.items()}
    known, gate, level = all_rows["mask"] > 0, all_rows["gate"] > 0, all_rows["level_db"]
    speech_db = speech_threshold_db(level[known], gate[known])
    room_db = float(np.median(level[known & ~gate]))
    mel = np.concatenate(mels)
    model.dialogue.speech_db.assign(speech_db)
    model.dialogue.mel_mean.assign(mel[known[: len(mel)]].mean(axis=0))
    model.dialogue.mel_scale.assign(mel[known[: len(mel)]].std(axis=0) + 1e-3)
    model.acoustic.codebook.assign(codebook(mel[(known & gate)[: len(mel)]], model.acoustic.codes, seed))
    model.acoustic.set_counted(sums)
    model.sound.room_level.assign(10.0 ** (room_db / 20.0))
    cells, toggled = _histories(gate, all_rows["partner_db"] > speech_db)
    counted = known[:, 1:] & (np.arange(1, known.shape[1]) >= model.config.warmup_seconds * FRAMES_PER_SECOND)
    for role in (0, 1):
        chosen = counted & (all_rows["role"] == role)[:, None]
        probability = _tables(cells[chosen], toggled[chosen]).joint.reshape(hearing.N_CELLS, hearing.N_CELLS)
        model.dialogue.table[role].assign(np.log(probability / (1 - probability)))
    return {"speech_db": speech_db, "room_db": room_db}


def speech_threshold_db(level_db: np.ndarray, speech: np.ndarray) -> float:
    """The level that best tells speech from silence: levels [n] in dB, speech bool [n] -> dB, in steps of 0.5."""
    edges = np.arange(-80.0, 0.0, 0.5)
    miss = np.searchsorted(np.sort(level_db[speech]), edges) / max(speech.sum(), 1)
    correct_rejection = np.searchsorted(np.sort(level_db[~speech]), edges) / max((~speech).sum(), 1)
    skill = correct_rejection - miss
    # The highest of those that do as well: room tone of another recording may lie above that of the corpus.
    return float(edges[np.flatnonzero(skill >= skill.max() - _AS_GOOD)[-1]])


def codebook(mel: np.ndarray, codes: int, seed: int) -> np.ndarray:
    """Centres of `codes` clusters of log-mel frames [n, bands] -> float32 [codes, bands]."""
    rng = np.random.default_rng(seed)
    if len(mel) > _CODEBOOK_FRAMES:
        mel = mel[rng.choice(len(mel), _CODEBOOK_FRAMES, replace=False)]
    means = sklearn.cluster.MiniBatchKMeans(codes, random_state=seed, n_init=3, batch_size=4096).fit(mel)
    return means.cluster_centers_.astype(np.float32)


def _histories(gate: np.ndarray, speech: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cell of own and heard state at frame t - 1, and whether the own gate toggles at t: [crops, frames - 1]."""
    n = len(gate)
    long_ago = tf.fill([n], hearing.LONG_AGO_FRAMES)
    own_gate = tf.cast(gate, tf.float32)
    own = hearing.cell(own_gate, hearing.own_ages(own_gate, own_gate[:, 0], tf.ones([n], tf.int32)))
    partner = hearing.partner_cell(*hearing.partner_ages(tf.constant(speech), long_ago, long_ago))
    cells = (own * hearing.N_CELLS + partner).numpy()
    return cells[:, :-1], gate[:, 1:] != gate[:, :-1]


def _tables(cells: np.ndarray, toggled: np.ndarray) -> hazard.Tables:
    n, shape = hearing.N_CELLS**2, (2, hazard.N_AGES, 2, hazard.N_AGES)
    frames = np.bincount(cells, minlength=n).reshape(shape)
    return hazard.Tables(np.bincount(cells[toggled], minlength=n).reshape(shape), frames)
