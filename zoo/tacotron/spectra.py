"""The spectra that a text is read as, and their way back to sound; all of it librosa's.

Windows of 50 ms every 12.5 ms, as in both papers; magnitudes, in natural logarithms above a floor. Phases are found by
Griffin and Lim's rounds over the whole (1984; in their fast form, Perraudin et al. 2013).
"""

import dataclasses

import librosa
import numpy as np

FRAMES_PER_SECOND = 80
_WINDOWS_PER_SECOND = 20
_FLOOR = 1e-4
_LOWEST_HZ = 60.0
_ROUNDS = 60
# Linear magnitudes are raised to this power before Griffin-Lim (Wang et al. 2017, section 3.3).
_SHARPEN = 1.2


@dataclasses.dataclass(frozen=True)
class Spectra:
    """Spectra at a sample rate.

    Attributes:
        sample_rate: Hz, a multiple of 400.
        mel_bands: from 60 Hz to half the sample rate.
    """

    sample_rate: int
    mel_bands: int

    @property
    def hop(self) -> int:
        """Samples from one frame to the next."""
        return self.sample_rate // FRAMES_PER_SECOND

    @property
    def window(self) -> int:
        """Samples of a frame's window, around the frame's first sample."""
        return self.sample_rate // _WINDOWS_PER_SECOND

    @property
    def bins(self) -> int:
        return self.window // 2 + 1

    def linear(self, audio: np.ndarray) -> np.ndarray:
        """Log magnitudes, float32 [frames, bins], of audio [frames * hop]; what lies outside counts as silence."""
        return _log(self._magnitudes(audio)).T

    def mel(self, audio: np.ndarray) -> np.ndarray:
        """Log mel magnitudes, float32 [frames, mel_bands], of audio as of `linear`."""
        filters = {"n_mels": self.mel_bands, "fmin": _LOWEST_HZ}
        found = librosa.feature.melspectrogram(S=self._magnitudes(audio), sr=self.sample_rate, **filters)
        return _log(found).T

    def sound_of_mel(self, mel: np.ndarray, seed: int = 0) -> np.ndarray:
        """Audio float32 [frames * hop] whose log mel magnitudes are about `mel` [frames, mel_bands]."""
        magnitudes = librosa.feature.inverse.mel_to_stft(
            np.exp(mel.T), sr=self.sample_rate, n_fft=self.window, power=1.0, fmin=_LOWEST_HZ
        )
        return self._sound(magnitudes, seed)

    def sound_of_linear(self, linear: np.ndarray, seed: int = 0) -> np.ndarray:
        """Audio float32 [frames * hop] whose log magnitudes are about `linear` [frames, bins], sharpened."""
        return self._sound(np.exp(_SHARPEN * linear.T), seed)

    def _magnitudes(self, audio):
        spectrum = librosa.stft(np.asarray(audio, np.float32), n_fft=self.window, hop_length=self.hop)
        return np.abs(spectrum[:, : len(audio) // self.hop])

    def _sound(self, magnitudes, seed):
        length = magnitudes.shape[1] * self.hop
        # The window around the end, which no frame begins at.
        magnitudes = np.pad(magnitudes, ((0, 0), (0, 1)), mode="edge")
        return librosa.griffinlim(
            magnitudes, n_iter=_ROUNDS, hop_length=self.hop, n_fft=self.window, length=length, random_state=seed
        ).astype(np.float32)


def _log(magnitudes):
    return np.log(np.maximum(magnitudes, _FLOOR)).astype(np.float32)
