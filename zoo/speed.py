"""How fast models speak: frame by frame as `zoo.generation` does it, by each engine, in turn.

A model of dialogue, with fresh weights, hears noise and speaks with its gate held open, then with its gate held shut
(room tone: what is left is the cost of the dialogue tier). A sound tier alone (`--mode=unconditional`) has no gate.
Wall time is what a listener waits for; time of the CPU, all threads together, is what is left of it on a machine that
does other work at the same time.
"""

import dataclasses
import gc
import os
import pathlib
import platform
import time
from typing import Any

import numpy as np
import tqdm

from datasets.dialogue import FRAMES_PER_SECOND
from zoo import cost
from zoo.roofline import Roofline

PERCENTILES = (50, 95, 99, 100)
# Of the toggle's logit: the gate stays as it is.
_NEVER = -40.0
_MIB = 2.0**20


@dataclasses.dataclass
class Stream:
    """One engine of one model, speaking: what it has taken so far.

    Attributes:
        model, preset, engine: what tables call it.
        speak: speaks so many frames and returns the seconds of each, float [frames].
        sample_rate, hop: of the sound.
        streams: int. Channels at once.
        multiply_adds: of a sample of one channel, or None where nobody counted.
        weight_bytes: of the weights that are read for every sample, or None.
        weight_bits: of each.
        open_gate: whether it speaks or is silent.
        cores: that speak the channels; None for all.
        share: of the time that it is asked to speak.
        first_call_seconds: until the first frame was there: what it takes to trace and to compile.
    """

    model: str
    preset: str
    engine: str
    speak: Any
    sample_rate: int
    hop: int
    streams: int = 1
    multiply_adds: float | None = None
    weight_bytes: int | None = None
    weight_bits: int = 32
    open_gate: bool = True
    cores: int | None = None
    share: float = 1.0
    frame_seconds: list[np.ndarray] = dataclasses.field(default_factory=list)
    cpu_seconds: list[float] = dataclasses.field(default_factory=list)
    first_call_seconds: float = 0.0
    resident_mib: list[float] = dataclasses.field(default_factory=list)

    def run(self, frames: int) -> None:
        """Speaks and keeps the time of each frame."""
        began = time.process_time()
        self.frame_seconds.append(self.speak(frames))
        self.cpu_seconds.append(time.process_time() - began)
        self.resident_mib.append(resident_mib())

    def samples_per_second(self, by_cpu: bool = False) -> np.ndarray:
        """Of all channels together, [rounds]."""
        seconds = self.cpu_seconds if by_cpu else [frames.sum() for frames in self.frame_seconds]
        samples = [self.streams * self.hop * len(frames) for frames in self.frame_seconds]
        return np.array(samples) / np.array(seconds)


def time_in_turn(streams: list[Stream], seconds: float, rounds: int) -> Roofline:
    """Lets every stream make so many seconds of sound in each round; the first call, that compiles, is timed apart."""
    roofline = Roofline()
    sizes = {stream.weight_bytes for stream in streams if stream.weight_bytes}
    # A peer that is a hundred times as slow speaks for a shorter time.
    frames = {id(stream): max(round(stream.share * seconds * FRAMES_PER_SECOND), 1) for stream in streams}
    with tqdm.tqdm(total=len(streams) * (rounds + 1), desc="speaking", unit="turn") as bar:
        for stream in streams:
            began = time.perf_counter()
            stream.speak(1)
            stream.first_call_seconds += time.perf_counter() - began
            stream.speak(1)
            bar.update()
        for _ in range(rounds):
            roofline.measure(sizes)
            for stream in streams:
                gc.collect()
                stream.run(frames[id(stream)])
                bar.update()
    return roofline


def streams(wanted: dict[tuple[str, str], tuple[type, Any]], engines: list[str], channels: int) -> list[Stream]:
    """Models of dialogue by (name, preset), by every engine that they have, speaking and silent."""
    found = []
    for (name, preset), (model_class, config) in wanted.items():
        for engine in engines:
            found += [of_model(name, preset, engine, model_class(config), channels, gate) for gate in (True, False)]
    return [stream for stream in found if stream]


def of_model(
    name: str, preset: str, engine: str, model, streams: int = 1, open_gate: bool = True, cores: int | None = None
) -> Stream | None:
    """A stream of a model, or None where the engine has no loop of its own for it.

    Args:
        name, preset: what tables call it.
        engine: of `zoo.generation.ALL_ENGINES`.
        model: `zoo.agent.Speaker`.
        streams: channels at once.
        open_gate: of a model of dialogue: whether it speaks all the time, or never.
        cores: that a kernel deals the channels to; None for all.
    """
    from zoo import generation, memory

    memory.check(model, streams)
    state, began = model.initial_state(streams), time.perf_counter()
    if engine not in generation.engines_of(model):
        return None
    if engine in generation.BITS and not generation.kernel_of(model, state, engine):
        return None
    compiling = time.perf_counter() - began
    if hasattr(model, "dialogue"):
        model.dialogue.table.assign(np.full(model.dialogue.table.shape, _NEVER))
    speak = _speaking(model, engine, state, open_gate, cores)
    a_second = cost.multiply_adds_per_second(model, open_gate)
    rate, hop = model.config.sample_rate, model.config.hop
    # What runs less often, the tiers of a SampleRNN, may lie in a slower cache: a roof that is too high if anything.
    looped = [layer for layer, n in model.sound.runs(rate) if n == rate] if open_gate else []
    bits = (generation.BITS | generation.GRAPH_BITS)[engine]
    weight_bytes = sum(cost.multiply_adds(layer) for layer in looped) * bits // 8
    weights = dict(multiply_adds=a_second / rate, weight_bytes=weight_bytes, weight_bits=bits)
    how = dict(open_gate=open_gate, cores=cores, first_call_seconds=compiling)
    return Stream(name, preset, engine, speak, rate, hop, streams, **weights, **how)


def _speaking(model, engine: str, state: dict, open_gate: bool, cores: int | None):
    import tensorflow as tf

    from zoo import generation

    streams = len(state["gate"])
    state["gate"] = tf.fill([streams], float(open_gate))
    voice = generation.voice_of(model, state, engine)
    if cores:
        voice.kernel.cores = cores
    rng = np.random.default_rng(0)
    heard = 0.1 * rng.standard_normal((streams, model.config.hop), np.float32)

    def run(frames: int) -> np.ndarray:
        seconds = np.zeros(frames)
        for t in range(frames):
            began = time.perf_counter()
            _, gate = voice.speak(0, 1.0)
            voice.listen(heard)
            seconds[t] = time.perf_counter() - began
            if not (gate == open_gate).all():
                raise RuntimeError("the gate did not stay as it was")
        return seconds

    return run


def figures(stream: Stream, roofline: Roofline) -> dict[str, Any]:
    """What one stream took, for JSON and tables: medians over rounds, percentiles over frames."""
    rates, by_cpu = stream.samples_per_second(), stream.samples_per_second(by_cpu=True)
    milliseconds = 1e3 * np.concatenate(stream.frame_seconds)
    found = {
        "model": stream.model,
        "preset": stream.preset,
        "engine": stream.engine,
        "streams": stream.streams,
        "speaking": stream.open_gate,
        "cores": stream.cores,
        "samples_per_second": float(np.median(rates)),
        "samples_per_second_range": [float(rates.min()), float(rates.max())],
        "samples_per_cpu_second": float(np.median(by_cpu)),
        "times_real_time": float(np.median(rates)) / stream.streams / stream.sample_rate,
        "frame_ms": {_percentile(p): float(np.percentile(milliseconds, p)) for p in PERCENTILES},
        "first_call_seconds": stream.first_call_seconds,
        "resident_mib": max(stream.resident_mib),
        "memory_growth": stream.resident_mib[-1] / stream.resident_mib[0] - 1.0,
    }
    if stream.multiply_adds is not None:
        found["multiply_adds_per_sample"] = stream.multiply_adds
        found["gflop_per_second"] = 2e-9 * stream.multiply_adds * found["samples_per_second"]
    if stream.multiply_adds and stream.weight_bytes and stream.streams == 1:
        best = roofline.samples_per_second(stream.multiply_adds, stream.weight_bytes, stream.weight_bits)
        found["roofline_samples_per_second"] = best
        found["share_of_roofline"] = found["samples_per_second"] / best
        found["share_of_roofline_by_cpu"] = found["samples_per_cpu_second"] / best
    return found


def table(rows: list[dict[str, Any]]) -> list[str]:
    """Lines for a terminal."""
    columns = {
        "samples/s": (10, ".0f", lambda row: row["samples_per_second"]),
        "a CPU s": (10, ".0f", lambda row: row["samples_per_cpu_second"]),
        "x real": (7, ".2f", lambda row: row["times_real_time"]),
        **{f"{p} ms": (8, ".2f", lambda row, p=p: row["frame_ms"][p]) for p in map(_percentile, PERCENTILES)},
        "MAdds": (9, ".0f", lambda row: row.get("multiply_adds_per_sample")),
        "GFLOP/s": (8, ".2f", lambda row: row.get("gflop_per_second")),
        "of roof": (8, ".0%", lambda row: row.get("share_of_roofline")),
        "MiB": (6, ".0f", lambda row: row["resident_mib"]),
        "first s": (8, ".1f", lambda row: row["first_call_seconds"]),
        "x peer": (7, ".1f", lambda row: row.get("times_the_peer")),
    }
    lines = [f"{'':38}" + "".join(name.rjust(width) for name, (width, _, _) in columns.items())]
    for row in rows:
        said = ((width, form, of(row)) for width, form, of in columns.values())
        numbers = (
            "-".rjust(width) if value is None else format(value, form).rjust(width) for width, form, value in said
        )
        lines.append(f"{_title(row):38}" + "".join(numbers))
    return lines


def _title(row: dict[str, Any]) -> str:
    silent, many = "" if row["speaking"] else " silent", f" x{row['streams']}" if row["streams"] > 1 else ""
    cores = f" on {row['cores']} core" if row["cores"] else ""
    return f"{row['model']} {row['preset']} {row['engine']}{silent}{many}{cores}"


def machine() -> dict[str, Any]:
    """What the figures were taken on, and how busy it was."""
    lines = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    return {"cpu": name, "cores": len(os.sched_getaffinity(0)), "load": os.getloadavg()[0]}


def resident_mib() -> float:
    """Memory of this process that is resident now, in MiB."""
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / _MIB


def _percentile(p: int) -> str:
    return "max" if p == 100 else f"p{p}"
