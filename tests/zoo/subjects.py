"""Models to test: at their smallest, with weights shaken away from their start, and a dialogue for them to hear."""

import dataclasses

import keras
import numpy as np
import tensorflow as tf

from datasets.dialogue import FRAMES_PER_SECOND
from zoo import registry, runs

# 40 samples a frame: a step of every model in a few milliseconds.
SIZES = dict(
    sample_rate=2000,
    mel_bands=6,
    voices=4,
    acoustic_codes=8,
    crop_seconds=1.6,
    batch_size=2,
    window_frames=6,
    windows=2,
    warmup_seconds=0.2,
)
# For what does not turn on the model: the fewest layers are the quickest to trace.
SMALLEST_WAVENET = dict(
    channels=4,
    skip_channels=4,
    head_channels=4,
    dilations=(1, 2),
    condition_channels=4,
    context_channels=4,
    context_dilations=(1, 2),
    acoustic_channels=4,
    acoustic_dilations=(1,),
)
BATCH, FRAMES, CHANGED = 2, 24, 9
ROLES, VOICES = (0, 1), (1, 3)


def tiny(name: str = "wavenet", **sizes):
    """A model at `SIZES` and sizes of its own, with the same weights each time."""
    keras.utils.set_random_seed(0)
    known = {field.name for field in dataclasses.fields(registry.find(name)[1])}
    common = {key: value for key, value in SIZES.items() if key in known}
    model_class, config = registry.find(name, "tiny", {**common, **(sizes or SMALLEST_WAVENET)})
    return model_class(config)


def run_config(name: str, sizes) -> dict:
    """What config.json of a run says of a model."""
    config = {"format": runs.FORMAT, "model": name, "preset": "tiny", "sizes": dataclasses.asdict(sizes)}
    return config | {"mode": "dialogue", "sample_rate": sizes.sample_rate, "voices": [1, 3]}


def count(model, seed: int = 0) -> None:
    """Bands and codes as if a corpus had been counted."""
    rng, tier = np.random.default_rng(seed), model.dialogue
    tier.mel_mean.assign(np.full(tier.mel_mean.shape, -5.0))
    tier.mel_scale.assign(np.full(tier.mel_scale.shape, 4.0))
    model.acoustic.codebook.assign(-5.0 + 4.0 * rng.standard_normal(model.acoustic.codebook.shape))


def shake(model, seed: int = 0) -> None:
    """Weights all away from zero, where a path that is cut would not be missed, and a gate that toggles often."""
    count(model)
    rng = np.random.default_rng(seed)
    for weight in model.trainable_variables:
        weight.assign_add(0.3 * rng.standard_normal(weight.shape))
    table = model.dialogue.table
    table.assign(-1.0 + 0.5 * rng.standard_normal(table.shape))


def sound(rng, config, frames: int = FRAMES, batch: int = BATCH) -> np.ndarray:
    """Noise that is loud in some runs of frames and room tone in others: float32 [batch, frames * hop]."""
    loud = rng.integers(0, 2, (batch, -(-frames // 3))).repeat(3, axis=1)[:, :frames]
    level = np.where(loud, 0.2, 1e-3).repeat(config.hop, axis=1)
    return (level * rng.standard_normal(level.shape)).clip(-1, 1).astype(np.float32)


def clip(config, seconds: float = 1.6) -> dict:
    """One batch of `datasets.pipeline.crops`: two speakers in turn, each a tone of its own."""
    frames = round(seconds * FRAMES_PER_SECOND)
    turn = np.arange(frames) // 16 % 2
    activity = np.stack([turn == 0, turn == 1]).astype(np.float32)
    time = np.arange(frames * config.hop) / config.sample_rate
    tones = np.stack([0.3 * np.sin(2 * np.pi * hz * time) for hz in (250.0, 400.0)])
    audio = tones * activity.repeat(config.hop, axis=1)
    batch = {
        "audio": audio.astype(np.float32),
        "activity": activity,
        "mask": np.ones(frames, np.float32),
        "role": np.array([0, 1], np.int32),
        "voice": np.array([1, 2], np.int32),
    }
    return {key: tf.constant(value[None]) for key, value in batch.items()}


class Subject:
    """A shaken model with its entry points as graphs, traced once, and a dialogue for it to hear."""

    def __init__(self, model):
        shake(model)
        self.model, self.config = model, model.config
        rng = np.random.default_rng(1)
        self.own, self.partner = sound(rng, self.config), sound(rng, self.config)
        self.gate = rng.integers(0, 2, (BATCH, FRAMES // 3)).repeat(3, axis=1).astype(np.float32)
        self.observe = tf.function(model.observe, autograph=False)
        self.step = tf.function(model.step, autograph=False)
        self.decide = tf.function(model.decide, autograph=False)
        state = tf.nest.map_structure(tf.TensorSpec.from_tensor, self.start())
        scalars = [tf.TensorSpec([], dtype) for dtype in (tf.int32, tf.float32)]
        signature = [tf.TensorSpec([BATCH, None]), scalars[0], state, *scalars]
        self._generate = tf.function(model.generate, signature, autograph=False)

    def start(self, batch: int = BATCH) -> dict:
        return self.model.initial_state(batch, tf.constant(ROLES[:batch]), tf.constant(VOICES[:batch]))

    def generate(self, partner, state=None, seed: int = 0, temperature: float = 1.0):
        n_frames = tf.constant(partner.shape[1] // self.config.hop)
        state = self.start() if state is None else state
        audio, gate, state = self._generate(partner, n_frames, state, seed, temperature)
        return audio.numpy(), gate.numpy(), state

    def predictions(self, own=None, gate=None, partner=None) -> dict[str, np.ndarray]:
        given = (self.own if own is None else own, self.gate if gate is None else gate)
        found, _ = self.observe(*given, self.partner if partner is None else partner, self.start())
        return {key: value.numpy() for key, value in found.items()}

    def sound_logits(self, audio, gate, condition) -> np.ndarray:
        """Of a whole channel from the start of a dialogue, [batch, frames * hop, 256]."""
        past = np.zeros((BATCH, self.config.hop), np.float32)
        state = self.model.sound.initial_state(BATCH)
        return self.model.sound.predict(np.concatenate([past, audio], axis=1), gate, condition, state)[0].numpy()

    def frames(self, audio) -> np.ndarray:
        return np.asarray(audio).reshape(len(audio), -1, self.config.hop)

    def other(self, channel: np.ndarray, frame: int = CHANGED) -> np.ndarray:
        """The same channel, loud where it was soft and the other way round, in one frame."""
        changed = self.frames(channel).copy()
        quiet = np.abs(changed[:, frame]).max(axis=-1, keepdims=True) < 0.02
        changed[:, frame] = np.where(quiet, 200.0, 0.005) * changed[:, frame]
        return changed.reshape(channel.shape).clip(-1, 1)
