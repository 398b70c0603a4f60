"""Features of sound in the graph, float32."""

import functools

import librosa
import numpy as np
import tensorflow as tf

from datasets.dialogue import FRAMES_PER_SECOND

LOWEST_POWER = 1e-8
LOWEST_HZ = 60.0


def log_mel(audio: tf.Tensor, past: tf.Tensor, sample_rate: int, bands: int) -> tf.Tensor:
    """Log-mel power of each frame and the one before it (40 ms Hann window that ends with the frame).

    Args:
        audio: float32 [batch, frames * hop].
        past: float32 [batch, hop], the frame before.
        sample_rate: Hz, a multiple of 50.
        bands: of the mel filterbank, from 60 Hz to half the sample rate.

    Returns:
        float32 [batch, frames, bands], natural logarithm.
    """
    hop = sample_rate // FRAMES_PER_SECOND
    fft_length = 2 ** int(np.ceil(np.log2(2 * hop)))
    spectrum = tf.signal.stft(tf.concat([past, audio], axis=1), 2 * hop, hop, fft_length)
    power = tf.square(tf.abs(spectrum))
    return tf.math.log(tf.matmul(power, mel_filters(sample_rate, fft_length, bands)) + LOWEST_POWER)


@functools.cache
def mel_filters(sample_rate: int, fft_length: int, bands: int) -> np.ndarray:
    """float32 [bins, bands]."""
    filters = librosa.filters.mel(sr=sample_rate, n_fft=fft_length, n_mels=bands, fmin=LOWEST_HZ)
    return filters.T.astype(np.float32)
