"""Loops over the step contract: an answer to a partner, and a duet of two agents.

Two engines make the same sound from the same random numbers: `graph` runs the model's own loop of samples in
TensorFlow, `fused` a kernel compiled by numba, where the sound tier has one. `int8` is that kernel with weights rounded
to 8 bits (`zoo.products`): it draws by the same numbers from what is nearly the same. So does `graph16`, the graph with
weights of 16 bits (`zoo.words`), of the models that have it.
"""

import abc
import dataclasses
import types
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from datasets.dialogue import FRAMES_PER_SECOND, role_index
from datasets.errors import InputError
from zoo import hearing, memory, words
from zoo.agent import ROLES, DialogueModel, Speaker

# By which every model speaks, and those of some models as well.
ENGINES = ("fused", "int8", "graph")
ALL_ENGINES = (*ENGINES, "graph16")
# Of a weight, in the engines that have a kernel and in the others.
BITS = {"fused": 32, "int8": 8}
GRAPH_BITS = {"graph": 32, "graph16": 16}
Progress = Callable[[int], None]
_REPORT_FRAMES = 25


@dataclasses.dataclass(frozen=True)
class Drawing:
    """How samples are drawn.

    Attributes:
        seed: of everything that is drawn.
        temperature: of the sound alone.
        engine: of `engines_of` the model.
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
        hearing.check_finite(sound, what)
    counts = [len(prompt_own), len(prompt_partner), len(partner), len(roles), len(voices)]
    if len(set(counts)) > 1:
        raise InputError(f"prompts, partners, roles and voices: {', '.join(map(str, counts))}; must be as many of each")
    memory.check(model, len(roles), partner.shape[1] / model.config.sample_rate)
    state = prompted_state(model, prompt_own, prompt_partner, roles, voices)
    hop = model.config.hop
    n_frames = partner.shape[1] // hop
    heard = np.asarray(partner[:, : n_frames * hop], np.float32).reshape(len(partner), n_frames, hop)
    drawing = Drawing(**options)
    return _converse(voice_of(model, state, drawing.engine), lambda t, _: heard[:, t], n_frames, drawing)


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
    memory.check(model, 2, seconds)
    nothing = np.zeros([2, 0], np.float32)
    state = prompted_state(model, nothing, nothing, ROLES, voices)
    n_frames = round(seconds * FRAMES_PER_SECOND)
    drawing = Drawing(**options)
    return _converse(voice_of(model, state, drawing.engine), lambda _, own: own[::-1], n_frames, drawing)


def babble(
    model: Speaker,
    seconds: float,
    channels: int = 1,
    **options,
) -> np.ndarray:
    """What an unconditional model says: audio float32 [channels, samples]."""
    memory.check(model, channels, seconds)
    n_frames, drawing = round(seconds * FRAMES_PER_SECOND), Drawing(**options)
    voice = voice_of(model, model.initial_state(channels), drawing.engine)
    return _converse(voice, lambda _, own: own, n_frames, drawing)[0]


def vocode(model: Speaker, target: np.ndarray, **options) -> np.ndarray:
    """A recording said again by a vocoder: float32 [n, samples] -> the same, down to a whole frame."""
    hearing.check_finite(target, "the recording")
    memory.check(model, len(target), target.shape[1] / model.config.sample_rate)
    hop = model.config.hop
    n_frames = target.shape[1] // hop
    padded = np.pad(target[:, : n_frames * hop], [(0, 0), (0, hop)]).astype(np.float32)
    frames = padded.reshape(len(target), n_frames + 1, hop)
    drawing = Drawing(**options)
    voice = voice_of(model, model.initial_state(len(target)), drawing.engine)
    voice.listen(frames[:, 0])
    return _converse(voice, lambda t, _: frames[:, t + 1], n_frames, drawing)[0]


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


def _converse(voice: "Voice", partner_at, n_frames: int, drawing: Drawing):
    """Speak and listen, frame by frame; `partner_at(t, own frame)` is what the partner says in frame t."""
    audio = np.zeros([voice.batch, n_frames, voice.hop], np.float32)
    gates = np.zeros([voice.batch, n_frames], bool)
    for t in range(n_frames):
        audio[:, t], gates[:, t] = voice.speak(drawing.seed, drawing.temperature)
        voice.listen(partner_at(t, audio[:, t]))
        if drawing.progress and ((t + 1) % _REPORT_FRAMES == 0 or t + 1 == n_frames):
            drawing.progress((t % _REPORT_FRAMES) + 1)
    return audio.reshape(voice.batch, n_frames * voice.hop), gates


def voice_of(model: Speaker, state: dict, engine: str) -> "Voice":
    """A model at a state, ready to speak frame by frame by an engine; the state goes on within it."""
    check_engine(model, engine, f"--engine={engine}")
    kernel = kernel_of(model, state, engine) if engine in BITS else None
    return FusedVoice(model, kernel, state) if kernel else GraphVoice(model, state, GRAPH_BITS.get(engine, 32))


def engines_of(model: Speaker) -> tuple[str, ...]:
    """By which a model speaks."""
    return (*ENGINES, *(name for name in ALL_ENGINES[len(ENGINES) :] if GRAPH_BITS[name] in model.sound.graph_bits))


def check_engine(model: Speaker, engine: str, flag: str) -> None:
    """Refuses, by the name of a flag, an engine that a model or this machine does not have."""
    found = ", ".join(engines_of(model))
    if engine not in ALL_ENGINES:
        raise InputError(f"{flag}: must be one of {found}")
    if engine not in engines_of(model):
        raise InputError(f"{flag}: only SampleRNN has weights of 16 bits in the graph; the engines here are {found}")
    if GRAPH_BITS.get(engine) == 16:
        words.check(flag)


def kernel_of(model: Speaker, state: dict, engine: str = "fused"):
    """The compiled loop of a model's sound, ready to run, or None; with a word why where one should be."""

    def ready():
        kernel = model.sound.fused(BITS[engine])
        if kernel:
            from zoo import compiling
            from zoo.fused_tier import tier_of

            tier = tier_of(model, state)
            conditions = model.sound.frame_conditions(tf.zeros([len(state["gate"]), model.sound.condition_channels]))
            told = conditions.numpy(), kernel.buffers(state["sound"])
            if tier:
                compiling.compile_by([lambda: kernel.compile(*told), *tier.works()], tier.compiled_in)
            else:
                kernel.compile(*told)
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


class Voice(abc.ABC):
    """What a model says, frame by frame.

    Args:
        model, state: of the model.

    Attributes:
        batch, hop: of the frames that it speaks and hears.
    """

    def __init__(self, model: Speaker, state: dict):
        self.batch, self.hop, self._sample_rate = len(state["gate"]), model.config.hop, model.config.sample_rate

    @abc.abstractmethod
    def speak(self, seed: int, temperature: float) -> tuple[np.ndarray, np.ndarray]:
        """The own frame of this moment float32 [batch, hop], and the gate bool [batch]."""

    def listen(self, partner_frame: np.ndarray) -> None:
        """Takes in the partner's frame float32 [batch, hop] of the moment that was spoken last."""
        hearing.check_frame(partner_frame, self.batch, self._sample_rate)
        # A copy: who calls may use the memory again.
        self._hear(np.array(partner_frame, np.float32))

    @abc.abstractmethod
    def _hear(self, partner_frame: np.ndarray) -> None:
        """The same, of a frame that is known to fit."""


class GraphVoice(Voice):
    """By the model's own graph; one call of TensorFlow a frame. Weights that change are heard by the next voice.

    Args:
        model, state: of the model.
        bits: of the weights that a sample waits for.
    """

    def __init__(self, model: Speaker, state: dict, bits: int = 32):
        super().__init__(model, state)
        self._step, self._prepared = _HeardFirst(model, "speak", state), functions(model).prepared(bits)

    def speak(self, seed, temperature):
        frame, gate = self._step(tf.constant(seed, tf.int32), tf.constant(temperature, tf.float32), self._prepared)
        return frame.numpy(), gate.numpy() > 0

    def _hear(self, partner_frame):
        self._step.heard = partner_frame


class FusedVoice(Voice):
    """By compiled loops, whose buffers stay in numpy; what has no such loop is decided by the graph.

    Args:
        model, state: of the model.
        kernel: of its sound.
    """

    def __init__(self, model: Speaker, kernel, state: dict):
        from zoo.fused_tier import tier_of

        super().__init__(model, state)
        self.kernel, self._buffers, self._past = kernel, kernel.buffers(state["sound"]), state["own_past"].numpy()
        self._tier = tier_of(model, state) or _GraphTier(model, state)

    def speak(self, seed, temperature):
        gate, conditions, uniforms, room = self._tier.decide(seed)
        frame = self.kernel.generate(self._past, gate, conditions, self._buffers, uniforms, temperature)
        self._past = np.where(gate[:, None], frame, room)
        return self._past, gate

    def _hear(self, partner_frame):
        self._tier.listen(partner_frame)


class _GraphTier:
    """As `zoo.fused_tier.FusedTier`, by the graph."""

    def __init__(self, model: Speaker, state: dict):
        # The sound's part the graph would only hand through.
        self._decide = _HeardFirst(model, "decide", {key: value for key, value in state.items() if key != "sound"})

    def decide(self, seed: int):
        gate, *told = (each.numpy() for each in self._decide(tf.constant(seed, tf.int32)))
        return gate > 0, *told

    def listen(self, partner_frame: np.ndarray) -> None:
        self._decide.heard = partner_frame


class _HeardFirst:
    """A half of the step that keeps its state, in one call with the half before it: the frame heard last."""

    def __init__(self, model: Speaker, half: str, state: dict):
        graphs = vars(functions(model))
        self._first, self._next, self._state, self.heard = graphs[half], graphs[f"listen_{half}"], state, None
        self._traces = {}

    def __call__(self, *given):
        graph, told = self._first, (self._state, *given)
        if self.heard is not None:
            graph, told = self._next, (tf.constant(self.heard), *told)
        # To look it up takes most of a millisecond, and all frames are given the same kinds of things.
        if graph not in self._traces:
            self._traces[graph] = graph.get_concrete_function(*told)
        *found, self._state = self._traces[graph](*told)
        self.heard = None
        return found


def functions(model: Speaker) -> types.SimpleNamespace:
    """The halves of the step as graphs, made once a model."""

    def hear(own, partner, state):
        speech = hearing.level_db(own, model.config.sample_rate) > model.dialogue.speech_db
        return model.observe(own, hearing.bridged_gate(speech), partner, state)[1]

    def decide(state, seed):
        uniforms = model.uniforms(state, seed)
        gate, _, condition, state = model.decide(state, seed)
        return gate, model.sound.frame_conditions(condition), uniforms, model.sound.room_tone(uniforms), state

    def after(half):
        return lambda frame, state, *given: half(model.listen(frame, state), *given)

    if not hasattr(model, "step_functions"):
        halves = {"decide": decide, "speak": model.speak}
        functions = {"hear": hear, "prepared": model.sound.prepared, **halves}
        functions |= {f"listen_{name}": after(half) for name, half in halves.items()}
        graphs = {name: tf.function(f, autograph=False, reduce_retracing=True) for name, f in functions.items()}
        # Not a dict: that Keras would track, and a SavedModel would carry it.
        model.step_functions = types.SimpleNamespace(**graphs)
    return model.step_functions
