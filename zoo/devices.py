"""Which devices TensorFlow found, and why there is no GPU where there is none."""

import glob
import importlib.util
import os

import tensorflow as tf


def describe() -> str:
    """One line for the start of a command."""
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        names = [tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name) for gpu in gpus]
        return f"{len(gpus)} GPU: {', '.join(names)}"
    return f"CPU, {len(os.sched_getaffinity(0))} cores; no GPU: {_why_no_gpu()}"


def side_by_side() -> None:
    """Gives an operation one thread and runs as many at once as there are cores, as shares of a batch want.

    For training on a CPU, before TensorFlow computes anything; `TF_NUM_INTRAOP_THREADS` and `TF_NUM_INTEROP_THREADS`
    have the last word.
    """
    if tf.config.list_physical_devices("GPU") or "TF_NUM_INTRAOP_THREADS" in os.environ:
        return
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(
        int(os.environ.get("TF_NUM_INTEROP_THREADS", len(os.sched_getaffinity(0))))
    )


def _why_no_gpu() -> str:
    if not tf.test.is_built_with_cuda():
        return "this TensorFlow is built without CUDA"
    if not glob.glob("/dev/nvidia[0-9]*"):
        return "this machine shows no NVIDIA device"
    if importlib.util.find_spec("nvidia") is None:
        return "an NVIDIA device is there but no CUDA libraries; pip install 'tensorflow[and-cuda]' (BUILD.md)"
    return "an NVIDIA device and CUDA libraries are there but do not match; see nvidia-smi and BUILD.md"
