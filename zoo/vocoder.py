"""Mel spectra to sound: a WaveNet as Tacotron 2 has it (Shen et al. 2018, section 2.3). In a run: `--mode=vocoder`.

The sound tier of a model, conditioned on the true log-mels of the channel that it is to say, which two upsampling
layers bring from 100 to 400 Hz. The paper's windows are 50 ms every 12.5 ms; these are 40 ms every 10 ms, which part
a frame, and end with what they condition, so that nothing is looked ahead to. Trained and scored where there is
speech; it says silence as well.
"""

from typing import ClassVar

import keras
import tensorflow as tf

from datasets import features
from datasets.dialogue import FRAMES_PER_SECOND
from zoo import hearing, objective
from zoo.agent import Speaker, frozen
from zoo.layers import CausalConv, split_positions

MELS_A_FRAME = 2
STRIDES = (2, 2)
POSITIONS = MELS_A_FRAME * STRIDES[0] * STRIDES[1]
_COUNTED_BATCHES = 64


class MelConditioner(keras.layers.Layer):
    """Log-mels of sound, standardised and upsampled.

    Args:
        sample_rate: Hz.
        mel_bands: int.
        channels: int. Width of what conditions a position.
    """

    def __init__(self, sample_rate: int, mel_bands: int, channels: int, **kwargs):
        super().__init__(**kwargs)
        self.sample_rate, self.mel_bands, self.channels = sample_rate, mel_bands, channels
        # A transposed convolution over two steps, by one product: each step has `stride` outputs of its own.
        self.up = [CausalConv(stride * channels, 2, 1, name=f"up{i}") for i, stride in enumerate(STRIDES)]

    def build(self, input_shape=None):
        for layer, inputs in zip(self.up, (self.mel_bands, self.channels), strict=True):
            layer.build((None, None, inputs))
        fixed = {"shape": (self.mel_bands,), "trainable": False}
        self.mel_mean = self.add_weight(initializer="zeros", name="mel_mean", **fixed)
        self.mel_scale = self.add_weight(initializer="ones", name="mel_scale", **fixed)

    def initial_state(self, batch) -> list[tf.Tensor]:
        return [tf.zeros([batch, 1, inputs]) for inputs in (self.mel_bands, self.channels)]

    def mels(self, audio) -> tf.Tensor:
        """[batch, frames * MELS_A_FRAME, mel_bands], of audio [batch, (2 + frames) * hop] with two frames of past."""
        hop = self.sample_rate // FRAMES_PER_SECOND
        parts = []
        for i in range(MELS_A_FRAME):
            late = (i + 1) * hop // MELS_A_FRAME
            part = audio[:, late : tf.shape(audio)[1] - hop + late]
            parts.append(features.log_mel(part[:, hop:], part[:, :hop], self.sample_rate, self.mel_bands))
        mels = tf.stack(parts, axis=2)
        return tf.reshape(mels, [tf.shape(mels)[0], -1, self.mel_bands])

    def call(self, audio, state):
        """audio as of `mels` -> [batch, frames, POSITIONS * channels], state."""
        x, after = (self.mels(audio) - self.mel_mean) / self.mel_scale, []
        for layer, stride, history in zip(self.up, STRIDES, state, strict=True):
            y, history = layer(x, history)
            x = tf.tanh(split_positions(y, stride))
            after.append(history)
        return tf.reshape(x, [tf.shape(x)[0], -1, POSITIONS * self.channels]), after


@keras.saving.register_keras_serializable("babblezoo")
class VocoderModel(Speaker):
    """A sound tier that says what it hears: `listen` takes in the frame that the next `speak` says again.

    Args:
        model_class: of the dialogue model whose sound tier it is.
        config: of that model; `mel_bands` and `condition_channels` are of the conditioning.
    """

    mode = "vocoder"
    jit: ClassVar[bool] = True

    def __init__(self, model_class, config, **kwargs):
        super().__init__(config, **kwargs)
        self._model_class = model_class
        self.conditioner = MelConditioner(
            config.sample_rate, config.mel_bands, config.condition_channels, name="conditioner"
        )
        self.sound = model_class.sound_tier(config, POSITIONS * config.condition_channels, POSITIONS)
        self.conditioner.build()
        self.sound.build()
        self.built = True

    def get_config(self) -> dict:
        return {**super().get_config(), "model_class": keras.saving.get_registered_name(self._model_class)}

    @classmethod
    def from_config(cls, config: dict) -> "VocoderModel":
        model_class = keras.saving.get_registered_object(config["model_class"])
        return cls(model_class, model_class.config_class(**frozen(config["sizes"])))

    def initial_state(self, batch) -> dict:
        batch, hop = tf.convert_to_tensor(batch), self.config.hop
        return {
            "time": tf.zeros([], tf.int32),
            "gate": tf.ones([batch]),
            "own_past": tf.zeros([batch, hop]),
            "heard": tf.zeros([batch, 2 * hop]),
            "conditioner": self.conditioner.initial_state(batch),
            "condition": tf.zeros([batch, self.sound.condition_channels]),
            "sound": self.sound.initial_state(batch),
        }

    def decide(self, state, seed):
        return state["gate"], tf.zeros(tf.shape(state["gate"]), tf.int32), state["condition"], state

    def listen(self, partner_frame, state) -> dict:
        heard = tf.concat([state["heard"], partner_frame], axis=1)
        condition, conditioner = self.conditioner(heard, state["conditioner"])
        heard = tf.ensure_shape(heard[:, self.config.hop :], state["heard"].shape)
        told = {"heard": heard, "conditioner": conditioner, "condition": condition[:, 0]}
        return {**state, **told, "time": state["time"] + 1}

    def generate(self, target, seed, temperature=1.0):
        """Says it again: float32 [batch, frames * hop] -> the same shape."""
        hop = self.config.hop
        n_frames = tf.shape(target)[1] // hop
        target = hearing.finite(target, "the recording")
        frames = tf.reshape(tf.pad(target[:, : n_frames * hop], [[0, 0], [0, hop]]), [-1, n_frames + 1, hop])
        prepared = self.sound.prepared()

        def body(t, said, state):
            frame, _, state = self.speak(state, seed, temperature, prepared)
            return t + 1, said.write(t, frame), self.listen(frames[:, t + 1], state)

        state = self.listen(frames[:, 0], self.initial_state(tf.shape(target)[0]))
        begin = [tf.constant(0), tf.TensorArray(tf.float32, n_frames), state]
        _, said, _ = tf.while_loop(lambda t, *_: t < n_frames, body, begin, parallel_iterations=1)
        return tf.reshape(tf.transpose(said.stack(), [1, 0, 2]), [-1, n_frames * hop])

    def count(self, batches, seed, progress=iter):
        """Mean and spread of the mels, where there is speech."""
        sums = [0.0, 0.0, 0.0]
        for batch in progress(batches.take(_COUNTED_BATCHES)):
            example = objective.by_speaker(batch)
            mel = self.conditioner.mels(self._with_past(example["own_audio"]))
            weight = tf.repeat(example["gate"] * example["mask"], MELS_A_FRAME, axis=1)[..., None]
            values = (weight, weight * mel, weight * tf.square(mel))
            sums = [total + tf.reduce_sum(value, axis=[0, 1]) for total, value in zip(sums, values, strict=True)]
        mean = sums[1] / tf.maximum(sums[0], 1.0)
        self.conditioner.mel_mean.assign(mean)
        variance = tf.maximum(sums[2] / tf.maximum(sums[0], 1.0) - tf.square(mean), 0.0)
        self.conditioner.mel_scale.assign(tf.sqrt(variance) + 1e-3)
        return f"mels of {float(sums[0][0]) / MELS_A_FRAME / FRAMES_PER_SECOND:.0f} s of speech"

    def sums(self, batch, seed, training=False):
        example = objective.by_speaker(batch)
        warm = tf.range(tf.shape(example["gate"])[1]) >= round(self.config.warmup_seconds * FRAMES_PER_SECOND)
        scored = example["mask"] * tf.cast(warm, tf.float32)
        start = self.conditioner.initial_state(tf.shape(scored)[0])
        condition, _ = self.conditioner(self._with_past(example["own_audio"]), start)
        told = (example["own_audio"], example["gate"], condition, scored, seed, example["row"])
        return objective.sound(self, *told, training, running=tf.ones_like(scored))

    def parts(self):
        trained = [*self.conditioner.trainable_variables, *self.sound.trainable_variables]
        return [(trained, self.config.learning_rate)]

    def _with_past(self, audio):
        return tf.pad(audio, [[0, 0], [2 * self.config.hop, 0]])
