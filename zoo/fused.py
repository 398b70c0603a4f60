"""What the compiled loops of samples share: the arithmetic, and a batch dealt out to the cores.

They are the part that nv-wavenet plays on a GPU, on a CPU by numba: same weights and random numbers as the graph, no
graph. tanh is a rational fit with an error below 4e-6 on the whole line.
"""

import abc
import concurrent.futures
import math
import os

import numba
import numpy as np
import tensorflow as tf

from zoo.layers import LEVELS

_TANH_LIMIT = np.float32(8.5)
_P0, _P1, _P2, _P3 = (np.float32(c) for c in (0.999983549, 0.120968923, 2.10208446e-3, 3.17574677e-6))
_Q1, _Q2, _Q3 = (np.float32(c) for c in (0.454251647, 0.0202323962, 1.24105980e-4))
# Python's division by zero would keep the loops from being vectorised.
compiled = numba.njit(fastmath=True, nogil=True, cache=True, error_model="numpy")
_ONE, _HALF = np.float32(1.0), np.float32(0.5)


class FusedSound(abc.ABC):
    """The sound tier of a model, compiled, for a batch of independent speakers.

    Args:
        sound: `zoo.sound.SoundTier` whose coding has levels; a subclass copies its weights.
        context_samples: int. How many samples of the frame before are read.
    """

    def __init__(self, sound, context_samples: int):
        self.hop = sound.hop
        self.decode = sound.coding.decode(tf.range(LEVELS)).numpy()
        self._edges = sound.coding.edges().numpy()
        self._context_samples = context_samples
        self._cores = len(os.sched_getaffinity(0))
        self._pool = concurrent.futures.ThreadPoolExecutor(self._cores)

    @abc.abstractmethod
    def buffers(self, state) -> np.ndarray:
        """The graph's state as one array [batch, ...], which the loop then keeps."""

    @abc.abstractmethod
    def speak_rows(self, rows, frames, levels, gate, conditions, buffers, uniforms, inverse_temperature) -> None:
        """Some rows of a batch: fills `frames` where the gate is open, and moves `buffers` on by a frame.

        Args:
            rows: int [n].
            levels: int [batch, context_samples], of the frame before.
            The rest as of `generate`.
        """

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
        frames = np.zeros_like(uniforms)
        levels = np.searchsorted(self._edges, past[:, self.hop - self._context_samples :], side="right")
        inverse_temperature = np.float32(1.0 / temperature)

        def work(rows):
            self.speak_rows(rows, frames, levels, gate, conditions, buffers, uniforms, inverse_temperature)

        # Open rows are the work; dealt out in turn, each core has its share of them.
        order = np.argsort(~gate, kind="stable")
        shares = [order[core :: self._cores] for core in range(min(self._cores, len(order)))]
        list(self._pool.map(work, shares)) if len(shares) > 1 else work(order)
        return frames


@compiled
def tanh(x):
    x = min(max(x, -_TANH_LIMIT), _TANH_LIMIT)
    z = x * x
    return x * (_P0 + z * (_P1 + z * (_P2 + z * _P3))) / (_ONE + z * (_Q1 + z * (_Q2 + z * _Q3)))


@compiled
def add_product(total, vector, matrix):
    """total += vector @ matrix; the inner loop runs along contiguous memory."""
    for i in range(vector.shape[0]):
        value = vector[i]
        for j in range(total.shape[0]):
            total[j] += value * matrix[i, j]


@compiled
def sample(logits, uniform, inverse_temperature, cumulative):
    """Inverse-CDF draw from a softmax."""
    highest = logits[0]
    for i in range(1, LEVELS):
        highest = max(highest, logits[i])
    total = np.float32(0.0)
    for i in range(LEVELS):
        total += math.exp((logits[i] - highest) * inverse_temperature)
        cumulative[i] = total
    threshold, level = uniform * total, 0
    for i in range(LEVELS - 1):
        level += cumulative[i] < threshold
    return level


@compiled
def add(total, part):
    for i in range(total.shape[0]):
        total[i] += part[i]


@compiled
def rectify(x):
    for i in range(x.shape[0]):
        x[i] = max(x[i], np.float32(0.0))


@compiled
def sigmoid(x):
    return _HALF + _HALF * tanh(_HALF * x)
