"""Post-nets of a Tacotron that reads a text; they see all of what the decoder has made, from both ends."""

import keras
import numpy as np
import tensorflow as tf

from zoo.layers import CausalConv
from zoo.tacotron.text import BothWaysCBHG, centred


class Levels(keras.layers.Layer):
    """Mean and spread of each band, counted: spectra in natural logarithms to standard ones and back.

    Args:
        bands: int.
    """

    def __init__(self, bands: int, **kwargs):
        super().__init__(**kwargs)
        self.bands = bands

    def build(self, input_shape=None):
        self.mean = self.add_weight(shape=(self.bands,), initializer="zeros", trainable=False, name="mean")
        self.scale = self.add_weight(shape=(self.bands,), initializer="ones", trainable=False, name="scale")

    def fit(self, frames: np.ndarray) -> None:
        """frames: [n, bands]."""
        self.mean.assign(frames.mean(axis=0))
        self.scale.assign(frames.std(axis=0) + 1e-3)

    def standard(self, spectra):
        return (spectra - self.mean) / self.scale

    def plain(self, standard):
        return standard * self.scale + self.mean


class ConvolvedPostNet(keras.layers.Layer):
    """Tacotron 2's: convolutions whose output is added to the mel frames (Shen et al. 2018, section 2.2).

    Args:
        bands, channels, layers, kernel_size: int.
    """

    def __init__(self, bands: int, channels: int, layers: int, kernel_size: int, **kwargs):
        super().__init__(**kwargs)
        widths = [channels] * (layers - 1) + [bands]
        self.bands = bands
        self.convs = [CausalConv(width, kernel_size, 1, name=f"conv{i}") for i, width in enumerate(widths)]

    def build(self, input_shape=None):
        inputs = self.bands
        for layer in self.convs:
            layer.build((None, None, inputs))
            inputs = layer.channels

    def call(self, mel, exists):
        """mel [batch, frames, bands], exists [batch, frames], 0 beyond each row's end -> of mel's shape."""
        x = mel
        for layer in self.convs:
            x = centred(layer, x * exists[..., None])
            x = x if layer is self.convs[-1] else tf.tanh(x)
        return mel + x


class CBHGPostNet(keras.layers.Layer):
    """Tacotron's: a CBHG from mel frames to linear spectra (Wang et al. 2017, section 3.3).

    The paper's second projection goes down to the bands of a mel frame; here all are as wide as the CBHG.

    Args:
        bands, bins: int. Of the frames that go in and come out.
        cbhg: `BothWaysCBHG`.
    """

    def __init__(self, bands: int, bins: int, cbhg: BothWaysCBHG, **kwargs):
        super().__init__(**kwargs)
        self.bands, self.cbhg = bands, cbhg
        self.out = keras.layers.Dense(bins, name="out")

    def build(self, input_shape=None):
        self.cbhg.build((None, None, self.bands))
        self.out.build((None, None, self.cbhg.width))

    def call(self, mel, exists):
        """mel [batch, frames, bands], exists [batch, frames] -> [batch, frames, bins]."""
        return self.out(self.cbhg(mel * exists[..., None], exists))
