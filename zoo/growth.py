"""How the cost of speaking grows: with the seconds spoken, the dialogue so far, layers, and channels at once.

Each kind of growth is a list of sizes and of what they took. The exponent is the slope of a straight line through their
logarithms: 1 is proportional, 0 is flat; what all sizes have in common keeps it below that. Every size of layers and
channels takes its turn in each round, so that what else the machine does falls on all alike.
"""

import dataclasses
from typing import Any

import numpy as np
import tqdm

from datasets.dialogue import FRAMES_PER_SECOND
from zoo import speed

# One dialogue: after so many stretches of it.
_STRETCHES = (1, 2, 4, 8, 16)
_STREAMS = (1, 2, 4, 8)
_DEPTHS = (1, 2, 3)
# What a model has as layers of its sound: a tuple, of which a part is taken, or a number, which is multiplied.
_LAYERS = ("dilations", "layers", "postnet_layers")


def measure(wanted: dict, engines: list[str], seconds: float, rounds: int) -> list[dict[str, Any]]:
    """Rows of `figures` for each model by (name, preset), as of `zoo.speed.streams`, and each engine that it has."""
    rows, frames = [], max(round(seconds * FRAMES_PER_SECOND), 1)
    for (name, preset), (model_class, config) in wanted.items():
        for engine in engines:

            def stream(config, streams=1, who=(name, preset, engine), model_class=model_class):
                return speed.of_model(*who, model_class(config), streams)

            one = stream(config)
            if one is None:
                continue
            title = f"{name} {preset} {engine}"
            for what, sizes, took in (*_dialogue(one, frames), *_sizes(stream, config, frames, rounds, title)):
                rows.append({"model": name, "preset": preset, "engine": engine, **figures(what, sizes, took)})
    return rows


def figures(what: str, sizes: list[float], took: list[float]) -> dict[str, Any]:
    """One kind of growth, for JSON and tables.

    Args:
        what: grows.
        sizes: the first is the smallest, none is 0.
        took: seconds, of each.
    """
    slope = np.polyfit(np.log(sizes), np.log(took), 1)[0]
    return {"growth": what, "sizes": list(sizes), "seconds": list(took), "exponent": float(slope)}


def table(rows: list[dict[str, Any]]) -> list[str]:
    """Lines for a terminal: what each size took against the first."""
    lines = [f"{'':28}{'grows with':26}{'exponent':>9}  size: times the first"]
    for row in rows:
        title = f"{row['model']} {row['preset']} {row['engine']}"
        pairs = zip(row["sizes"], row["seconds"], strict=True)
        shown = "  ".join(f"{size:g}: {took / row['seconds'][0]:.2f}" for size, took in pairs)
        lines.append(f"{title:28}{row['growth']:26}{row['exponent']:9.2f}  {shown}")
    return lines


def with_depth(config, depth: int) -> tuple[Any, int]:
    """A configuration whose sound is so many thirds as deep as it can be, and its number of layers."""
    field = next(name for name in _LAYERS if hasattr(config, name))
    layers = getattr(config, field)
    if isinstance(layers, tuple):
        layers = layers[: -(-len(layers) * depth // _DEPTHS[-1])]
        return dataclasses.replace(config, **{field: layers}), len(layers)
    return dataclasses.replace(config, **{field: layers * depth}), layers * depth


def _dialogue(stream: speed.Stream, frames: int):
    """Of one dialogue: all seconds that were spoken, and a frame (the median of a stretch) after so many."""
    stream.speak(1)
    for _ in tqdm.trange(_STRETCHES[-1], desc=f"{stream.model} {stream.engine}, one dialogue", unit="stretch"):
        stream.run(frames)
    seconds = [n * frames / FRAMES_PER_SECOND for n in _STRETCHES]
    spoken = np.cumsum([stretch.sum() for stretch in stream.frame_seconds])
    yield "seconds spoken", seconds, [float(spoken[n - 1]) for n in _STRETCHES]
    yield "dialogue so far, seconds", seconds, [float(np.median(stream.frame_seconds[n - 1])) for n in _STRETCHES]


def _sizes(stream, config, frames: int, rounds: int, title: str):
    """A frame (the median of all rounds) by layers and by channels at once, and seconds of the CPU by the latter."""
    depths = [with_depth(config, depth) for depth in _DEPTHS]
    by_layers, by_streams = [stream(deep) for deep, _ in depths], [stream(config, n) for n in _STREAMS]
    for one in (*by_layers, *by_streams):
        one.speak(1)
    for _ in tqdm.trange(rounds, desc=f"{title}, layers and channels", unit="round"):
        for one in (*by_layers, *by_streams):
            one.run(frames)
    frame = [[float(np.median(np.concatenate(one.frame_seconds))) for one in each] for each in (by_layers, by_streams)]
    yield "layers", [layers for _, layers in depths], frame[0]
    yield "channels at once", list(_STREAMS), frame[1]
    yield (
        "channels, time of the CPU",
        list(_STREAMS),
        [float(np.median(one.cpu_seconds)) / frames for one in by_streams],
    )
