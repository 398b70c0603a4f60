"""What a training shows in TensorBoard."""

import collections

import tensorflow as tf

from datasets import pipeline, prepare
from zoo import generation, reliability
from zoo.agent import Learner
from zoo.held_out import Exam

_SAMPLE_SECONDS = 20.0


def show_step(figures: dict[str, float], norms: list, step: int) -> None:
    """Figures of the training batch and the norms of the gradients of each part."""
    for name, value in figures.items():
        tf.summary.scalar(f"train/{name}", value, step=step)
    for i, norm in enumerate(norms):
        tf.summary.scalar(f"train/gradient_norm_{i}", norm, step=step)


def show_exam(model: Learner, exam: Exam, batch: dict, step: int) -> None:
    """Held-out figures, the reliability of the hazards, and what a model has to show of a held-out batch."""
    for name, value in {**exam.figures, **model.diagnostics(batch)}.items():
        tf.summary.scalar(f"held_out/{name}", value, step=step)
    pictures = model.pictures(batch)
    if exam.hazards is not None:
        pictures["reliability"] = reliability.picture(exam.hazards)
    for name, picture in pictures.items():
        tf.summary.image(name, tf.convert_to_tensor(picture)[None], step=step)


def show_sample(model: Learner, train: prepare.PreparedSplit, held_out: prepare.PreparedSplit, seed: int, step: int):
    """What a model says by itself, or writes down of a held-out stretch."""
    if model.mode == "transcript":
        for name, text in model.sample(held_out).items():
            tf.summary.text(name, text, step=step)
        return
    if model.mode == "dialogue":
        audio, _ = generation.duet(model, _SAMPLE_SECONDS, trained_voices(train)[:2], seed=seed)
    elif model.mode == "unconditional":
        audio = generation.babble(model, _SAMPLE_SECONDS, seed=seed)
    elif model.mode == "vocoder":
        stretch = next(iter(model.batches(held_out, seed, 0)))["audio"][0, :1]
        samples = round(_SAMPLE_SECONDS * model.config.sample_rate)
        audio = generation.vocode(model, stretch.numpy()[:, :samples], seed=seed)
    else:
        audio = model.sample(held_out, seed)
    tf.summary.audio(model.mode, audio.T[None], model.config.sample_rate, step=step)


def trained_voices(prepared: prepare.PreparedSplit) -> list[int]:
    """Voice numbers of the speakers of a split, the most heard first."""
    frames = collections.Counter()
    for _, record in prepared.records:
        for speaker, spoken in zip(record.speakers, record.speech_frames, strict=True):
            frames[pipeline.voice_of(speaker)] += spoken
    return [voice for voice, _ in frames.most_common()]
