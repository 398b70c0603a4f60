"""Run folders: everything about one training, and all that generation and comparison need.

In runs/<name>/:

    config.json       model, preset, sizes, corpus, seed, versions, devices
    model.weights.h5  the counted and the trained weights: what is exported, scored and generates
    best.weights.h5   those of the best held-out evaluation on the way (`zoo.selection`)
    held_out.json     the figures of the last evaluation
    saved_model/      for use without this project; with it, a run as well
    checkpoints/      for going on after a kill
    logs/             TensorBoard
    nan_batch.npz     the batch that ended a training whose loss was no number

Nothing else is needed to continue, to generate or to compare.
"""

import dataclasses
import json
import os
import pathlib
import zipfile
from typing import Any

import numpy as np

from datasets import files
from datasets.errors import InputError
from zoo import registry

FORMAT = 1


@dataclasses.dataclass(frozen=True)
class RunFolder:
    """Where the parts of a run lie."""

    path: pathlib.Path

    config = property(lambda self: self.path / "config.json")
    weights = property(lambda self: self.path / "model.weights.h5")
    best = property(lambda self: self.path / "best.weights.h5")
    nan_batch = property(lambda self: self.path / "nan_batch.npz")
    held_out = property(lambda self: self.path / "held_out.json")
    saved_model = property(lambda self: self.path / "saved_model")
    checkpoints = property(lambda self: self.path / "checkpoints")
    logs = property(lambda self: self.path / "logs")

    def read_config(self) -> dict[str, Any]:
        """The configuration; raises `InputError` where there is none or it is not one of ours."""
        if not self.config.is_file():
            raise InputError(f"{self.path}: not a run folder, it has no config.json; python -m zoo.train makes one")
        try:
            config = json.loads(self.config.read_text(encoding="utf-8"))
            if config["format"] != FORMAT:
                raise ValueError(f"format {config['format']}, this version reads {FORMAT}")
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{self.config}: not the configuration of a run ({error!r})") from error
        return config

    def read_held_out(self) -> dict[str, float]:
        """The figures of the last evaluation; nothing where there was none."""
        try:
            return json.loads(self.held_out.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise InputError(
                f"{self.held_out}: no figures of an evaluation ({error}); train on, or delete it"
            ) from error

    def load_weights(self, model) -> None:
        """Into a model that `build_model` made of the configuration."""
        model.load_weights(self.weights)

    def write_weights(self, model, path: pathlib.Path | None = None) -> None:
        """As `weights`, or where else in the folder."""
        with files.replacing(path or self.weights) as part:
            # Keras insists on its suffix.
            named = part.with_name(part.name + ".weights.h5")
            model.save_weights(named)
            os.replace(named, part)


class ExportFolder(RunFolder):
    """A SavedModel (`zoo.export`) as a run to be read: `assets.extra` is for what the graph itself does not load."""

    config = property(lambda self: self.path / "assets.extra" / "config.json")
    weights = property(lambda self: self.path / "variables" / "variables.index")

    def load_weights(self, model) -> None:
        import tensorflow as tf

        read = tf.train.Checkpoint(parameters=parameters(model)).read(str(self.weights.with_suffix("")))
        read.assert_existing_objects_matched().expect_partial()


def folder_of(path: str | os.PathLike) -> RunFolder:
    """A run folder, or a SavedModel that can be read as one."""
    export = ExportFolder(pathlib.Path(path))
    return export if export.config.is_file() else RunFolder(export.path)


def parameters(model) -> list:
    """The variables of a model in an order that is always the same, as TensorFlow's."""
    return [variable.value for variable in model.variables]


def build_model(config: dict[str, Any]):
    """The model of a configuration, with fresh weights."""
    mode = config.get("mode", "dialogue")
    model_class, sizes = registry.find(config["model"], config["preset"], config["sizes"], mode)
    return new_model(model_class, sizes, mode)


def new_model(model_class, sizes, mode: str):
    """A model with fresh weights, for dialogue, unconditional or of a text; the class is that of the mode."""
    if mode == "vocoder":
        return _vocoder(model_class, sizes)
    if mode != "unconditional":
        return model_class(sizes)
    from zoo.unconditional import UnconditionalModel

    if hasattr(model_class, "alone"):
        return model_class.alone(sizes)
    if not hasattr(model_class, "sound_tier"):
        raise InputError(f"--mode={mode}: {model_class.__name__} has no sound without its dialogue")
    return UnconditionalModel(model_class, sizes)


def _vocoder(model_class, sizes):
    from zoo.vocoder import VocoderModel
    from zoo.wavenet.model import WaveNet

    if model_class is not WaveNet:
        raise InputError(f"--mode=vocoder: {model_class.__name__} says no spectra; the choice of --model is wavenet")
    return VocoderModel(model_class, sizes)


class Run:
    """A trained run, ready to answer a partner.

    Attributes:
        name: of the folder.
        config: dict, as in config.json.
        model: the Keras model.
    """

    def __init__(self, path: str | os.PathLike):
        folder = folder_of(path)
        self.name = folder.path.resolve().name
        self.config = folder.read_config()
        if not folder.weights.is_file():
            raise InputError(f"{folder.path}: a run without a model; the training has not saved any weights yet")
        self.model = build_model(self.config)
        try:
            folder.load_weights(self.model)
        except (OSError, ValueError, KeyError, AssertionError, zipfile.BadZipFile) as error:
            reason = str(error).splitlines()[0]
            raise InputError(f"{folder.weights}: not the weights of this {self.config['model']} ({reason})") from error

    @property
    def sample_rate(self) -> int:
        return self.config["sample_rate"]

    def respond(
        self, prompt_own, prompt_partner, partner, role: str, voice: int | None = None, seed: int = 0, **options
    ):
        """One answer: prompts and partner float32 [samples] -> audio float32 [samples], gate bool [frames]."""
        audio, gate = self.respond_batch(
            np.asarray(prompt_own)[None],
            np.asarray(prompt_partner)[None],
            np.asarray(partner)[None],
            [role],
            None if voice is None else [voice],
            seed,
            **options,
        )
        return audio[0], gate[0]

    def respond_batch(self, prompt_own, prompt_partner, partner, roles, voices=None, seed: int = 0, **options):
        """Hears a prompt of both channels, then answers a partner whose sound is known and does not react.

        Args:
            prompt_own, prompt_partner: float32 [n, samples]; may be of no length.
            partner: float32 [n, samples], what follows the prompt.
            roles: "giver" or "follower", one a row.
            voices: int, one a row; None takes the first voice of the training corpus.
            seed: of everything that is drawn.
            **options: of `zoo.generation.Drawing`: temperature, engine, progress.

        Returns:
            audio float32 [n, samples] of the partner's length down to a whole frame, gate bool [n, frames].
        """
        from zoo import generation

        if self.model.mode != "dialogue":
            raise InputError(f"{self.name}: a run of --mode={self.model.mode}; it has no partner to answer")
        voices = [self.config.get("voices", [0])[0]] * len(roles) if voices is None else voices
        return generation.respond(self.model, prompt_own, prompt_partner, partner, roles, voices, seed=seed, **options)


def open_run(path: str | os.PathLike) -> Run:
    return Run(path)
