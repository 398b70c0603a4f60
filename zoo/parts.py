"""Where the time of a sample goes: the parts of a compiled loop, each timed alone at its sizes, and the whole.

What the parts leave of the whole is bookkeeping and waiting: each product of a sample waits for the one before, which a
part that is timed alone does not.
"""

import dataclasses
import functools
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from zoo.compiling import compiled
from zoo.fused import FusedSound, draw
from zoo.layers import LEVELS
from zoo.products import Packed, add_nth_product, nth_of, operand, room_for

PARTS = ("products", "rounding", "nonlinear", "draw", "rest")
_TIMES = 200


@dataclasses.dataclass(frozen=True)
class Product:
    """A product that a loop takes again and again.

    Attributes:
        weights: several matrices (`zoo.products.matrices`), taken in turn.
        rows, columns: of each.
        a_sample: how many of them a sample takes.
    """

    weights: Any
    rows: int
    columns: int
    a_sample: float

    @classmethod
    def of_one(cls, weights, rows: int, columns: int, a_sample: float = 1.0) -> "Product":
        """Of a single matrix."""
        several = nth_of(weights, None)
        return cls(several, rows, columns, a_sample)


@dataclasses.dataclass(frozen=True)
class Work:
    """What a kernel does for a sample.

    Attributes:
        products: all of them.
        nonlinear: functions of how often, with how many times a sample takes each.
        parameters: numbers that a sample is drawn from.
    """

    products: list[Product]
    nonlinear: list[tuple[Callable[[int], None], float]]
    parameters: int


def seconds(kernel: FusedSound, conditions: np.ndarray, buffers: np.ndarray, rounds: int = 5) -> dict[str, float]:
    """Of a sample, by part (`PARTS`); the best of several rounds of each.

    Args:
        kernel: with a `work()`.
        conditions, buffers: of one speaker, as of `FusedSound.generate`.
    """
    work = kernel.work()
    footprint = sum(_bytes(product.weights) for product in work.products)
    found = dict.fromkeys(PARTS, 0.0)
    for product in work.products:
        vector = np.linspace(-1.0, 1.0, product.rows, dtype=np.float32)
        found["products"] += product.a_sample * _best(_product(product, vector, footprint), rounds, 4 * _TIMES)
        if isinstance(product.weights, Packed):
            room = room_for(product.weights, product.rows)
            found["rounding"] += product.a_sample * _best(functools.partial(_operands, vector, room), rounds)
    found["nonlinear"] = sum(a_sample * _best(run, rounds) for run, a_sample in work.nonlinear)
    found["draw"] = _best(_draw(work.parameters, kernel.decode), rounds)
    rest = _whole(kernel, conditions, buffers, rounds) - sum(found.values())
    return {**found, "rest": max(rest, 0.0)}


def of_model(model, engine: str, rounds: int = 5) -> dict[str, float]:
    """As `seconds`, of the kernel of a model with its present weights."""
    from zoo.generation import BITS

    kernel = model.sound.fused(BITS[engine])
    state = model.initial_state(1)
    conditions = model.sound.frame_conditions(tf.zeros([1, model.sound.condition_channels])).numpy()
    return seconds(kernel, conditions, kernel.buffers(state["sound"]), rounds)


def table(rows: dict[str, dict[str, float]]) -> list[str]:
    """Lines for a terminal: microseconds of a sample, and shares of them."""
    lines = [f"{'':38}{'us a sample':>12}" + "".join(f"{part:>11}" for part in PARTS)]
    for title, found in rows.items():
        total = sum(found.values())
        lines.append(f"{title:38}{1e6 * total:12.2f}" + "".join(f"{found[part] / total:11.0%}" for part in PARTS))
    return lines


def _best(run: Callable[[int], None], rounds: int, times: int = _TIMES) -> float:
    run(times)
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        run(times)
        took.append(time.perf_counter() - began)
    return min(took) / times


def _product(product: Product, vector: np.ndarray, footprint: int) -> Callable[[int], None]:
    """Over copies, of as many bytes as all weights of the loop have: alone they might lie in a faster cache."""
    copies = -(-footprint // _bytes(product.weights))
    if isinstance(product.weights, Packed):
        weights = Packed(*(np.concatenate([part] * copies) for part in product.weights))
    else:
        weights = np.concatenate([product.weights] * copies)
    total, several = np.zeros(product.columns, np.float32), copies * _number(product.weights)
    return functools.partial(_products, total, vector, weights, several, room_for(weights, product.rows))


def _number(weights) -> int:
    return len(weights.scales if isinstance(weights, Packed) else weights)


def _bytes(weights) -> int:
    return weights.levels.nbytes if isinstance(weights, Packed) else weights.nbytes


def _draw(parameters: int, decode: np.ndarray | None) -> Callable[[int], None]:
    flat, uniforms = np.zeros(parameters, np.float32), np.linspace(0.0, 0.99, LEVELS, dtype=np.float32)
    return functools.partial(_draws, flat, uniforms, np.zeros(parameters, np.float32), decode)


def _whole(kernel, conditions, buffers, rounds: int) -> float:
    rng = np.random.default_rng(0)
    past, uniforms = np.zeros((1, kernel.hop), np.float32), rng.random((1, kernel.hop), np.float32)
    took = []
    for _ in range(10 * rounds):
        began = time.perf_counter()
        past = kernel.generate(past, np.ones(1, bool), conditions, buffers, uniforms, 1.0)
        took.append(time.perf_counter() - began)
    return min(took) / kernel.hop


@compiled
def _products(total, vector, weights, several, room, times):
    ready = operand(vector, room)
    for i in range(times):
        add_nth_product(total, ready, weights, i % several)


@compiled
def _operands(vector, room, times):
    """Of weights of 8 bits, where a vector is rounded."""
    total = np.float32(0.0)
    for i in range(times):
        levels, scale = operand(vector, room)
        total += np.float32(levels[i % vector.shape[0]]) * scale
    return total


@compiled
def _draws(flat, uniforms, shares, decode, times):
    token = np.float32(0.0)
    for i in range(times):
        token += draw(flat, uniforms[i % uniforms.shape[0]], np.float32(1.0), shares, decode)
    return token
