"""WaveNet's sound tier: levels of samples from those before and the conditioning of the frame.

In frames where the gate is shut every layer reads zeros.
"""

import keras
import tensorflow as tf

from zoo.layers import Dense, GatedStack, NormalisedDense, split_positions
from zoo.sound import SoundTier


class DilatedSound(SoundTier):
    """Dilated gated stack with kernel size 2 (van den Oord et al. 2016, sections 2.1 to 2.5).

    Args:
        hop, coding, condition_channels: as of `SoundTier`.
        positions: int. Parts of a frame whose conditions lie one after the other in that of the frame.
        channels, skip_channels, head_channels: int. Widths.
        dilations: ints. In samples, one a layer.
    """

    rows_apart = True

    def __init__(
        self, hop, coding, condition_channels, channels, skip_channels, head_channels, dilations, positions=1, **kwargs
    ):
        super().__init__(hop, coding, condition_channels, **kwargs)
        self.positions = positions
        self.stack = GatedStack(channels, skip_channels, 2, dilations, name="stack")
        # An embedding of a level is the paper's one-hot input and first convolution in one; two taps.
        self.now = coding.embedding(channels, "now")
        self.before = coding.embedding(channels, "before")
        self.per_layer = NormalisedDense(2 * channels * len(dilations), weight_norm=False, name="per_layer")
        self.hidden = Dense(head_channels, activation="relu", name="hidden")
        self.logits = keras.layers.Dense(coding.parameters, kernel_initializer=coding.initializer, name="logits")

    def build(self, input_shape=None):
        super().build()
        channels = self.stack.channels
        self.stack.build((None, None, channels))
        self.per_layer.build((None, None, self.condition_channels // self.positions))
        self.hidden.build((None, None, self.stack.width))
        self.logits.build((None, None, self.hidden.units))

    @property
    def receptive_samples(self) -> int:
        return self.stack.receptive_steps + 1

    @property
    def lead_frames(self) -> int:
        """Whole frames that hold a receptive field."""
        return -(-self.receptive_samples // self.hop)

    def initial_state(self, batch):
        return self.stack.initial_state(batch)

    def predict(self, audio, gate, condition, state):
        levels = self.coding.encode(audio)
        x = self.now(levels[:, self.hop - 1 : -1]) + self.before(levels[:, self.hop - 2 : -2])
        skips, state = self.stack(x, state, self._layer_conditions(condition), running=gate)
        return self._head(skips), state

    def prime(self, audio, gate, condition, state):
        # The last receptive field is all that counts.
        frames = tf.minimum(tf.shape(gate)[1], self.lead_frames)
        tail = audio[:, -(frames + 1) * self.hop :]
        return self.predict(tail, gate[:, -frames:], condition[:, -frames:], state)[1]

    def fused(self, bits: int = 32):
        from zoo.wavenet.kernel import FusedDilatedSound

        return FusedDilatedSound(self, bits)

    def runs(self, sample_rate):
        a_sample = [(layer, sample_rate) for layer in (self.stack, self.hidden, self.logits)]
        return [(self.per_layer, self.positions * sample_rate / self.hop), *a_sample]

    def frame_conditions(self, condition):
        """What conditions each layer at each position, [batch, positions, layers, 2 * channels]."""
        layers = len(self.stack.stack)
        parts = split_positions(condition[:, None], self.positions)
        return tf.reshape(self.per_layer(parts), [-1, self.positions, layers, self.per_layer.units // layers])

    def silent(self, state):
        """Histories after a frame in which no layer read anything but zeros."""
        return [tf.pad(h, [[0, 0], [0, self.hop], [0, 0]])[:, self.hop :] for h in state]

    @tf.function(jit_compile=True, autograph=False)
    def sample_frame(self, past, gate, condition, state, uniforms, temperature):
        layers = self.stack.stack
        conditions = self._layer_conditions(condition[:, None])
        buffers = [self._buffer(history) for history in state]
        levels = self.coding.encode(past[:, -2:])
        open_rows = gate[:, None]

        def body(i, now, before, samples, buffers):
            x = self.now(now) + self.before(before)
            skips, written, position = 0.0, [], i * self.positions // self.hop
            for layer, buffer, pre in zip(layers, buffers, conditions, strict=True):
                x = x * open_rows
                buffer = buffer.write(layer.history_steps + i, x)
                taps = tf.concat([buffer.read(i), x], axis=-1)
                pre = tf.gather(pre, position, axis=1) + tf.matmul(taps, layer.conv.kernel) + layer.conv.bias
                n = layer.channels
                y = layer.out(tf.tanh(pre[:, :n]) * tf.sigmoid(pre[:, n:]))
                x, skips = x + y[:, :n], skips + y[:, n:]
                written.append(buffer)
            level = self.coding.sample(self._head(skips), uniforms[:, i], temperature)
            return i + 1, level, now, samples.write(i, level), written

        samples = tf.TensorArray(self.coding.dtype, self.hop, element_shape=past[:, 0].shape)
        _, _, _, samples, buffers = tf.while_loop(
            lambda i, *_: i < self.hop, body, [tf.constant(0), levels[:, 1], levels[:, 0], samples, buffers]
        )
        after = [tf.transpose(buffer.stack()[self.hop :], [1, 0, 2]) for buffer in buffers]
        after = [tf.ensure_shape(new, old.shape) for new, old in zip(after, state, strict=True)]
        return self.coding.decode(tf.transpose(samples.stack())), after

    def _buffer(self, history):
        """The past of a layer with room for a frame, indexed by time."""
        rows = tf.transpose(tf.pad(history, [[0, 0], [0, self.hop], [0, 0]]), [1, 0, 2])
        return tf.TensorArray(tf.float32, rows.shape[0], clear_after_read=False).unstack(rows)

    def _layer_conditions(self, condition):
        parts = split_positions(condition, self.positions)
        return tf.split(self.per_layer(parts), len(self.stack.stack), axis=-1)

    def _head(self, skips):
        return self.logits(self.hidden(tf.nn.relu(skips)))
