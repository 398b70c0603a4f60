"""From spectra to sound, frame by frame.

The papers' vocoders are Griffin and Lim's rounds (1984), which go over a whole utterance again and again, and a
WaveNet. Griffin and Lim's rounds without look-ahead (Beauregard, Zhu and Wyse 2005) were tried here: each window takes
its phases from the overlap with those before, so a rounding error grows a hundred-thousandfold in half a second, and
one seed did not give the same sound before and after an export. So phases come from a source: pulses where the frame
is voiced, noise where it is not, continued from frame to frame. Windows of it are given the spectra and overlap. Sound
comes out once no later window adds to it: it lags the gate by half a window, 20 / r ms for r spectra a frame.
"""

import functools

import librosa
import numpy as np
import tensorflow as tf

from datasets.dialogue import FRAMES_PER_SECOND
from datasets.features import LOWEST_HZ


class StreamingInverse:
    """Gives a source its spectra, the overlap of windows kept from call to call.

    Args:
        sample_rate: Hz.
        per_frame: int. Spectra in 20 ms; divides the samples of a frame.
    """

    def __init__(self, sample_rate: int, per_frame: int):
        self.frame_samples = sample_rate // FRAMES_PER_SECOND
        self.per_frame, self.hop = per_frame, self.frame_samples // per_frame
        self.fft_length = 2 ** int(np.ceil(np.log2(2 * self.frame_samples)))
        # Adds up to one at half its length.
        self.window = np.hanning(2 * self.hop + 1)[:-1].astype(np.float32)

    @property
    def lag_samples(self) -> int:
        return self.hop

    def initial_state(self, batch) -> dict:
        """The source that the next window begins with, and what windows so far add to it and to what follows."""
        return {"source": tf.zeros([batch, self.hop]), "sound": tf.zeros([batch, self.fft_length])}

    def __call__(self, gains, source, state):
        """One frame.

        Args:
            gains: [batch, per_frame, fft_length // 2 + 1], of `gains`.
            source: [batch, samples of a frame], of unit power.
            state: as `initial_state` gives and as returned.

        Returns:
            [batch, samples of a frame], state.
        """
        kept, sound = state["source"], state["sound"]
        said, forward = [], (np.arange(self.fft_length) < self.forward_samples).astype(np.float32)
        for i in range(self.per_frame):
            fresh = source[:, i * self.hop : (i + 1) * self.hop]
            spectrum = tf.signal.rfft(self.window * tf.concat([kept, fresh], axis=1), [self.fft_length])
            part = tf.signal.irfft(spectrum * tf.cast(gains[:, i], tf.complex64), [self.fft_length])
            # What a filter without delay adds before its window stands at the end.
            sound += part * forward
            said.append(sound[:, : self.hop])
            kept, sound = fresh, tf.pad(sound[:, self.hop :], [[0, 0], [0, self.hop]])
        return tf.concat(said, axis=1), {"source": kept, "sound": sound}

    @property
    def forward_samples(self) -> int:
        """Of a window and what it is given a spectrum by, those at and after its start."""
        return (self.fft_length + 2 * self.hop) // 2


def gains(log_mel, sample_rate: int):
    """Gains of bins [..., bins] that give white noise of unit power a log-mel spectrum [..., bands].

    Each band's mean power, between bands by the shares of their triangles: never negative, unlike a pseudo-inverse.
    """
    return tf.sqrt(tf.tensordot(tf.exp(log_mel), spread(sample_rate, log_mel.shape[-1]), 1))


@functools.cache
def spread(sample_rate: int, bands: int) -> np.ndarray:
    """float32 [bands, bins]."""
    samples = 2 * (sample_rate // FRAMES_PER_SECOND)
    fft_length = 2 ** int(np.ceil(np.log2(samples)))
    filters = librosa.filters.mel(sr=sample_rate, n_fft=fft_length, n_mels=bands, fmin=LOWEST_HZ)
    triangles = filters / np.maximum(filters.max(axis=1, keepdims=True), 1e-9)
    shares = triangles / np.maximum(triangles.sum(axis=0, keepdims=True), 1e-9)
    of_noise = np.square(np.hanning(samples + 1)[:-1]).sum() * np.maximum(filters.sum(axis=1, keepdims=True), 1e-9)
    return (shares / of_noise).astype(np.float32)
