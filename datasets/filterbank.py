"""Log-mel spectra in numpy, for what hears speech without TensorFlow as well as with it.

Windows of 20 ms every 10 ms, as those of Hannun et al. 2014, section 5.
"""

import dataclasses
import functools

import librosa
import numpy as np
import scipy.fft

FRAMES_PER_SECOND = 100
LEVEL_DB = -26.0
_WINDOWS_PER_SECOND = 50
_LOWEST_HZ = 60.0
# Of a band, beside speech at `LEVEL_DB`, which has 1e-3 to 1 where it is loud.
FLOOR = 1e-7
_SILENCE = 1e-10


@dataclasses.dataclass(frozen=True)
class FilterBank:
    """Log-mel spectra at a sample rate.

    Attributes:
        sample_rate: Hz, a multiple of 100.
        bands: from 60 Hz to half the sample rate.
    """

    sample_rate: int
    bands: int

    @property
    def hop(self) -> int:
        """Samples from one frame to the next."""
        return self.sample_rate // FRAMES_PER_SECOND

    def __call__(self, audio: np.ndarray) -> np.ndarray:
        """Natural logarithms of the power in each band, float32 [frames, bands].

        Args:
            audio: float32 [samples]; a frame begins at each whole hop, its window reaches as far beyond it as before.
        """
        length, margin = self.sample_rate // _WINDOWS_PER_SECOND, self.hop // 2
        n_frames = len(audio) // self.hop
        if not n_frames:
            return np.zeros((0, self.bands), np.float32)
        padded = np.pad(np.asarray(audio[: n_frames * self.hop], np.float32), (margin, length - self.hop - margin))
        window = np.hanning(length + 1)[:-1].astype(np.float32)
        windows = np.lib.stride_tricks.sliding_window_view(padded, length)[:: self.hop] * window
        spectrum = scipy.fft.rfft(windows, self._fft_length, axis=1)
        power = np.square(spectrum.real) + np.square(spectrum.imag)
        return np.log(power @ self.filters.T / np.square(window).sum() + FLOOR)

    @property
    def filters(self) -> np.ndarray:
        """Triangles with peaks of 1, float32 [bands, bins]; of white noise a band has their sum times its power."""
        return _filters(self.sample_rate, self._fft_length, self.bands)

    @property
    def _fft_length(self) -> int:
        return 2 ** int(np.ceil(np.log2(self.sample_rate // _WINDOWS_PER_SECOND)))


def levelled(audio: np.ndarray) -> np.ndarray:
    """At `LEVEL_DB` below full scale, root mean square over all of it: float32 [samples]; silence stays what it is."""
    power = float(np.mean(np.square(audio, dtype=np.float64))) if len(audio) else 0.0
    return (audio * np.sqrt(10 ** (LEVEL_DB / 10) / power) if power > _SILENCE else audio).astype(np.float32)


@functools.cache
def _filters(sample_rate: int, fft_length: int, bands: int) -> np.ndarray:
    options = {"sr": sample_rate, "n_fft": fft_length, "n_mels": bands, "fmin": _LOWEST_HZ, "norm": None}
    return librosa.filters.mel(**options).astype(np.float32)
