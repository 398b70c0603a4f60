"""One channel and nothing else, as in the papers of WaveNet and SampleRNN: p(sample | samples before).

The sound tier of a model without conditioning, trained on windows of either channel, silence among them. It has no
gate, no partner and no voice, so it is scored by its bits per sample alone. In a run: `--mode=unconditional`.
"""

import keras
import tensorflow as tf

from datasets.dialogue import FRAMES_PER_SECOND
from zoo import objective
from zoo.agent import Speaker, frozen


@keras.saving.register_keras_serializable("babblezoo")
class UnconditionalModel(Speaker):
    """A sound tier on its own.

    Args:
        model_class: of the dialogue model whose sound tier it is.
        config: of that model.
    """

    mode = "unconditional"
    jit = True

    def __init__(self, model_class, config, **kwargs):
        super().__init__(config, **kwargs)
        self._model_class = model_class
        self.sound = model_class.sound_tier(config, 0)
        self.sound.build()
        self.built = True

    def get_config(self) -> dict:
        return {**super().get_config(), "model_class": keras.saving.get_registered_name(self._model_class)}

    @classmethod
    def from_config(cls, config: dict) -> "UnconditionalModel":
        model_class = keras.saving.get_registered_object(config["model_class"])
        return cls(model_class, model_class.config_class(**frozen(config["sizes"])))

    def initial_state(self, batch) -> dict:
        batch = tf.convert_to_tensor(batch)
        return {
            "time": tf.zeros([], tf.int32),
            "gate": tf.ones([batch]),
            "own_past": tf.zeros([batch, self.config.hop]),
            "sound": self.sound.initial_state(batch),
        }

    def decide(self, state, seed):
        batch = tf.shape(state["gate"])[0]
        return state["gate"], tf.zeros([batch], tf.int32), tf.zeros([batch, 0]), state

    def listen(self, partner_frame, state) -> dict:
        return {**state, "time": state["time"] + 1}

    def generate(self, channels, n_frames, seed, temperature=1.0):
        """Audio float32 [channels, n_frames * hop]."""
        prepared = self.sound.prepared()

        def body(t, frames, state):
            frame, _, state = self.speak(state, seed, temperature, prepared)
            return t + 1, frames.write(t, frame), self.listen(frame, state)

        frames = tf.TensorArray(tf.float32, n_frames)
        begin = [tf.constant(0), frames, self.initial_state(channels)]
        _, frames, _ = tf.while_loop(lambda t, *_: t < n_frames, body, begin, parallel_iterations=1)
        return tf.reshape(tf.transpose(frames.stack(), [1, 0, 2]), [channels, n_frames * self.config.hop])

    def count(self, batches, seed, progress=iter):
        return "nothing: an unconditional model has no ears"

    def view(self, batch):
        return {**batch, "activity": tf.ones_like(batch["activity"])}

    def sums(self, batch, seed, training=False):
        example = objective.by_speaker(self.view(batch))
        warm = tf.range(tf.shape(example["gate"])[1]) >= round(self.config.warmup_seconds * FRAMES_PER_SECOND)
        scored = example["mask"] * tf.cast(warm, tf.float32)
        condition = tf.zeros([*tf.unstack(tf.shape(scored)), 0])
        told = (example["own_audio"], example["gate"], condition, scored, seed, example["row"])
        return objective.sound(self, *told, training)

    def parts(self):
        return [(self.sound.trainable_variables, self.config.learning_rate)]
