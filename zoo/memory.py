"""Whether the channels that are asked for fit into memory, said before it is taken."""

import pathlib

import tensorflow as tf

from datasets.errors import InputError

# A state lies there before and after a frame, and in the buffers of a compiled loop.
_COPIES = 3
_GIB = 2.0**30
_CGROUP = pathlib.Path("/sys/fs/cgroup")


def check(model, channels: int, seconds: float = 0.0) -> None:
    """Raises `InputError` where so many channels, and their sound of so many seconds, are more than what is free.

    Args:
        model: `zoo.agent.Speaker`.
        channels: that speak at once.
        seconds: of sound that is kept.
    """
    needed, free = channels * (_COPIES * state_bytes(model) + 4 * seconds * model.config.sample_rate), free_bytes()
    if needed > free:
        said = f"{channels} channels" + (f" of {seconds:g} s" if seconds else "")
        raise InputError(
            f"{said} would take about {needed / _GIB:.1f} GiB of memory, and {free / _GIB:.1f} GiB are free; ask for "
            f"fewer channels (--streams, the batch){' or a shorter time (--seconds)' if seconds else ''}"
        )


def state_bytes(model) -> int:
    """Of what a model carries from frame to frame, of one channel."""
    return sum(each.dtype.size * each.shape.num_elements() for each in tf.nest.flatten(model.initial_state(1)))


def free_bytes() -> float:
    """Memory that this process can still take: of the machine, and of the control group where that has a bound."""
    lines = pathlib.Path("/proc/meminfo").read_text().splitlines()
    free = [1024.0 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable")]
    bound, used = (_number(_CGROUP / name) for name in ("memory.max", "memory.current"))
    return min([*free, bound - used])


def _number(path: pathlib.Path) -> float:
    """What a file of the control group says; none of it, or "max", is no bound."""
    try:
        return float(path.read_text())
    except (OSError, ValueError):
        return float("inf") if path.name == "memory.max" else 0.0
