"""A SavedModel that needs nothing of this project. Its user writes:

    agent = tf.saved_model.load("runs/demo/saved_model")
    audio = agent.generate(partner, seconds=10.0, seed=1, temperature=1.0)  # at agent.sample_rate
    state = agent.initial_state(1)
    own_frame, gate, state = agent.step(partner_frame, state, seed=1, temperature=1.0)

Audio is float32 in [-1, 1]. Who has this project opens the folder as a run (`zoo.runs.ExportFolder`) and speaks by
the compiled loops; for that the configuration lies beside the graph, and the weights are numbered.
"""

import os
from typing import Any

import tensorflow as tf

from datasets import files
from datasets.dialogue import FRAMES_PER_SECOND
from zoo import hearing, runs
from zoo.agent import DialogueModel, Learner
from zoo.unconditional import UnconditionalModel
from zoo.vocoder import VocoderModel

_AUDIO = tf.TensorSpec([None, None], tf.float32)
_INT = tf.TensorSpec([], tf.int32)
_FLOAT = tf.TensorSpec([], tf.float32)
_INTS = tf.TensorSpec([None], tf.int32)


def export(model: Learner, path: str | os.PathLike, config: dict[str, Any] | None = None) -> None:
    """Writes the SavedModel, whole or not at all.

    Args:
        config: of the run; without it, the SavedModel is no run.
    """
    makers = {
        "dialogue": agent_module,
        "unconditional": babbler_module,
        "text": reader_module,
        "vocoder": vocoder_module,
        "transcript": writer_module,
    }
    module = makers[model.mode](model)
    # By number: in lists of layers Keras's variables have no path that a checkpoint finds again.
    module.parameters = runs.parameters(model)
    with files.replacing_folder(path) as part:
        tf.saved_model.save(module, str(part))
        if config:
            beside = runs.ExportFolder(part).config
            beside.parent.mkdir()
            files.write_json(beside, config)


def babbler_module(model: UnconditionalModel) -> tf.Module:
    """The endpoint `generate(channels, seconds, seed, temperature)` of an unconditional model."""
    module = tf.Module()
    module.model = model
    module.sample_rate = tf.Variable(model.config.sample_rate, trainable=False)

    def generate(channels=1, seconds=10.0, seed=0, temperature=1.0):
        n_frames = tf.cast(tf.round(seconds * FRAMES_PER_SECOND), tf.int32)
        return model.generate(channels, n_frames, seed, temperature)

    module.generate = tf.function(generate, input_signature=[_INT, _FLOAT, _INT, _FLOAT], autograph=False)
    return module


def vocoder_module(model: VocoderModel) -> tf.Module:
    """The endpoint `generate(target [batch, samples], seed, temperature)` of a vocoder: a recording said again."""
    module = tf.Module()
    module.model = model
    module.sample_rate = tf.Variable(model.config.sample_rate, trainable=False)
    signature = [_AUDIO, _INT, _FLOAT]
    module.generate = tf.function(
        lambda target, seed=0, temperature=1.0: model.generate(target, seed, temperature), signature, autograph=False
    )
    return module


def reader_module(model: Learner) -> tf.Module:
    """The endpoints of a model that reads a text; spectra in natural logarithms, for librosa or a vocoder.

    read(letters [batch, n], voices [batch], manner [batch, n], seed): spectra [batch, frames, bands], the
    number of steps of each row, the alignment, and whether each found its end. `alphabet` numbers the letters from 2
    on, 1 is the end, 0 nothing. Where there is a manner, listen(mel [batch, frames, bands]) is that of a recording.
    """
    module = tf.Module()
    module.model = model
    module.sample_rate = tf.Variable(model.config.sample_rate, trainable=False)
    module.alphabet = tf.Variable(model.alphabet, trainable=False)
    letters, manner = tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None, model.manner.width], tf.float32)

    def listen(mel):
        return model.manner.of_mel(model.levels.standard(mel), tf.repeat(tf.shape(mel)[1], tf.shape(mel)[0]))

    module.read = tf.function(model.spell, input_signature=[letters, _INTS, manner, _INT], autograph=False)
    if model.manner.width:
        mel = tf.TensorSpec([None, None, model.config.mel_bands], tf.float32)
        module.listen = tf.function(listen, input_signature=[mel], autograph=False)
    return module


def writer_module(model: Learner) -> tf.Module:
    """The endpoint `write(spectra [batch, 2 * steps, bands], n_steps [batch])` of a model that writes down speech.

    It returns logits [batch, steps, letters + 1], the last of them the blank's, and the activations of the layer below.
    `alphabet` numbers the letters; the spectra are those of `datasets.filterbank`.
    """
    module = tf.Module()
    module.model = model
    module.sample_rate = tf.Variable(model.config.sample_rate, trainable=False)
    module.alphabet = tf.Variable(model.alphabet, trainable=False)
    spectra = tf.TensorSpec([None, None, model.config.bands], tf.float32)
    module.write = tf.function(
        lambda spectra, n_steps: model(spectra, n_steps), input_signature=[spectra, _INTS], autograph=False
    )
    return module


def agent_module(model: DialogueModel) -> tf.Module:
    """The endpoints `generate`, `generate_with_gate`, `respond`, `initial_state` and `step` of a model."""
    config = model.config
    module = tf.Module()
    module.model = model
    module.sample_rate = tf.Variable(config.sample_rate, trainable=False)
    module.hop_samples = tf.Variable(config.hop, trainable=False)
    state_spec = tf.nest.map_structure(_free_batch, model.initial_state(2))

    # One trace of the loop serves all that run it; tracing is most of the cost of an export.
    @tf.function(input_signature=[_AUDIO, _INT, state_spec, _INT, _FLOAT], autograph=False)
    def converse(partner, n_frames, state, seed, temperature):
        return model.generate(partner, n_frames, state, seed, temperature)[:2]

    def generate_with_gate(partner, seconds, seed=0, temperature=1.0):
        n_frames = tf.cast(tf.round(seconds * FRAMES_PER_SECOND), tf.int32)
        partner = _fit(partner, n_frames * config.hop)
        state = model.initial_state(tf.shape(partner)[0])
        return converse(partner, n_frames, state, seed, temperature)

    def generate(partner, seconds, seed=0, temperature=1.0):
        return generate_with_gate(partner, seconds, seed, temperature)[0]

    def respond(prompt_own, prompt_partner, partner, role, voice, seed=0, temperature=1.0):
        partner = hearing.same_batch(partner, prompt_own, prompt_partner, role, voice)
        prompt_own = hearing.finite(prompt_own, "the prompt")
        prompt_partner = hearing.finite(prompt_partner, "the partner's prompt")
        state = model.initial_state(tf.shape(partner)[0], role, voice)
        speech = hearing.level_db(prompt_own, config.sample_rate) > model.dialogue.speech_db
        _, state = model.observe(prompt_own, hearing.bridged_gate(speech), prompt_partner, state)
        n_frames = tf.shape(partner)[1] // config.hop
        return converse(_fit(partner, n_frames * config.hop), n_frames, state, seed, temperature)

    def initial_state(batch, role=1, voice=0):
        return model.initial_state(batch, role, voice)

    def step(partner_frame, state, seed=0, temperature=1.0):
        partner_frame = hearing.checked_frame(partner_frame, tf.shape(state["gate"])[0], config.sample_rate)
        return model.step(partner_frame, state, seed, temperature)

    signatures = {
        generate: [_AUDIO, _FLOAT, _INT, _FLOAT],
        generate_with_gate: [_AUDIO, _FLOAT, _INT, _FLOAT],
        respond: [_AUDIO, _AUDIO, _AUDIO, _INTS, _INTS, _INT, _FLOAT],
        initial_state: [_INT, _INT, _INT],
        step: [_AUDIO, state_spec, _INT, _FLOAT],
    }
    for function, signature in signatures.items():
        setattr(module, function.__name__, tf.function(function, input_signature=signature, autograph=False))
    return module


def _free_batch(value: tf.Tensor) -> tf.TensorSpec:
    shape = value.shape.as_list()
    return tf.TensorSpec([None, *shape[1:]] if shape else shape, value.dtype)


def _fit(audio, samples):
    """Cut or followed by digital silence to a length: a partner that has hung up."""
    audio = audio[:, :samples]
    return tf.pad(audio, [[0, 0], [0, samples - tf.shape(audio)[1]]])


def is_agent(loaded) -> bool:
    """Whether a loaded SavedModel is one of ours."""
    return all(hasattr(loaded, name) for name in ("generate", "respond", "initial_state", "step", "sample_rate"))
