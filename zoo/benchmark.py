"""Times the models of the zoo on this machine.

    python -m zoo.benchmark --train                             one training step of every model, preset tiny
    python -m zoo.benchmark --train --models=wavenet --presets=tiny,small --json=train.json

A training step is timed on random sound: seconds of two-channel audio that it eats a second, the median of rounds in
which the models take turns. It is one whole step of `zoo.train`, both speakers of every crop, gradients and optimiser.

    python -m zoo.benchmark --train --peers                     sound tiers alone, beside a peer of the same size
    python -m zoo.benchmark --presets=tiny,small                how fast each model speaks, by each engine
    python -m zoo.benchmark --peers                             sound tiers alone, speaking, beside a peer
    python -m zoo.benchmark --growth --presets=small            how that grows with seconds, layers and channels
    python -m zoo.benchmark --parts                             where the time of a sample goes, at the peers' sizes

See `zoo.growth`, `zoo.parts`, `zoo.peers`, `zoo.speed` and `zoo.matched`.
"""

import dataclasses
import time
from typing import Any

import numpy as np
import tqdm
from absl import flags

from datasets import files
from datasets.dialogue import FRAMES_PER_SECOND
from datasets.errors import InputError, run_command

FLAGS = flags.FLAGS
_NOT_OF_PARTS = ("models", "presets", "engines", "streams", "seconds")


def random_batch(config, seed: int = 0) -> dict[str, Any]:
    """A batch as `datasets.pipeline.crops` gives them: noise, with the two speakers taking turns."""
    import tensorflow as tf

    rng = np.random.default_rng(seed)
    batch, frames = config.batch_size, round(config.crop_seconds * FRAMES_PER_SECOND)
    speaks = np.cumsum(rng.random((batch, frames)) < 0.02, axis=1) % 2
    activity = np.stack([speaks, 1 - speaks], axis=1).astype(np.float32)
    sound = 0.1 * rng.standard_normal((batch, 2, frames * config.hop)) * np.repeat(activity, config.hop, axis=2)
    return {
        "audio": tf.constant(sound, tf.float32),
        "activity": tf.constant(activity),
        "mask": tf.ones([batch, frames]),
        "reset": tf.ones([batch], tf.bool),
        "voice": tf.zeros([batch, 2], tf.int32),
        "role": tf.tile([[0, 1]], [batch, 1]),
        "name": tf.fill([batch], "random"),
        "start_frame": tf.zeros([batch], tf.int32),
    }


def training_step(model_class, config, jit: bool | None = None):
    """A function that takes one step on random sound; it returns the seconds of audio that the step ate."""
    import tensorflow as tf

    from zoo import descent

    take, batch = descent.Descent(model_class(config), jit=jit), random_batch(config)

    def step() -> float:
        terms, _ = take(batch, tf.constant([0, 0], tf.int32))
        # The step is done when its result can be read.
        _ = [float(total) for total, _ in terms.values()]
        return config.batch_size * config.crop_seconds

    return step


def time_training(
    wanted: dict[tuple[str, str], tuple[type, Any]], rounds: int, jit: bool | None = None
) -> list[dict[str, Any]]:
    """For each (model, preset): audio_seconds_per_second (median), its range, seconds_per_step and parameters."""
    steps = {key: training_step(*found, jit) for key, found in wanted.items()}
    seconds = {key: [] for key in steps}
    with tqdm.tqdm(total=(rounds + 1) * len(steps), desc="training steps", unit="step") as bar:
        for round_ in range(rounds + 1):
            for key, step in steps.items():
                started = time.perf_counter()
                eaten = step()
                # The first traces the graph.
                if round_:
                    seconds[key].append((time.perf_counter() - started, eaten))
                bar.update()
    return [_figures(model, preset, np.array(times)) for (model, preset), times in seconds.items()]


def _figures(model: str, preset: str, times: np.ndarray) -> dict[str, Any]:
    speed = times[:, 1] / times[:, 0]
    return {
        "model": model,
        "preset": preset,
        "seconds_per_step": float(np.median(times[:, 0])),
        "audio_seconds_per_second": float(np.median(speed)),
        "range": [float(speed.min()), float(speed.max())],
    }


def _wanted() -> dict[tuple[str, str], tuple[type, Any]]:
    from zoo import registry

    found = {}
    for name in FLAGS.models or registry.models():
        for preset in FLAGS.presets:
            model_class, config = registry.find(name, preset)
            if config.steps:
                found[name, preset] = model_class, config
    if not found:
        raise InputError("--models: none of them has anything to train")
    return found


def _define_flags() -> None:
    flags.DEFINE_bool("train", False, "Time one step of training, not speaking.")
    flags.DEFINE_list("engines", ["fused", "int8", "graph"], "Engines that speak; graph16 is of SampleRNN.")
    flags.DEFINE_integer("streams", 1, "Channels that are spoken at once.", lower_bound=1)
    flags.DEFINE_float("seconds", 2.0, "Of sound that is spoken in each round.", lower_bound=0.02)
    flags.DEFINE_bool("peers", False, "Time what a peer has too, in turn with the peers that are installed.")
    flags.DEFINE_bool("growth", False, "Time how the cost of speaking grows, by seconds, layers and channels.")
    flags.DEFINE_bool("parts", False, "Time the parts of each compiled loop, at the peers' sizes.")
    flags.DEFINE_bool("jit", None, "Compile the step with XLA; default: as in training.")
    flags.DEFINE_list("models", None, "Names of models; default: all that are trained.")
    flags.DEFINE_list("presets", ["tiny"], "Their presets.")
    flags.DEFINE_integer("rounds", 5, "How often every model takes its turn.", lower_bound=1)
    flags.DEFINE_string("json", None, "Also writes the figures here.")


def main(argv: list[str]) -> None:
    del argv
    _check_flags()
    from zoo import devices

    if FLAGS.train:
        devices.side_by_side()
    print(f"devices: {devices.describe()}")
    if FLAGS.growth:
        found = {"growth": _time_growth()}
    elif FLAGS.parts:
        found = {"parts": _time_parts()}
    elif not FLAGS.train:
        found = {"speed": _time_speech()}
    else:
        found = {"peers": _time_peers()} if FLAGS.peers else {"train": _time_models()}
    if FLAGS.json:
        files.write_json(FLAGS.json, found)


def _check_flags() -> None:
    from zoo.generation import ALL_ENGINES

    for engine in FLAGS.engines:
        if engine not in ALL_ENGINES:
            raise InputError(f"--engines={engine}: no such engine; the choices are {', '.join(ALL_ENGINES)}")
    unused = ("engines", "streams", "seconds") if FLAGS.train else ("jit",)
    if FLAGS.growth and (FLAGS.train or FLAGS.peers or FLAGS["streams"].present):
        raise InputError("--growth: of speaking, with channels of its own; leave out --train, --peers and --streams")
    if FLAGS.parts and any(FLAGS[name].present for name in ("train", "growth", "peers", *_NOT_OF_PARTS)):
        raise InputError("--parts: of the peers' sizes by the compiled engines; goes with --rounds and --json alone")
    for name in unused:
        if FLAGS[name].present:
            raise InputError(
                f"--{name}: of {'speaking' if FLAGS.train else 'training'}; leave it out or change --train"
            )


def _time_speech() -> dict[str, Any]:
    from zoo import matched, speed

    if FLAGS.peers:
        streams = matched.streams(FLAGS.engines, FLAGS.streams)
    else:
        streams = speed.streams(_wanted(), FLAGS.engines, FLAGS.streams)
    roofline = speed.time_in_turn(streams, FLAGS.seconds, FLAGS.rounds)
    rows = [speed.figures(stream, roofline) | matched.of_the_peer(stream, streams) for stream in streams]
    print("\n".join(speed.table(rows)))
    return {"machine": speed.machine(), "roofline": dataclasses.asdict(roofline), "rows": rows}


def _time_growth() -> dict[str, Any]:
    from zoo import growth, speed

    rows = growth.measure(_wanted(), FLAGS.engines, FLAGS.seconds, FLAGS.rounds)
    print("\n".join(growth.table(rows)))
    return {"machine": speed.machine(), "rows": rows}


def _time_parts() -> dict[str, Any]:
    from zoo import matched, parts, speed

    rows = matched.parts(FLAGS.rounds)
    print("\n".join(parts.table(rows)))
    return {"machine": speed.machine(), "seconds": rows}


def _time_models() -> list[dict[str, Any]]:
    timed = time_training(_wanted(), FLAGS.rounds, FLAGS.jit)
    print(f"{'model':12} {'preset':12} {'s a step':>9} {'audio s/s':>10} {'range':>14}")
    for row in timed:
        low, high = row["range"]
        speed = row["audio_seconds_per_second"]
        print(
            f"{row['model']:12} {row['preset']:12} {row['seconds_per_step']:9.3f} {speed:10.2f} {low:6.2f}-{high:.2f}"
        )
    return timed


def _time_peers() -> list[dict[str, Any]]:
    from zoo import peers

    steps = peers.steps()
    if peers.PEER not in steps:
        print("the peer is not installed: pip install torch==2.13.0 wavenet-vocoder==0.1.1")
    timed = peers.rate(steps, FLAGS.rounds)
    print(f"{'step':32} {'audio s/s':>10} {'range':>14} {'a CPU second':>13} {'of the peer, wall and CPU':>26}")
    rows = []
    for name, rates in timed.items():
        # Rounds are compared one by one: what slows one down slows the next one too.
        of_peer = np.median(rates / timed[peers.PEER], axis=0).tolist() if peers.PEER in timed else None
        wall, cpu = np.median(rates, axis=0)
        rows.append({"step": name, "audio_seconds_per_second": wall, "per_cpu_second": cpu, "of_the_peer": of_peer})
        shown = "-" if of_peer is None else "{:.2f}, {:.2f}".format(*of_peer)
        low, high = rates[:, 0].min(), rates[:, 0].max()
        print(f"{name:32} {wall:10.2f} {low:7.2f}-{high:.2f} {cpu:13.2f} {shown:>26}")
    return rows


if __name__ == "__main__":
    _define_flags()
    run_command(main)
