"""A Tacotron's decoder and sound with nobody to listen to: p(code | codes before), and sound from codes.

One channel, silence among it, as `zoo.unconditional` has it. What is left out is the encoder, the attention and the
gate; voice, role and age are not told. It predicts codes and spectra, so it is scored by bits of those.
"""

import keras
import numpy as np
import tensorflow as tf

from datasets import features
from datasets.dialogue import FRAMES_PER_SECOND
from zoo import objective, statistics
from zoo.agent import Speaker, frozen
from zoo.layers import sample_categorical
from zoo.tacotron import noise
from zoo.unconditional import UnconditionalModel

_CODEBOOK_FRAMES = 60_000


@keras.saving.register_keras_serializable("babblezoo")
class UnconditionalTacotron(UnconditionalModel):
    """A decoder and its sound on their own.

    Args:
        model_class, config: of the dialogue model.
        acoustic: `zoo.tacotron.tiers.DecoderTier`.
        sound: `zoo.tacotron.sound.MelSound`.
    """

    jit = True

    def __init__(self, model_class, config, acoustic, sound, **kwargs):
        Speaker.__init__(self, config, **kwargs)
        self._model_class = model_class
        self.acoustic, self.sound = acoustic, sound
        self.acoustic.build(0)
        self.sound.build()
        self.built = True

    @classmethod
    def from_config(cls, config: dict) -> "UnconditionalTacotron":
        model_class = keras.saving.get_registered_object(config["model_class"])
        return model_class.alone(model_class.config_class(**frozen(config["sizes"])))

    def initial_state(self, batch) -> dict:
        batch = tf.convert_to_tensor(batch)
        return {
            **super().initial_state(batch),
            "code": tf.fill([batch], self.acoustic.codes),
            "acoustic": self.acoustic.initial_state(batch),
        }

    def decide(self, state, seed):
        drawn = noise.reseeded(state["acoustic"]["noise"], seed)
        before = state["code"][:, None]
        logits, acoustic = self.predict(before, {**state["acoustic"], "noise": drawn})
        # Stream 2 of the seeds of a frame; its samples have 1.
        uniform = tf.random.stateless_uniform(tf.shape(state["gate"]), [tf.cast(seed, tf.int32), 4 * state["time"] + 2])
        code = sample_categorical(logits[:, 0], uniform)
        condition = self.conditions(code[:, None], before)[:, 0]
        return state["gate"], code, condition, {**state, "code": code, "acoustic": acoustic}

    def fused_tier(self, state: dict):
        """What draws the codes, without TensorFlow, at a state, as of `zoo.fused_tier.tier_of`."""
        from zoo.tacotron.tier_kernel import UnconditionalTacotronTier

        return UnconditionalTacotronTier(self, state)

    def predict(self, code_before, state):
        """Logits [batch, frames, codes] of the codes that follow, and the state."""
        gate, age, context, voice = self._untold(code_before)
        return self.acoustic(code_before, gate, age, context, voice, state)

    def conditions(self, code, code_before):
        """What the sound of frames is conditioned on, [batch, frames, condition_channels]."""
        _, age, context, voice = self._untold(code)
        return self.acoustic.condition(code, code_before, age, context, voice)

    def count(self, batches, seed, progress=iter):
        mels, n = [], 0
        for batch in progress(batches):
            if n < _CODEBOOK_FRAMES:
                example = objective.by_speaker(batch)
                mels.append(self._mel(example["own_audio"]).numpy()[example["mask"].numpy() > 0])
                n += len(mels[-1])
        self.acoustic.codebook.assign(statistics.codebook(np.concatenate(mels), self.acoustic.codes, seed))
        self.sound.set_levels(self.acoustic.codebook.numpy())
        return f"{self.acoustic.codes} acoustic codes, of silence too"

    def sums(self, batch, seed, training=False):
        example = objective.by_speaker(self.view(batch))
        warm = tf.range(tf.shape(example["gate"])[1]) >= round(self.config.warmup_seconds * FRAMES_PER_SECOND)
        scored = example["mask"] * tf.cast(warm, tf.float32)
        code = self.acoustic.encode(self._mel(example["own_audio"]))
        before = tf.pad(code[:, :-1], [[0, 0], [1, 0]], constant_values=self.acoustic.codes)
        state = self.acoustic.initial_state(tf.shape(code)[0])
        state["noise"] = noise.reseeded(state["noise"], objective.drawing(seed, example["row"]))
        logits, _ = self.predict(before, state)
        bits = tf.nn.sparse_softmax_cross_entropy_with_logits(code, logits) / np.log(2.0)
        condition = self.conditions(code, before)
        of_sound = example["own_audio"], example["gate"], condition, scored, seed, example["row"], training
        return {
            "code": (tf.reduce_sum(bits * scored), tf.reduce_sum(scored)),
            **objective.sound(self, *of_sound),
        }

    def parts(self):
        trained = [*self.acoustic.trainable_variables, *self.sound.trainable_variables]
        return [(trained, self.config.learning_rate)]

    def _mel(self, audio):
        past = tf.zeros_like(audio[:, : self.config.hop])
        return features.log_mel(audio, past, self.config.sample_rate, self.config.mel_bands)

    @staticmethod
    def _untold(code):
        """Gate, age, context and voice of codes [batch, frames]: always the same."""
        batch, frames = tf.unstack(tf.shape(code))
        return tf.ones([batch, frames]), tf.ones_like(code), tf.zeros([batch, frames, 0]), tf.zeros([batch], tf.int32)
