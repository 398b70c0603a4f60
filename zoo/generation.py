"""Loops over the step contract: an answer to a partner, and a duet of two agents.

Two engines make the same sound from the same random numbers: `graph` runs the model's own loop of samples in
TensorFlow, `fused` a kernel compiled by numba, where the sound tier has one. `int8` is that kernel with weights rounded
to 8 bits (`zoo.products`): it draws by the same numbers from what is nearly the same.
"""

import dataclasses
import types
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from datasets.dialogue import FRAMES_PER_SECOND, role_index
from datasets.errors import InputError
from zoo import hearing
from zoo.agent import ROLES, DialogueModel, Speaker

ENGINES = ("fused", "int8", "graph")
# Of a weight, in the engines that have a kernel.
_BITS = {"fused": 32, "int8": 8}
Progress = Callable[[int], None]
_REPORT_FRAMES = 25


@dataclasses.dataclass(frozen=True)
class Drawing:
    """How samples are drawn.

    Attributes:
        seed: of everything that is drawn.
        temperature: of the sound alone.
        engine: of `ENGINES`.
        progress: called with the number of frames done since the last call.
    """

    seed: int
    temperature: float = 1.0
    engine: str = "fused"
    progress: Progress | None = None


def respond(
    model: DialogueModel,
    prompt_own: np.ndarray,
    prompt_partner: np.ndarray,
    partner: np.ndarray,
    roles: Sequence[str],
    voices: Sequence[int],
    **options,
) -> tuple[np.ndarray, np.ndarray]:
    """An agent's channel against given partners.

    Args:
        model: trained.
        prompt_own, prompt_partner: float32 [n, samples], heard first; may be of no length.
        partner: float32 [n, samples], what follows the prompt.
        roles, voices: one a row.
        **options: of `Drawing`; `seed` must be among them.

    Returns:
        audio float32 [n, samples] of the partner's length down to a whole frame, gate bool [n, frames].
    """
    for what, sound in (("the prompt", prompt_own), ("the partner's prompt", prompt_partner), ("the partner", partner)):
        if not np.isfinite(sound).all():
            raise InputError(f"{what} has samples that are not finite; was a file read with the wrong sample format?")
    counts = [len(prompt_own), len(prompt_partner), len(partner), len(roles), len(voices)]
    if len(set(counts)) > 1:
        raise InputError(f"prompts, partners, roles and voices: {', '.join(map(str, counts))}; must be as many of each")
    state = prompted_state(model, prompt_own, prompt_partner, roles, voices)
    hop = model.config.hop
    n_frames = partner.shape[1] // hop
    heard = np.asarray(partner[:, : n_frames * hop], np.float32).reshape(len(partner), n_frames, hop)
    return _converse(model, state, lambda t, _: heard[:, t], n_frames, Drawing(**options))


def duet(
    model: DialogueModel,
    seconds: float,
    voices: Sequence[int],
    **options,
) -> tuple[np.ndarray, np.ndarray]:
    """Two copies of an agent talk to each other, a giver and a follower.

    Returns:
        audio float32 [2, samples], gate bool [2, frames].
    """
    nothing = np.zeros([2, 0], np.float32)
    state = prompted_state(model, nothing, nothing, ROLES, voices)
    n_frames = round(seconds * FRAMES_PER_SECOND)
    return _converse(model, state, lambda _, own: own[::-1], n_frames, Drawing(**options))


def babble(
    model: Speaker,
    seconds: float,
    channels: int = 1,
    **options,
) -> np.ndarray:
    """What an unconditional model says: audio float32 [channels, samples]."""
    n_frames = round(seconds * FRAMES_PER_SECOND)
    state = model.initial_state(channels)
    return _converse(model, state, lambda _, own: own, n_frames, Drawing(**options))[0]


def vocode(model: Speaker, target: np.ndarray, **options) -> np.ndarray:
    """A recording said again by a vocoder: float32 [n, samples] -> the same, down to a whole frame."""
    hop = model.config.hop
    n_frames = target.shape[1] // hop
    padded = np.pad(target[:, : n_frames * hop], [(0, 0), (0, hop)]).astype(np.float32)
    frames = padded.reshape(len(target), n_frames + 1, hop)
    state = functions(model).listen(tf.constant(frames[:, 0]), model.initial_state(len(target)))
    return _converse(model, state, lambda t, _: frames[:, t + 1], n_frames, Drawing(**options))[0]


def prompted_state(model: DialogueModel, prompt_own, prompt_partner, roles, voices) -> dict:
    """The state after a prompt of both channels, each float32 [n, samples] (the end of it that is whole frames)."""
    hop = model.config.hop
    indices = tf.constant([role_index(role) for role in roles])
    state = model.initial_state(len(roles), indices, tf.constant(list(voices), tf.int32))
    n_frames = min(prompt_own.shape[1], prompt_partner.shape[1]) // hop
    if not n_frames:
        return state
    own, partner = (tf.constant(x[:, x.shape[1] - n_frames * hop :], tf.float32) for x in (prompt_own, prompt_partner))
    return functions(model).hear(own, partner, state)


def _converse(model, state, partner_at, n_frames: int, drawing: Drawing):
    """Speak and listen, frame by frame; `partner_at(t, own frame)` is what the partner says in frame t."""
    speak = speaker(model, state, drawing.engine)
    listen = functions(model).listen
    seed, temperature = tf.constant(drawing.seed), float(drawing.temperature)
    batch, hop = len(state["gate"]), model.config.hop
    audio, gates = np.zeros([batch, n_frames, hop], np.float32), np.zeros([batch, n_frames], bool)
    for t in range(n_frames):
        audio[:, t], gates[:, t], state = speak(state, seed, temperature)
        state = listen(tf.constant(partner_at(t, audio[:, t])), state)
        if drawing.progress and ((t + 1) % _REPORT_FRAMES == 0 or t + 1 == n_frames):
            drawing.progress((t % _REPORT_FRAMES) + 1)
    return audio.reshape(batch, n_frames * hop), gates


def speaker(model: Speaker, state: dict, engine: str) -> Callable:
    """`speak(state, seed, temperature) -> frame [batch, hop], gate bool [batch], state` of an engine."""
    if engine not in ENGINES:
        raise InputError(f"--engine={engine}: must be one of {', '.join(ENGINES)}")
    kernel = kernel_of(model, state, engine) if engine in _BITS else None
    if kernel:
        return FusedSpeaker(model, kernel, state)
    speak = functions(model).speak

    def in_graph(state, seed, temperature):
        frame, gate, state = speak(state, seed, tf.constant(temperature))
        return frame.numpy(), gate.numpy() > 0, state

    return in_graph


def kernel_of(model: Speaker, state: dict, engine: str = "fused"):
    """The compiled loop of a model's sound, ready to run, or None; with a word why where one should be."""

    def ready():
        kernel = model.sound.fused(_BITS[engine])
        if kernel:
            conditions = functions(model).decide(_without_sound(state), tf.constant(0))[1]
            kernel.compile(conditions.numpy(), kernel.buffers(state["sound"]))
        return kernel

    return attempt(ready, engine)


def attempt(make: Callable, engine: str):
    """The kernel that `make()` returns, or None, with a word why, where this machine cannot compile it."""
    try:
        return make()
    except ImportError as error:
        print(f"the {engine} engine needs numba ({error}); going on with the graph")
    # A compiler fails in many ways, and the graph makes the same sound.
    except Exception as error:
        reason = next(iter(str(error).strip().splitlines()), "")
        print(f"the {engine} engine does not compile here ({type(error).__name__}: {reason}); going on with the graph")
    return None


def _without_sound(state: dict) -> dict:
    return {key: value for key, value in state.items() if key != "sound"}


class FusedSpeaker:
    """The gate and the code by the graph, the samples by the kernel, whose buffers stay in numpy.

    So the states that it returns hold no sound, which the graph would only hand through.
    """

    def __init__(self, model: Speaker, kernel, state: dict):
        self._kernel = kernel
        self._buffers = kernel.buffers(state["sound"])
        self._decide = functions(model).decide

    def __call__(self, state, seed, temperature):
        past = state["own_past"].numpy()
        gate, conditions, uniforms, room, state = self._decide(_without_sound(state), seed)
        gate, uniforms = gate.numpy() > 0, uniforms.numpy()
        frame = self._kernel.generate(past, gate, conditions.numpy(), self._buffers, uniforms, temperature)
        frame = np.where(gate[:, None], frame, room.numpy())
        return frame, gate, {**state, "own_past": tf.constant(frame)}


def functions(model: Speaker) -> types.SimpleNamespace:
    """The halves of the step as graphs, made once a model."""

    def hear(own, partner, state):
        speech = hearing.level_db(own, model.config.sample_rate) > model.dialogue.speech_db
        return model.observe(own, hearing.bridged_gate(speech), partner, state)[1]

    def decide(state, seed):
        uniforms = model.uniforms(state, seed)
        gate, _, condition, state = model.decide(state, seed)
        return gate, model.sound.frame_conditions(condition), uniforms, model.sound.room_tone(uniforms), state

    if not hasattr(model, "step_functions"):
        functions = {"hear": hear, "decide": decide, "speak": model.speak, "listen": model.listen}
        graphs = {name: tf.function(f, autograph=False, reduce_retracing=True) for name, f in functions.items()}
        # Not a dict: that Keras would track, and a SavedModel would carry it.
        model.step_functions = types.SimpleNamespace(**graphs)
    return model.step_functions
