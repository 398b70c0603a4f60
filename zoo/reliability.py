"""Are toggle hazards what they say: frames by the hazard that was predicted, against how often the gate did toggle.

A hazard is a chance in a frame of 20 ms. Bins are of equal width on a scale of its logarithm, for each role and for
each state of the own gate before.
"""

import numpy as np
import tensorflow as tf
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from zoo.agent import ROLES

EDGES = np.geomspace(1e-4, 1.0, 17)
_STATES = ("silent", "speaking")
_SHAPE = (len(ROLES), len(_STATES), len(EDGES) + 1)
# Fewer toggles than this say little of a rate.
_FEWEST = 5.0


def counts(hazard, toggled, gate_before, role, weight) -> tf.Tensor:
    """Sums by role, own state before and bin.

    Args:
        hazard, toggled, gate_before, weight: [batch, frames]; the predicted chance, 0 or 1, 0 or 1, share that counts.
        role: int32 [batch].

    Returns:
        float32 [roles, states, bins, 3]: frames, toggles expected, toggles observed.
    """
    bins = tf.searchsorted(tf.constant(EDGES, tf.float32), tf.reshape(hazard, [-1]))
    state = tf.reshape(tf.cast(gate_before > 0, tf.int32), [-1])
    role = tf.reshape(tf.broadcast_to(role[:, None], tf.shape(hazard)), [-1])
    values = tf.stack([weight, hazard * weight, toggled * weight], axis=-1)
    cell = (role * _SHAPE[1] + state) * _SHAPE[2] + bins
    summed = tf.math.unsorted_segment_sum(tf.reshape(values, [-1, 3]), cell, int(np.prod(_SHAPE)))
    return tf.reshape(summed, [*_SHAPE, 3])


def figures(counted: np.ndarray) -> dict[str, float]:
    """Toggles expected over observed, by role and by own state: from [roles, states, bins, 3]."""
    found = {}
    for names, kept_axis in ((ROLES, 0), (_STATES, 1)):
        for i, name in enumerate(names):
            _, expected, observed = counted.take(i, axis=kept_axis).sum(axis=(0, 1))
            if observed:
                found[f"toggles_expected_over_observed_{name}"] = float(expected / observed)
    return found


def rates(counted: np.ndarray) -> list[np.ndarray]:
    """For each own state, [bins that hold enough, 2]: the mean hazard predicted and the rate observed."""
    found = []
    for state in range(len(_STATES)):
        frames, expected, observed = np.moveaxis(counted[:, state].sum(axis=0), -1, 0)
        enough = (expected >= _FEWEST) & (observed > 0)
        found.append(np.stack([expected[enough], observed[enough]], axis=-1) / frames[enough, None])
    return found


def picture(counted: np.ndarray) -> np.ndarray:
    """Observed rate over predicted hazard, where the diagonal is agreement: uint8 [height, width, 3]."""
    figure = Figure(figsize=(4.0, 4.0), dpi=90, layout="constrained")
    canvas, axes = FigureCanvasAgg(figure), figure.subplots()
    axes.loglog([1e-4, 1.0], [1e-4, 1.0], color="grey", linewidth=0.8)
    for state, points in zip(_STATES, rates(counted), strict=True):
        axes.loglog(*points.T, "o", markersize=4, label=f"{state} before")
    axes.set(xlabel="hazard predicted, a frame", ylabel="toggles observed, a frame")
    axes.legend()
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
