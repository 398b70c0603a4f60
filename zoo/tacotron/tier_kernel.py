"""Tacotron's dialogue and acoustic tiers without TensorFlow: what reads the partner, the attention, and the decoder.

`AttendingTier` and `DecoderTier` are the reference; the parity test of `zoo.fused_tier` holds this to them.
"""

import numpy as np

from zoo import hearing
from zoo.compiling import compiled
from zoo.fused import span
from zoo.fused_layers import Linear, Recurrent, product
from zoo.fused_tier import Codes, FusedTier, UnconditionalTier
from zoo.products import array
from zoo.tacotron.cell_kernel import attend, attention_scratch, attention_weights, drawing_of, drop, lstm
from zoo.tacotron.encoder import CBHG, ConvolvedRNN
from zoo.tacotron.tiers import ACOUSTIC_STREAM, DIALOGUE_STREAM

_ZERO, _ONE = np.float32(0.0), np.float32(1.0)


class Noise:
    """Where the layers of both tiers are in what they draw.

    Attributes:
        seed: uint32.
        frame: int.
    """

    def __init__(self, state: dict):
        self.seed, self.frame = np.uint32(0), int(state["acoustic"]["noise"]["frame"])


class FusedTacotronTier(FusedTier):
    """The dialogue and acoustic tiers of a Tacotron.

    Args:
        model: `zoo.tacotron.model.Tacotron`.
        state: of the model.
    """

    compiled_in = "tier_kernel"

    def __init__(self, model, state: dict):
        self._noise = Noise(state)
        super().__init__(model, state)

    def _layers(self, model, state):
        tier = model.dialogue
        self._partner = PARTNERS[type(tier.partner)](tier.partner, state["dialogue"]["partner"])
        self._prenet = Prenet(tier.prenet, self._noise, DIALOGUE_STREAM + 1)
        attention = Attention(tier.encoder, state["dialogue"]["attention"], tier.zoneout, self._noise)
        return attention, DecodedCodes(model.acoustic, state, self._noise)

    def _decide(self, seed):
        self._noise.seed = np.uint32(seed % 2**32)
        found = super()._decide(seed)
        self._noise.frame += 1
        return found

    def _read(self, heard, known):
        n = hearing.N_CELLS
        own, partner, age, quiet, roles = np.split(known, [n, 2 * n, 2 * n + 1, 2 * n + 2], axis=1)
        entry = self._partner(self._project(np.concatenate([heard, partner, quiet], axis=1)))
        return self._encoder(self._prenet(np.concatenate([own, age, roles], axis=1)), entry)


class UnconditionalTacotronTier(UnconditionalTier):
    """What a Tacotron decides that hears nobody: codes.

    Args:
        model: `zoo.tacotron.alone.UnconditionalTacotron`.
        state: of the model.
    """

    compiled_in = "tier_kernel"

    def __init__(self, model, state: dict):
        super().__init__(model, state)
        self._noise = Noise(state)
        self._acoustic = DecodedCodes(model.acoustic, {**state, "voice": np.zeros(self._batch, int)}, self._noise)
        # An age of one frame, and no context.
        age = np.full((self._batch, 1), np.log1p(_ONE) / np.float32(4.0))
        self._untold = age, np.zeros((self._batch, 0), np.float32)
        self.code = np.array(state["code"])

    def _decide(self, seed):
        self._noise.seed, gate = np.uint32(seed % 2**32), np.ones(self._batch, np.float32)
        # Stream 2, as of the graph.
        drawn = self._uniforms(seed, 2, 1)[:, 0]
        self.code, condition = self._acoustic(self.code, gate, *self._untold, drawn)
        self._noise.frame += 1
        return gate > 0, condition


class DecodedCodes(Codes):
    """As `zoo.tacotron.tiers.DecoderTier`."""

    def __init__(self, tier, state: dict, noise: Noise):
        self._noise = noise
        super().__init__(tier, state)

    def _layers(self, tier, state):
        self._prenet = Prenet(tier.prenet, self._noise, ACOUSTIC_STREAM + 1)
        return Stack(tier.encoder, state["acoustic"]["decoder"], tier.zoneout, self._noise)

    def _read(self, before, spectra, told):
        own = self._prenet(np.concatenate([self._previous[before], spectra], axis=1))
        return self._encoder(own + self._voice + self._drive(told))


class Prenet:
    """As `zoo.tacotron.tiers.Prenet`, of a frame: [batch, inputs] -> [batch, width]."""

    def __init__(self, prenet, noise: Noise, stream: int):
        self._layers, self._dropout = [Linear(layer, "relu") for layer in prenet.stack], np.float32(prenet.dropout)
        self._noise, self._stream = noise, stream

    def __call__(self, x: np.ndarray) -> np.ndarray:
        for stream, layer in enumerate(self._layers, self._stream):
            x = layer(x)
            _drop_rows(x, self._dropout, self._noise.seed, stream, self._noise.frame)
        return x


class Attention:
    """As `zoo.tacotron.attention.AttentionRNN`, of a frame.

    The memory slides along an array twice as long, so that it is moved once in as many frames as it holds.
    """

    def __init__(self, layer, state: dict, zoneout: float, noise: Noise):
        recalled, *weights = layer.attention
        lag = weights.pop(3)
        self._given, self._keys, self._recalled = Linear(layer.given), array(layer.keys.kernel), array(recalled)
        weights = attention_weights(weights)
        scratch = np.empty(layer.memory_frames, np.float32), attention_scratch(weights, layer.memory_frames)
        self._weights = array(lag), weights, np.float32(zoneout), *scratch
        steps, self._memory_frames, self._noise = state["steps"], layer.memory_frames, noise
        # Output and context side by side, as they are recalled.
        self._state = np.concatenate([steps["hidden"], steps["context"]], axis=1)
        self._seen = [np.array(steps[name]) for name in ("cell", "alignment", "attended")]
        room = [(0, 0), (0, layer.memory_frames), (0, 0)]
        self._windows = [np.pad(array(state[name]), room) for name in ("memory", "keys")]
        self._known, self._end = int(np.sum(state["exists"][0])), layer.memory_frames - 1

    def __call__(self, x: np.ndarray, entry: np.ndarray) -> np.ndarray:
        """x [batch, inputs], the entry that arrives [batch, m] -> output and context [batch, width]."""
        pre = self._given(x) + product(self._state, self._recalled)
        if self._end == self._windows[0].shape[1]:
            for window in self._windows:
                window[:, : self._memory_frames - 1] = window[:, self._end - self._memory_frames + 1 :].copy()
            self._end = self._memory_frames - 1
        for window, arrived in zip(self._windows, (entry, product(entry, self._keys)), strict=True):
            window[:, self._end] = arrived
        self._end, self._known = self._end + 1, min(self._known + 1, self._memory_frames)
        drawn = self._noise.seed, DIALOGUE_STREAM, self._noise.frame, 0
        _attend_rows(self._state, pre, *self._seen, *self._windows, self._end, self._known, *self._weights, *drawn)
        return self._state


class Stack:
    """As `zoo.tacotron.attention.ZoneoutStack`, of a frame: [batch, inputs] -> [batch, channels]."""

    def __init__(self, stack, state: list, zoneout: float, noise: Noise):
        self._products = [(Linear(given), array(own)) for given, own in zip(stack.given, stack.recalled, strict=True)]
        self._states = [[np.array(each) for each in layer] for layer in state]
        self._zoneout, self._noise = np.float32(zoneout), noise

    def __call__(self, x: np.ndarray) -> np.ndarray:
        first = 0
        for (given, own), (hidden, cell) in zip(self._products, self._states, strict=True):
            pre = given(x) + product(hidden, own)
            drawn = self._noise.seed, ACOUSTIC_STREAM, self._noise.frame, first
            _zoneout_rows(pre, hidden, cell, self._zoneout, *drawn)
            x, first = hidden, first + 2 * hidden.shape[1]
        return x


class Conv:
    """As `zoo.layers.CausalConv` without dilation, of a step: [batch, inputs] -> [batch, channels]."""

    def __init__(self, layer, history):
        self._linear, self._past = Linear(layer), np.reshape(history, (len(history), -1)).astype(np.float32)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        taps = np.concatenate([self._past, x], axis=1)
        self._past = taps[:, x.shape[1] :]
        return self._linear(taps)


class ConvolvedPartner:
    """As `zoo.tacotron.encoder.ConvolvedRNN`, of a frame: [batch, inputs] -> [batch, channels]."""

    def __init__(self, layer: ConvolvedRNN, state: dict):
        self._convs = [Conv(conv, history) for conv, history in zip(layer.convs, state["convs"], strict=True)]
        self._recurrent = Recurrent(layer.recurrent, state["recurrent"])

    def __call__(self, x: np.ndarray) -> np.ndarray:
        for conv in self._convs:
            x = np.maximum(conv(x), _ZERO)
        return self._recurrent(x)


class BankedPartner:
    """As `zoo.tacotron.encoder.CBHG`, of a frame: [batch, inputs] -> [batch, channels]."""

    def __init__(self, layer: CBHG, state: dict):
        self._entry, self._bank = Linear(layer.entry), [Linear(conv) for conv in layer.bank]
        self._past, self._pool = np.reshape(state["bank"], (len(state["bank"]), -1)), np.array(state["pool"][:, 0])
        projections = zip(layer.projections, state["projections"], strict=True)
        self._projections = [Conv(conv, history) for conv, history in projections]
        self._highways = [Linear(each) for each in layer.highways]
        self._recurrent = Recurrent(layer.recurrent, state["recurrent"])

    def __call__(self, x: np.ndarray) -> np.ndarray:
        x = self._entry(x)
        n, taps = x.shape[1], np.concatenate([self._past, x], axis=1)
        self._past = taps[:, n:]
        found = [conv(taps[:, taps.shape[1] - size * n :]) for size, conv in enumerate(self._bank, 1)]
        banked = np.maximum(np.concatenate(found, axis=1), _ZERO)
        one, two = self._projections
        y = two(np.maximum(one(np.maximum(self._pool, banked)), _ZERO)) + x
        self._pool = banked
        for highway in self._highways:
            gate, candidate = np.split(highway(y), 2, axis=1)
            gate = _ONE / (_ONE + np.exp(_ONE - gate))
            y = gate * np.maximum(candidate, _ZERO) + (_ONE - gate) * y
        return self._recurrent(y)


PARTNERS = {ConvolvedRNN: ConvolvedPartner, CBHG: BankedPartner}


@compiled
def _drop_rows(x, dropout, seed, stream, frame):
    for row in range(len(x)):
        drop(x[row], dropout, drawing_of(seed, stream, frame, np.uint32(row)))


@compiled
def _zoneout_rows(pre, hidden, cell, zoneout, seed, stream, frame, first):
    for row in range(len(pre)):
        lstm(pre[row], hidden[row], cell[row], zoneout, drawing_of(seed, stream, frame, np.uint32(row)), first)


@compiled
def _attend_rows(
    states, pre, cell, alignment, attended, memory, keys, end, known, lag, weights, zoneout, shares, scratch,
    seed, stream, frame, first_drawn,
):  # fmt: skip
    """One step of each row; the window of the memory ends before `end`, and its last `known` entries exist."""
    n, entries = cell.shape[1], lag.shape[0]
    first, unknown = end - known, entries - known
    for row in range(len(pre)):
        hidden = span(states[row], 0, n)
        drawing = drawing_of(seed, stream, frame, np.uint32(row))
        lstm(pre[row], hidden, cell[row], zoneout, drawing, first_drawn)
        # All entries are a frame older than when this was written, and the newest is new.
        for i in range(entries - 1):
            alignment[row, i], attended[row, i] = alignment[row, i + 1], attended[row, i + 1]
        alignment[row, entries - 1] = attended[row, entries - 1] = np.float32(0.0)
        attend(
            shares, span(states[row], n, states.shape[1] - n), hidden,
            span(memory[row], first, known), span(keys[row], first, known),
            span(alignment[row], unknown, known), span(attended[row], unknown, known), span(lag, unknown, known),
            weights, scratch,
        )  # fmt: skip
