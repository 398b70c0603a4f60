"""The step contract: an agent that owns one channel of a dialogue and hears the other.

    state = model.initial_state(batch)
    own_frame, gate, state = model.step(partner_frame, state, seed, temperature)

A step is two halves. `speak` decides the gate of frame t, and its sound, from both speakers' frames up to t - 1;
`listen` then takes in the partner's frame t. `observe` puts a known own channel in the place of `speak`: it primes an
agent with a prompt and gives the teacher-forced predictions that training needs, many frames in one call.
"""

import abc
import dataclasses
from collections.abc import Callable, Iterable
from typing import ClassVar

import keras
import tensorflow as tf

from datasets import features, pipeline
from datasets.dialogue import FRAMES_PER_SECOND
from datasets.errors import InputError
from zoo import hearing, objective, prosody, statistics, turn_statistics
from zoo.acoustic import lapsed
from zoo.layers import sample_categorical

ROLES = ("giver", "follower")
# What is known of a frame, by which the next one is decided.
_HEARD = ("gate", "own_age", "quiet", "spurt", "mel", "prosody", "code")


@dataclasses.dataclass(frozen=True)
class CountedConfig:
    """What every model has, also one that is counted and not trained.

    Attributes:
        sample_rate: Hz.
        mel_bands: of the partner's spectrum and of the acoustic code.
        voices: number of voices that are told apart; a speaker's is a hash of the identity.
        crop_seconds, batch_size: of the dialogue tier's examples.
        window_frames, windows: of the sound tier's examples, drawn within each crop and speaker.
        warmup_seconds: start of a crop that is heard but not scored, as ages are not known there.
        steps: of training.
        input_noise: as of the models whose sound reads samples; others have none.
    """

    sample_rate: int = 8000
    mel_bands: int = 24
    voices: int = 64
    crop_seconds: float = 30.0
    batch_size: int = 2
    window_frames: int = 20
    windows: int = 2
    warmup_seconds: float = 2.0
    steps: ClassVar[int] = 0
    input_noise: ClassVar[float] = 0.0

    @property
    def hop(self) -> int:
        return self.sample_rate // FRAMES_PER_SECOND


@dataclasses.dataclass(frozen=True)
class DialogueConfig(CountedConfig):
    """Sizes and training recipe that every trained model has.

    Attributes:
        acoustic_codes: size of the codebook of the coarse acoustic frame; 0 is the papers' pure form, whose sound is
            conditioned on voice, context and age alone.
        scheduled_sampling: share of the codes before, as the code tier reads them in training, that are drawn from its
            own prediction of the frame before instead of heard (Bengio et al. 2015); an ablation.
        learning_rate, timing_learning_rate: of Adam, for the sound and for the dialogue tier, which starts from counts
            and has little left to learn; both fall to a tenth along a cosine.
        averaging: momentum of the running average of the weights, which is what is evaluated and kept.
        cue_channels: width of what hears in the partner's prosody who speaks next; 0 is without.
        steps: of training.
    """

    acoustic_codes: int = 128
    scheduled_sampling: float = 0.0
    learning_rate: float = 1.2e-2
    timing_learning_rate: float = 1e-3
    averaging: float = 0.98
    cue_channels: int = 32
    steps: int = 2000

    def __post_init__(self):
        if self.acoustic_codes < 0:
            raise InputError(f"--set=acoustic_codes={self.acoustic_codes}: a number of codes, or 0 for none")
        for name in ("scheduled_sampling", "input_noise"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise InputError(f"--set={name}={getattr(self, name)}: must be a share, from 0 to 1")
        if self.scheduled_sampling and not self.acoustic_codes:
            raise InputError("--set=scheduled_sampling: there is no code to draw with acoustic_codes=0; leave it out")


class Learner(keras.Model, abc.ABC):
    """What `zoo.training` trains.

    Attributes:
        config: dataclass of sizes.
        config_class: of `config`, set by `zoo.registry.register`.
        jit: whether XLA makes its training step faster on a CPU (`python -m zoo.benchmark --train`).
    """

    config_class: ClassVar[type]
    jit: ClassVar[bool] = False

    def __init__(self, config, **kwargs):
        super().__init__(**kwargs)
        self.config = config

    def get_config(self) -> dict:
        """What Keras keeps of a model beside its weights: the sizes."""
        return {"sizes": dataclasses.asdict(self.config)}

    @classmethod
    def from_config(cls, config: dict) -> "Learner":
        return cls(cls.config_class(**frozen(config["sizes"])))

    def batches(self, prepared, seed: int, epoch: int, **how) -> tf.data.Dataset:
        """One epoch of a prepared split as this model reads it, with the options of `datasets.pipeline.crops`."""
        return pipeline.crops(prepared, self.config.crop_seconds, self.config.batch_size, seed, epoch, **how)

    def n_batches(self, prepared, seed: int, epoch: int) -> int:
        """Of one epoch of `batches`."""
        return pipeline.n_batches(prepared, self.config.crop_seconds, self.config.batch_size, seed, epoch)

    @abc.abstractmethod
    def count(self, batches: Iterable[dict], seed: int, progress: Callable = iter) -> str:
        """Sets what is counted, before any gradient, and says in a line what was found.

        Args:
            batches: one epoch of `batches`.
            seed: of what is drawn.
            progress: wraps the iteration, such as tqdm.
        """

    def view(self, batch: dict) -> dict:
        """A batch as this model sees it."""
        return batch

    def pictures(self, batch: dict) -> dict[str, tf.Tensor]:
        """What there is to look at of a held-out batch: by name, [height, width, 1 or 3], float in [0, 1] or uint8."""
        return {}

    def diagnostics(self, batch: dict) -> dict[str, float]:
        """Figures of a held-out batch that say how a model works and are no part of the objective, by name."""
        return {}

    @classmethod
    def brief(cls, figures: dict[str, float]) -> str:
        """The figures of a step, where they are not those that `zoo.held_out.brief` tells."""
        return ""

    @classmethod
    def describe(cls, figures: dict[str, float]) -> str:
        """One line of held-out figures, where they are not those that `zoo.held_out.describe` tells."""
        return ""

    @abc.abstractmethod
    def sums(self, batch: dict, seed: tf.Tensor, training: bool = False) -> dict[str, tuple[tf.Tensor, tf.Tensor]]:
        """Terms of the objective, as of `zoo.objective.sums`."""

    @abc.abstractmethod
    def parts(self) -> list[tuple[list, float]]:
        """What is trained, each part with its learning rate."""


class Speaker(Learner):
    """What speaks frame by frame: a dialogue model, or a channel of its own (`zoo.unconditional`).

    Attributes:
        config: dataclass of sizes.
        sound: `zoo.sound.SoundTier`.
    """

    @abc.abstractmethod
    def decide(self, state, seed) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, dict]:
        """All of `speak` but the sound: gate [batch], code [batch], condition [batch, n], state."""

    @abc.abstractmethod
    def listen(self, partner_frame, state) -> dict:
        """Takes in the partner's frame [batch, hop] of the moment that `speak` has just filled."""

    def speak(self, state, seed, temperature=1.0, prepared=None) -> tuple[tf.Tensor, tf.Tensor, dict]:
        """The own frame [batch, hop] and gate [batch] of this moment, from the past alone, and the state.

        `prepared` is that of the sound (`zoo.sound.SoundTier`), for who speaks many frames with the same weights.
        """
        gate, code, condition, state = self.decide(state, seed)
        frame, sound = self.sound.generate(
            state["own_past"], gate, condition, state["sound"], self.uniforms(state, seed), temperature, prepared
        )
        return frame, gate, {**state, "own_past": frame, "sound": sound}

    def uniforms(self, state, seed) -> tf.Tensor:
        """The random numbers in [0, 1) of this frame's samples, [batch, hop]."""
        return tf.random.stateless_uniform([tf.shape(state["gate"])[0], self.config.hop], _seed(seed, state["time"], 1))


class DialogueModel(Speaker):
    """What all models of dialogue share: hearing, the gate, the acoustic code and the bookkeeping of time.

    A subclass makes three layers in its constructor and calls `build()`:
        dialogue: `zoo.dialogue_tier.DialogueTier` around the model's own encoder, or `CountedTier`.
        acoustic: predicts the next acoustic code, such as `zoo.acoustic.AcousticTier`.
        sound: `zoo.sound.SoundTier`, at the sample rate.
    And it has a static method `sound_tier(config, condition_channels)` that makes the last.
    """

    mode = "dialogue"

    def initial_state(self, batch, role=1, voice=0) -> dict:
        """State before the first frame; `role` (0 giver, 1 follower), `voice` (modulo the table): int [] or [batch]."""
        config = self.config
        batch = tf.convert_to_tensor(batch)

        def full(value):
            return tf.broadcast_to(tf.cast(value, tf.int32), [batch])

        state = {
            "time": tf.zeros([], tf.int32),
            "role": full(role),
            "voice": full(voice) % config.voices,
            "own_past": tf.zeros([batch, config.hop]),
            "partner_past": tf.zeros([batch, config.hop]),
            "gate": tf.zeros([batch]),
            "own_age": full(1),
            "quiet": full(hearing.LONG_AGO_FRAMES),
            "spurt": full(hearing.LONG_AGO_FRAMES),
            "mel": tf.tile(self.dialogue.mel_mean[None], [batch, 1]),
            "prosody": tf.zeros([batch, prosody.N_FEATURES]),
            "intonation": prosody.initial_state(batch),
            "code": full(self.acoustic.codes),
            "dialogue": self.dialogue.initial_state(batch),
            "acoustic": self.acoustic.initial_state(batch),
            "sound": self.sound.initial_state(batch),
        }
        return state

    def call(self, own_audio, gate, partner_audio):
        """Teacher-forced predictions from the start of a dialogue (see `observe`)."""
        return self.observe(own_audio, gate, partner_audio, self.initial_state(tf.shape(gate)[0]))[0]

    def seeded(self, state, seed) -> dict:
        """The state with the seed of what layers draw while they run; here none does."""
        return state

    def observe(self, own_audio, gate, partner_audio, state, lapses=None) -> tuple[dict, dict]:
        """Takes in frames of both channels, teacher-forced.

        Args:
            own_audio, partner_audio: float32 [batch, frames * hop].
            gate: float32 [batch, frames], 1 where the own speaker speaks.
            lapses: None, or uniform [batch, frames, 2] of `zoo.acoustic.lapsed`: of scheduled sampling, in training.

        Returns:
            Predictions: "toggle" logits [batch, frames], "context", "condition", "code" [batch, frames] (true),
            "code_logits" [batch, frames, codes]; and the state after the last frame.
        """
        past = {key: state[key] for key in _HEARD}
        now, intonation = self._frames(own_audio, gate, partner_audio, state)
        before = {key: tf.concat([past[key][:, None], now[key][:, :-1]], axis=1) for key in now}
        context, toggle, dialogue = self.dialogue(before, state["role"], state["dialogue"])
        told = [gate, now["own_age"], context, state["voice"], state["acoustic"]]
        code_before = before["code"]
        if lapses is not None:
            code_before = lapsed(self.acoustic, code_before, *told, self.config.scheduled_sampling, lapses)
        code_logits, acoustic = self.acoustic(code_before, *told)
        condition = self.acoustic.condition(now["code"], before["code"], now["own_age"], context, state["voice"])
        hop = self.config.hop
        shifted = tf.concat([state["own_past"], own_audio], axis=1)
        after = {
            **state,
            **{key: now[key][:, -1] for key in now},
            "intonation": intonation,
            "time": state["time"] + tf.shape(gate)[1],
            "own_past": shifted[:, -hop:],
            "partner_past": partner_audio[:, -hop:],
            "dialogue": dialogue,
            "acoustic": acoustic,
            "sound": self.sound.prime(shifted, gate, condition, state["sound"]),
        }
        predictions = {
            "toggle": toggle,
            "context": context,
            "condition": condition,
            "code": now["code"],
            "code_logits": code_logits,
            "gate_before": before["gate"],
        }
        return predictions, after

    def decide(self, state, seed) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, dict]:
        # The gate is sampled at the rate that was learned, with no temperature: any other distorts the timing.
        state = self.seeded(state, seed)
        batch = tf.shape(state["gate"])[0]
        uniform = tf.random.stateless_uniform([batch, 2], _seed(seed, state["time"], 0))
        before = {key: state[key][:, None] for key in _HEARD}
        context, toggle, dialogue = self.dialogue(before, state["role"], state["dialogue"])
        toggled = uniform[:, 0] < tf.sigmoid(toggle[:, 0])
        gate = tf.where(toggled, 1.0 - state["gate"], state["gate"])
        age = tf.where(toggled, 1, state["own_age"] + 1)
        logits, acoustic = self.acoustic(
            before["code"], gate[:, None], age[:, None], context, state["voice"], state["acoustic"]
        )
        code = tf.where(gate > 0, sample_categorical(logits[:, 0], uniform[:, 1]), self.acoustic.codes)
        condition = self.acoustic.condition(code[:, None], before["code"], age[:, None], context, state["voice"])
        state = {**state, "gate": gate, "own_age": age, "code": code, "dialogue": dialogue, "acoustic": acoustic}
        return gate, code, condition[:, 0], state

    def listen(self, partner_frame, state) -> dict:
        heard, intonation = self.hear(partner_frame, state)
        return {
            **state,
            **{key: heard[key][:, -1] for key in heard},
            "intonation": intonation,
            "partner_past": partner_frame,
            "time": state["time"] + 1,
        }

    def step(self, partner_frame, state, seed, temperature=1.0, prepared=None):
        """One 20 ms frame of dialogue: [batch, hop] in, ([batch, hop], gate [batch], state) out."""
        hearing.check_frame(partner_frame, state["gate"].shape[0], self.config.sample_rate)
        partner_frame = hearing.finite(partner_frame, "the partner's frame")
        frame, gate, state = self.speak(state, seed, temperature, prepared)
        return frame, gate, self.listen(partner_frame, state)

    def generate(self, partner, n_frames, state, seed, temperature=1.0):
        """A loop over `step`: partner [batch, n_frames * hop] -> audio of that shape, gate [batch, n_frames], state."""
        hop = self.config.hop
        batch = state["gate"].shape[0] or tf.shape(partner)[0]
        # At once, not in the middle of an hour.
        partner = tf.reshape(hearing.finite(partner, "the partner"), [batch, n_frames, hop])
        prepared = self.sound.prepared()

        def body(t, frames, gates, state):
            frame, gate, state = self.step(partner[:, t], state, seed, temperature, prepared)
            return t + 1, frames.write(t, frame), gates.write(t, gate), state

        frames = tf.TensorArray(tf.float32, n_frames)
        gates = tf.TensorArray(tf.float32, n_frames)
        _, frames, gates, state = tf.while_loop(
            lambda t, *_: t < n_frames, body, [tf.constant(0), frames, gates, state], parallel_iterations=1
        )
        audio = tf.reshape(tf.transpose(frames.stack(), [1, 0, 2]), [batch, n_frames * hop])
        return audio, tf.transpose(gates.stack()), state

    def count(self, batches, seed, progress=iter):
        found = statistics.fit(self, batches, seed, progress)
        said = f"speech above {found['speech_db']:.1f} dB, room tone at {found['room_db']:.1f} dB"
        if self.dialogue.cue is None:
            return said
        saved = turn_statistics.fit(self, batches, seed, progress)
        return f"{said}; prosody saves {saved:.3f} bits of who ends a silence"

    def sums(self, batch, seed, training=False):
        return objective.sums(self, batch, seed, training)

    def parts(self):
        sound = [*self.acoustic.trainable_variables, *self.sound.trainable_variables]
        timing = self.dialogue.trainable_variables
        # One that is counted has no rates.
        return [(timing, self.config.timing_learning_rate), (sound, self.config.learning_rate)] if sound else []

    def hear(self, partner_audio, state) -> tuple[dict, dict]:
        """What is heard of frames of the partner [batch, frames * hop]: by name [batch, frames, ...]; and a state."""
        rate = self.config.sample_rate
        level_db = hearing.level_db(partner_audio, rate)
        speech = level_db > self.dialogue.speech_db
        quiet, spurt = hearing.partner_ages(speech, state["quiet"], state["spurt"])
        mel = features.log_mel(partner_audio, state["partner_past"], rate, self.config.mel_bands)
        said_how, intonation = prosody.follow(
            partner_audio, state["partner_past"], level_db, speech, rate, state["intonation"]
        )
        return {"quiet": quiet, "spurt": spurt, "mel": mel, "prosody": said_how}, intonation

    def _frames(self, own_audio, gate, partner_audio, state):
        own_mel = features.log_mel(own_audio, state["own_past"], self.config.sample_rate, self.config.mel_bands)
        heard, intonation = self.hear(partner_audio, state)
        now = {
            **heard,
            "gate": gate,
            "own_age": hearing.own_ages(gate, state["gate"], state["own_age"]),
            "code": tf.where(gate > 0, self.acoustic.encode(own_mel), self.acoustic.codes),
        }
        return now, intonation


def frozen(sizes: dict) -> dict:
    """Sizes as JSON gives them back, with tuples for lists."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in sizes.items()}


def _seed(seed, time, stream: int) -> tf.Tensor:
    return tf.stack([tf.cast(seed, tf.int32), 4 * time + stream])
