"""What the compiled loops of samples share: the arithmetic, and a batch dealt out to the cores.

They are the part that nv-wavenet plays on a GPU, on a CPU by numba: same weights and random numbers as the graph, no
graph.
"""

import abc
import concurrent.futures
import functools
import math
import os

import numpy as np
import tensorflow as tf
from numba.core import types
from numba.extending import intrinsic, overload
from numba.np.arrayobj import populate_array

from zoo.coding import COMPONENTS, LOG_SCALE, SHARPEST, STEP, Levels
from zoo.compiling import HOW, part
from zoo.layers import LEVELS
from zoo.product_loops import Contiguous, each_number

# exp(x) = 2^n exp(r) with r within half of ln 2; there the polynomial through seven Chebyshev nodes is off by 5e-9.
_LOG2_E, _LN_2 = np.float32(1.0 / math.log(2.0)), np.float32(math.log(2.0))
_LEAST_EXPONENT, _MOST_EXPONENT = np.float32(-87.0), np.float32(88.0)
_NODES = np.polynomial.Chebyshev.interpolate(np.exp, 6, [-0.35, 0.35])
_C0, _C1, _C2, _C3, _C4, _C5, _C6 = _NODES.convert(kind=np.polynomial.Polynomial).coef.astype(np.float32)
_BIAS, _MANTISSA_BITS, _SHIFT = np.int32(127), np.int32(23), np.int32(128)
_ROUNDING = np.float32(128.5)

_ONE, _TWO = np.float32(1.0), np.float32(2.0)
_STEP, _STEPS = np.float32(STEP), np.float32(1.0 / STEP)
_LOG_SCALE, _SHARPEST = np.float32(LOG_SCALE), np.float32(SHARPEST)
_MOST_TANH, _MOST_SIGMOID = np.float32(20.0), np.float32(60.0)
_BLOCK = 16
# As of the graph: how near the ends a draw within one logistic may lie.
_NEAREST = np.float32(1e-5)


class CompiledSound(abc.ABC):
    """The sound tier of a model, compiled, for a batch of independent speakers.

    Args:
        sound: `zoo.sound.SoundTier`; a subclass copies its weights.

    Attributes:
        hop: samples of a frame.
        cores: that a batch is dealt out to, at most as many as there are.
    """

    def __init__(self, sound):
        self.hop = sound.hop
        self.cores = len(os.sched_getaffinity(0))
        self._pool = concurrent.futures.ThreadPoolExecutor(self.cores)

    @abc.abstractmethod
    def buffers(self, state) -> np.ndarray:
        """The graph's state as one array [batch, ...], which the loop then keeps."""

    @abc.abstractmethod
    def generate(self, past, gate, conditions, buffers, uniforms, temperature: float) -> np.ndarray:
        """One frame of each row whose gate is open, as `SoundTier.generate`; `buffers` go on in place.

        Args:
            past: float32 [batch, hop], the frame before.
            gate: bool [batch].
            conditions: float32, as `SoundTier.frame_conditions` makes them.
            buffers: as `buffers` makes them.
            uniforms: float32 [batch, hop].

        Returns:
            float32 [batch, hop], zeros where the gate is shut.
        """

    def compile(self, conditions, buffers) -> None:
        """Compiles the loop, or reads it from the cache, by a frame in which nobody speaks; state as of `generate`."""
        nothing = np.zeros((len(buffers), self.hop), np.float32)
        self.generate(nothing, np.zeros(len(buffers), bool), conditions, buffers.copy(), nothing, 1.0)

    def deal(self, gate, speak_rows) -> None:
        """Calls `speak_rows(rows)` on each core with its share of the rows."""
        # Open rows are the work; dealt out in turn, each core has its share of them.
        order = np.argsort(~gate, kind="stable")
        shares = [order[core :: self.cores] for core in range(min(self.cores, len(order)))]
        if len(shares) > 1:
            list(self._pool.map(speak_rows, shares))
        else:
            speak_rows(order)


class FusedSound(CompiledSound):
    """A sound tier that draws sample after sample.

    Args:
        sound: as of `CompiledSound`.
        context_samples: int. How many samples of the frame before are read.
    """

    def __init__(self, sound, context_samples: int):
        super().__init__(sound)
        self._coding = sound.coding
        of_levels = isinstance(sound.coding, Levels)
        # Of numbers there is nothing to look up; what a sample is drawn from is compiled by this.
        self.decode = np.array(sound.coding.decode(tf.range(LEVELS))) if of_levels else None
        self._edges = sound.coding.edges().numpy() if of_levels else None
        self._context_samples = context_samples

    @abc.abstractmethod
    def speak_rows(
        self, rows, frames, past, gate, conditions, buffers, uniforms, inverse_temperature, told, predicted
    ) -> None:
        """Some rows of a batch: fills `frames` where the gate is open, and moves `buffers` on by a frame.

        Args:
            rows: int [n].
            past: float32 [batch, context_samples], tokens of the frame before.
            told: float32 [batch, hop], tokens that are heard instead of those drawn, or [batch, 0].
            predicted: float32 [batch, hop, parameters], filled with what each sample is drawn from, or [batch, 0, 0].
            The rest as of `generate`.
        """

    def generate(self, past, gate, conditions, buffers, uniforms, temperature: float) -> np.ndarray:
        none = np.zeros((len(past), 0), np.float32), np.zeros((len(past), 0, 0), np.float32)
        return self._run(past, gate, conditions, buffers, uniforms, temperature, *none)

    def predict(self, past, frame, conditions, buffers, gate=None) -> np.ndarray:
        """Teacher-forced over one frame, as `SoundTier.predict`; `buffers` go on in place.

        Args:
            past, frame: float32 [batch, hop], the frame before and the one that is predicted.
            conditions, buffers: as of `generate`.
            gate: bool [batch]; None where all are open.

        Returns:
            float32 [batch, hop, parameters], zeros where the gate is shut.
        """
        gate = np.ones(len(past), bool) if gate is None else gate
        predicted = np.zeros((*frame.shape, self._coding.parameters), np.float32)
        self._run(past, gate, conditions, buffers, np.zeros_like(frame), 1.0, self._tokens(frame), predicted)
        return predicted

    def _run(self, past, gate, conditions, buffers, uniforms, temperature, told, predicted) -> np.ndarray:
        frames = np.zeros_like(uniforms)
        before = self._tokens(past[:, self.hop - self._context_samples :])
        inverse_temperature = np.float32(1.0 / temperature)
        batch = frames, before, gate, conditions, buffers, uniforms, inverse_temperature, told, predicted
        self.deal(gate, lambda rows: self.speak_rows(rows, *batch))
        return frames

    def _tokens(self, sound: np.ndarray) -> np.ndarray:
        """What the loop hears of float32 [batch, n]: a level's number, or a 16-bit sample."""
        if self._edges is None:
            return self._coding.encode(sound).numpy()
        return np.searchsorted(self._edges, sound, side="right").astype(np.float32)


@part
def exp(x):
    """e^x within 3e-7 of it; unlike the library's, it is vectorised."""
    x = min(max(x, _LEAST_EXPONENT), _MOST_EXPONENT)
    n = np.int32(np.int32(x * _LOG2_E + _ROUNDING) - _SHIFT)
    r = x - np.float32(n) * _LN_2
    y = _C0 + r * (_C1 + r * (_C2 + r * (_C3 + r * (_C4 + r * (_C5 + r * _C6)))))
    return y * np.int32(np.int32(n + _BIAS) << _MANTISSA_BITS).view(np.float32)


@part
def tanh(x):
    return _ONE - _TWO / (_ONE + exp(_TWO * x))


@part
def sigmoid(x):
    return _ONE / (_ONE + exp(-x))


@part
def pass_gates(passed, pre):
    """passed [n] = tanh(pre[:n]) sigmoid(pre[n:]), by one division; beyond the bounds float32 has no nearer value."""
    n = passed.shape[0]
    for c in range(n):
        grown, shut = exp(min(_TWO * pre[c], _MOST_TANH)), exp(min(-pre[n + c], _MOST_SIGMOID))
        passed[c] = (grown - _ONE) / ((_ONE + grown) * (_ONE + shut))


@part
def add_token(total, token, table):
    """total += the row of a level [256, n], or what a linear layer of one number, [2, n], makes of it."""
    if table.shape[0] == LEVELS:
        row = table[int(token)]
        for j in range(total.shape[0]):
            total[j] += row[j]
    else:
        for j in range(total.shape[0]):
            total[j] += token * table[0, j] + table[1, j]


def token_table(embedding) -> np.ndarray:
    """Of a coding's embedding, for `add_token`."""
    if hasattr(embedding, "embeddings"):
        return np.ascontiguousarray(np.asarray(embedding.embeddings, np.float32))
    return np.stack([np.asarray(embedding.kernel, np.float32), np.asarray(embedding.bias, np.float32)])


@part
def as_sound(token, decode):
    """A token's sample in [-1, 1]."""
    if decode is None:
        return token
    return decode[int(token)]


def draw(parameters, uniform, inverse_temperature, room, decode):
    """A token of what was predicted: of 256 logits, or of a mixture of logistics; room [parameters]."""
    raise NotImplementedError("for compiled loops")


@overload(draw, jit_options=HOW)
def _draw(parameters, uniform, inverse_temperature, room, decode):
    if isinstance(decode, types.NoneType):
        return lambda parameters, uniform, inverse_temperature, room, decode: sample_logistics(
            parameters, uniform, inverse_temperature, room
        )
    return lambda parameters, uniform, inverse_temperature, room, decode: np.float32(
        sample(parameters, uniform, inverse_temperature, room)
    )


@part
def sample(logits, uniform, inverse_temperature, shares):
    """Inverse-CDF draw from a softmax; summed in float64, as in the graph, and by blocks, of which one is searched."""
    highest = logits[0]
    for i in range(1, LEVELS):
        highest = max(highest, logits[i])
    for i in range(LEVELS):
        shares[i] = exp((logits[i] - highest) * inverse_temperature)
    total = 0.0
    for i in range(LEVELS):
        total += np.float64(shares[i])
    threshold, until, level = np.float64(uniform) * total, 0.0, 0
    for block in range(0, LEVELS - _BLOCK, _BLOCK):
        within = 0.0
        for i in range(block, block + _BLOCK):
            within += np.float64(shares[i])
        if until + within >= threshold:
            break
        until, level = until + within, block + _BLOCK
    until += np.float64(shares[level])
    while level < LEVELS - 1 and until < threshold:
        level += 1
        until += np.float64(shares[level])
    return level


@part
def sample_logistics(parameters, uniform, inverse_temperature, cumulative):
    """As `zoo.coding.Logistics.sample`: parameters [30] -> a 16-bit sample."""
    highest = parameters[0]
    for i in range(1, COMPONENTS):
        highest = max(highest, parameters[i])
    total = np.float32(0.0)
    for i in range(COMPONENTS):
        total += exp((parameters[i] - highest) * inverse_temperature)
        cumulative[i] = total
    threshold, chosen = uniform * total, 0
    for i in range(COMPONENTS - 1):
        chosen += cumulative[i] < threshold
    share = cumulative[chosen] - (cumulative[chosen - 1] if chosen else np.float32(0.0))
    within = min(max(_ONE - (cumulative[chosen] - threshold) / share, _NEAREST), _ONE - _NEAREST)
    mean = parameters[COMPONENTS + chosen]
    scale = exp(max(parameters[2 * COMPONENTS + chosen] + _LOG_SCALE, _SHARPEST)) / inverse_temperature
    drawn = mean + scale * (math.log(within) - math.log1p(-within))
    return np.float32(min(max(np.rint(drawn * _STEPS) * _STEP, -_ONE), _ONE - _STEP))


@intrinsic
def fill(typing_context, x, values):
    """x[:] = values, of contiguous float32, as are those that follow; values may have more numbers."""
    return _in_place("fill", lambda builder, before, value: value, x, values)


@intrinsic
def clear(typing_context, x):
    """x[:] = 0."""
    return _in_place("clear", lambda builder, before: before.type(0.0), x)


@intrinsic
def add(typing_context, total, part):
    """total += part."""
    return _in_place("add", lambda builder, before, value: builder.fadd(before, value, flags=("fast",)), total, part)


@intrinsic
def rectify(typing_context, x):
    """x = max(x, 0)."""

    def larger(builder, before):
        nothing = before.type(0.0)
        return builder.select(builder.fcmp_ordered(">", before, nothing), before, nothing)

    return _in_place("rectify", larger, x)


@intrinsic
def span(typing_context, x, first, n):
    """x[first : first + n] of a contiguous array, compiled to a tenth of what numba makes of a slice; unchecked."""
    kind = types.Array(x.dtype, x.ndim, "C")

    def generate(context, builder, signature, arguments):
        start, length = (context.cast(builder, arguments[i], signature.args[i], types.intp) for i in (1, 2))
        whole = Contiguous(context, builder, x, arguments[0])
        view, size = context.make_array(kind)(context, builder), context.get_abi_sizeof(whole.data.type.pointee)
        shape = [length, *whole.shape[1:]]
        data = builder.gep(whole.data, [functools.reduce(builder.mul, whole.shape[1:], start)])
        populate_array(view, data, shape, whole.strides, size, None)
        return view._getvalue()

    return kind(x, first, n), generate


def _in_place(name, operation, *arrays):
    """Signature and code of an intrinsic that does this to each number of the first array."""

    def generate(context, builder, signature, arguments):
        taken = [Contiguous(context, builder, *each) for each in zip(arrays, arguments, strict=True)]
        each_number(builder, name, operation, *taken)
        return context.get_dummy_value()

    return types.void(*arrays), generate
