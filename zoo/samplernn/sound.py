"""SampleRNN's sound tier: recurrent tiers at ever finer frames of samples, and a perceptron a sample.

Mehri et al. 2017, section 2. A tier reads the samples of the frame before and what the tier above it says, and has for
each frame of the tier below an upsampling matrix of its own. The perceptron reads the last samples as embeddings. What
stands above the topmost tier is the conditioning of a 20 ms frame, handed down by matrices of its own as well.
"""

import math

import keras
import tensorflow as tf

from zoo import words
from zoo.layers import LEVELS, NormalisedDense, mixed_bfloat16, split_positions
from zoo.recurrent import RecurrentStack
from zoo.sound import SoundTier


class FrameTier(keras.layers.Layer):
    """A recurrent tier over frames of samples.

    Args:
        frame_samples: int.
        positions: int. Frames (or samples) of the tier below in one frame.
        channels_below: int. Width of what one of those is given.
        channels, layers, cell, weight_norm: of the recurrent stack.
        truncate: int. Steps that a gradient passes back at most.
    """

    def __init__(
        self, frame_samples, positions, channels_below, channels, layers, cell, weight_norm, truncate, **kwargs
    ):
        super().__init__(**kwargs)
        self.frame_samples, self.positions = frame_samples, positions
        self.entry = NormalisedDense(channels, weight_norm, initializer="he_normal", name="entry")
        self.recurrent = RecurrentStack(channels, layers, cell, weight_norm, truncate, name="recurrent")
        self.up = NormalisedDense(positions * channels_below, weight_norm, name="up")

    def build(self, input_shape=None):
        self.entry.build((None, None, self.frame_samples))
        self.recurrent.build((None, None, self.recurrent.width))
        self.up.build((None, None, self.recurrent.width))

    def call(self, frames, above, state, running):
        """frames [batch, n, frame_samples], above [batch, n, channels], running [batch, n] -> below, state."""
        hidden, state = self.recurrent(self.entry(2.0 * frames) + above, state, running)
        return split_positions(self.up(hidden), self.positions), state

    def prepared(self, bits: int = 32) -> dict:
        """The present weights, as `advance` reads them: nothing stands between the entry and the first product.

        The last product may be folded into another before it is rounded to `bits`: that is left to the caller.
        """
        first = self.recurrent.stack[0].given
        kernel = first.kernel
        return {
            "entry": 2.0 * tf.matmul(self.entry.kernel, kernel),
            "above": (kernel, tf.linalg.matvec(kernel, self.entry.bias, transpose_a=True) + first.bias),
            "recurrent": self.recurrent.prepared(bits),
            "up": (self.up.kernel, self.up.bias),
        }

    def given(self, prepared: dict, above):
        """The part of the first product that is known for many steps: above [batch, n, channels] -> [batch, n, k n]."""
        kernel, bias = prepared["above"]
        product = tf.matmul(tf.reshape(above, [-1, kernel.shape[0]]), kernel) + bias
        return tf.reshape(product, [-1, above.shape[1], kernel.shape[1]])

    def advance(self, prepared: dict, frame, given, state):
        """A step: frame [batch, samples], given [batch, k n] -> below [batch, positions, channels_below], state."""
        hidden, state = self.recurrent.advance(
            prepared["recurrent"], tf.matmul(frame, prepared["entry"]) + given, state
        )
        kernel, bias = prepared["up"]
        return tf.reshape(
            words.product(hidden, kernel) + bias, [-1, self.positions, bias.shape[0] // self.positions]
        ), state


class SampleTiers(SoundTier):
    """Frame tiers and the perceptron of samples.

    Args:
        hop, coding, condition_channels: as of `SoundTier`.
        frame_samples: ints. Of the tiers from the top down, each a multiple of the next, the first a part of the hop.
            The perceptron sees as many samples as the last.
        channels, layers, cell: of each tier.
        weight_norm: bool. Of all linear layers (section 2.3.1).
        embedding_channels: int. Of a level.
        sample_channels, sample_layers: int. Of the perceptron; `sample_layers` rectified ones follow a linear one.
        truncate_samples: int. How far back a gradient passes (section 2.2), rounded down to a tier's frames.
        lead_frames: int. Frames of a training window that only bring the state about.
    """

    receptive_samples = math.inf
    graph_bits = (32, 16)

    def __init__(
        self, hop, coding, condition_channels, frame_samples, channels, layers, cell, weight_norm,
        embedding_channels, sample_channels, sample_layers, truncate_samples, lead_frames, **kwargs,
    ):  # fmt: skip
        super().__init__(hop, coding, condition_channels, **kwargs)
        self.lead_frames = lead_frames
        below = (*frame_samples[1:], 1)
        widths = (*[channels] * len(below[:-1]), sample_channels)
        self.down = NormalisedDense(hop // frame_samples[0] * channels, weight_norm, name="down")
        self.cell = cell
        self.tiers = [
            FrameTier(size, size // part, width, channels, layers, cell, weight_norm, truncate_samples // size)
            for size, part, width in zip(frame_samples, below, widths, strict=True)
        ]
        self.embedding_channels = embedding_channels
        self.embedding = coding.embedding(embedding_channels, "embedding")
        self.recent = NormalisedDense(
            sample_channels, weight_norm, use_bias=False, initializer="he_normal", name="recent"
        )
        self.hidden = [
            NormalisedDense(sample_channels, weight_norm, initializer="he_normal", name=f"hidden{i}")
            for i in range(sample_layers)
        ]
        self.logits = NormalisedDense(coding.parameters, weight_norm, initializer=coding.initializer, name="logits")

    def build(self, input_shape=None):
        super().build()
        self.down.build((None, None, self.condition_channels))
        for tier in self.tiers:
            tier.build()
        self.recent.build((None, None, self.taps * self.embedding_channels))
        for layer in (*self.hidden, self.logits):
            layer.build((None, None, self.recent.units))

    @property
    def taps(self) -> int:
        """Samples that the perceptron sees."""
        return self.tiers[-1].frame_samples

    def initial_state(self, batch):
        return [tier.recurrent.initial_state(batch) for tier in self.tiers]

    def predict(self, audio, gate, condition, state):
        below, state, levels = self._run_tiers(audio, gate, condition, state)
        embedded = self.embedding(levels[:, self.hop - self.taps : -1])
        steps = tf.shape(below)[1]
        seen = tf.concat([embedded[:, k : k + steps] for k in range(self.taps)], axis=-1)
        x = self.recent(seen) + below
        for layer in self.hidden:
            x = tf.nn.relu(layer(x))
        with mixed_bfloat16(False):  # The last layer.
            return self.logits(x), state

    def prime(self, audio, gate, condition, state):
        return self._run_tiers(audio, gate, condition, state)[1]

    def runs(self, sample_rate):
        frames = [(tier, sample_rate / tier.frame_samples) for tier in self.tiers]
        a_sample = [(layer, sample_rate) for layer in (self.recent, *self.hidden, self.logits)]
        return [(self.down, sample_rate / self.hop), *frames, *a_sample]

    def frame_conditions(self, condition):
        """What the topmost tier is given, [batch, frames of it, channels]."""
        top = self.tiers[0]
        return tf.reshape(self.down(condition), [-1, self.hop // top.frame_samples, top.recurrent.width])

    def fused(self, bits: int = 32):
        from zoo.samplernn.kernel import FusedSampleTiers

        return FusedSampleTiers(self, bits)

    def _run_tiers(self, audio, gate, condition, state):
        """What the perceptron is given [batch, frames * hop, sample_channels], the state, and the levels of `audio`."""
        levels = self.coding.encode(audio)
        sound, after = self.coding.decode(levels), []
        below = split_positions(self.down(condition), self.hop // self.tiers[0].frame_samples)
        for tier, before in zip(self.tiers, state, strict=True):
            size = tier.frame_samples
            frames = tf.reshape(sound[:, self.hop - size : -size], [tf.shape(sound)[0], -1, size])
            running = tf.repeat(gate, self.hop // size, axis=1)
            below, now = tier(frames, below, before, running)
            after.append(now)
        return below, after, levels

    def prepared(self, bits: int = 32):
        return self._prepared(folded=True, bits=bits)

    @tf.function(jit_compile=True, autograph=False)
    def sample_frame(self, past, gate, condition, state, uniforms, temperature, prepared=None):
        prepared = self._prepared(folded=False) if prepared is None else prepared

        def descend(depth, given, carried):
            """Fills what one position of the tier above stands for; `carried` is (i, recent tokens, state, samples)."""
            if depth == len(self.tiers):
                return self._draw(prepared, given, uniforms, temperature, carried)
            i, recent, state, samples = carried
            sound = self.coding.decode(recent[:, -self.tiers[depth].frame_samples :])
            below, now = self.tiers[depth].advance(prepared["tiers"][depth], sound, given, state[depth])
            state = [*state[:depth], now, *state[depth + 1 :]]
            return loop(depth + 1, below, (i, recent, state, samples))

        def loop(depth, above, carried):
            n, is_tier = above.shape[1], depth < len(self.tiers)
            given = self.tiers[depth].given(prepared["tiers"][depth], above) if is_tier else above
            _, carried = tf.while_loop(
                lambda k, _: k < n,
                lambda k, carried: (k + 1, descend(depth, tf.gather(given, k, axis=1), carried)),
                (tf.constant(0), carried),
            )
            return carried

        samples = tf.TensorArray(self.coding.dtype, self.hop, element_shape=past[:, 0].shape)
        recent = self.coding.encode(past[:, -self.tiers[0].frame_samples :])
        begin = tf.constant(0), recent, state, samples
        _, _, after, samples = loop(0, self.frame_conditions(condition), begin)
        after = tf.nest.map_structure(
            lambda new, start: tf.where(gate[:, None] > 0, new, start), after, self.initial_state(tf.shape(past)[0])
        )
        return self.coding.decode(tf.transpose(samples.stack())), after

    def _prepared(self, folded: bool, bits: int = 32) -> dict:
        """As `sample_frame` reads the weights; folded is dear, and worth it for more than one frame.

        Nothing bends between what the perceptron is given and its first layer, which is folded into both.
        """
        tiers = [tier.prepared(bits) for tier in self.tiers]
        recent, layers = self.recent.kernel, [(layer.kernel, layer.bias) for layer in (*self.hidden, self.logits)]
        if folded and self.hidden:
            (kernel, bias), *layers = layers
            recent = tf.matmul(recent, kernel)
            up, up_bias = (tf.matmul(tf.reshape(part, [-1, kernel.shape[0]]), kernel) for part in tiers[-1]["up"])
            width = self.tiers[-1].positions * kernel.shape[1]
            tiers[-1]["up"] = tf.reshape(up, [-1, width]), tf.reshape(up_bias + bias, [width])
        for tier in tiers:
            tier["up"] = words.of_bits(tier["up"][0], bits), tier["up"][1]
        layers = [(words.of_bits(kernel, bits), bias) for kernel, bias in layers]
        # Of all levels; of a number, what it makes is a line.
        tokens = tf.range(LEVELS) if self.coding.dtype.is_integer else tf.constant([0.0, 1.0])
        taps = tf.reshape(recent, [self.taps, self.embedding_channels, recent.shape[1]])
        return {"tiers": tiers, "table": tf.matmul(self.embedding(tokens)[None], taps), "layers": layers}

    def _draw(self, prepared, given, uniforms, temperature, carried):
        """The perceptron and a draw; given [batch, channels of the first layer that is not folded away]."""
        i, recent, state, samples = carried
        x, layers = given + self._look_up(prepared["table"], recent), prepared["layers"]
        folded = len(self.hidden) + 1 - len(layers)
        for depth, (kernel, bias) in enumerate(layers, start=folded):
            x = words.product(tf.nn.relu(x) if depth else x, kernel) + bias
        token = self.coding.sample(x, tf.gather(uniforms, i, axis=1), temperature)
        return i + 1, tf.concat([recent[:, 1:], token[:, None]], axis=1), state, samples.write(i, token)

    def _look_up(self, table, recent):
        """What the perceptron makes of the last tokens: table [taps, tokens, channels], recent [batch, n]."""
        taps = zip(tf.unstack(table), tf.unstack(recent[:, -self.taps :], axis=1), strict=True)
        if self.coding.dtype.is_integer:
            return tf.add_n([tf.gather(tap, token) for tap, token in taps])
        return tf.add_n([tap[0] + token[:, None] * (tap[1] - tap[0]) for tap, token in taps])
