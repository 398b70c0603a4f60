"""What a model costs while it speaks: multiply-adds a second of audio, counted from the shapes of its matrices.

Looked-up rows of tables cost nothing, and what has no matrix of weights (spectra, element-wise parts, the products of
an attention with its memory) is left out.
"""

import math

import keras

from datasets.dialogue import FRAMES_PER_SECOND

_TABLES = ("embeddings", "table")


def multiply_adds_per_second(model, speaking: bool = True) -> float:
    """Of a `zoo.agent.Speaker`: both tiers of frames, where it has them, and the sound while its gate is open.

    Of a recogniser: all of its layers, once a frame.
    """
    if model.mode == "transcript":
        return FRAMES_PER_SECOND * sum(map(multiply_adds, model.layers))
    tiers = [getattr(model, name) for name in ("dialogue", "acoustic") if hasattr(model, name)]
    runs = [(tier, FRAMES_PER_SECOND) for tier in tiers]
    runs += model.sound.runs(model.config.sample_rate) if speaking else []
    return sum(multiply_adds(layer) * rate for layer, rate in runs)


def multiply_adds(layer: keras.layers.Layer) -> int:
    """Of one step of a layer and of all that it is made of."""
    return sum(
        math.prod(weight.shape)
        for weight in layer.trainable_weights
        if len(weight.shape) > 1 and weight.name not in _TABLES
    )
