"""What the report shows and plays: for each row of the table one excerpt, its sound and its pictures."""

import base64
import dataclasses
import io

import numpy as np
import soundfile

from datasets.dialogue import cut
from eval import figures

RAMP_SECONDS = 0.010
_SPECTRUM_SAMPLES = 512


@dataclasses.dataclass(frozen=True, eq=False)
class Excerpt:
    """A stretch of two channels: the row's own, and the partner it was up against.

    Attributes:
        own_audio, partner_audio: float32 [samples].
        own, partner: speech, [n, 2] seconds.
        sample_rate: Hz.
        note: what the sound is, where it is not the row's own, else "".
    """

    own_audio: np.ndarray
    partner_audio: np.ndarray
    own: np.ndarray
    partner: np.ndarray
    sample_rate: int
    note: str = ""

    @property
    def seconds(self) -> float:
        return len(self.own_audio) / self.sample_rate

    def first(self, seconds: float) -> "Excerpt":
        """The beginning of the excerpt."""
        if seconds >= self.seconds:
            return self
        samples = round(seconds * self.sample_rate)
        return dataclasses.replace(
            self,
            own_audio=self.own_audio[:samples],
            partner_audio=self.partner_audio[:samples],
            own=cut(self.own, 0, seconds),
            partner=cut(self.partner, 0, seconds),
        )


def speech_shaped_noise(
    own: np.ndarray, speech_audio: np.ndarray, speech: np.ndarray, sample_rate: int, rng: np.random.Generator
) -> np.ndarray:
    """Noise with the long-term spectrum and level of someone's speech, sounding in given intervals.

    Args:
        own: [n, 2] seconds, when it sounds.
        speech_audio: float32 [samples], the channel whose speech it is shaped after; gives the length too.
        speech: [m, 2] seconds, where that channel speaks; without any the result is silent.
        sample_rate: Hz.
        rng: the source of chance.

    Returns:
        float32 [samples], with 10 ms ramps at the edges of the intervals.
    """
    n_samples = len(speech_audio)
    spoken = speech_audio[_gate(speech, n_samples, sample_rate) > 0.5]
    if len(spoken) < _SPECTRUM_SAMPLES:
        return np.zeros(n_samples, np.float32)
    frames = spoken[: len(spoken) // _SPECTRUM_SAMPLES * _SPECTRUM_SAMPLES].reshape(-1, _SPECTRUM_SAMPLES)
    power = (np.abs(np.fft.rfft(frames * np.hanning(_SPECTRUM_SAMPLES), axis=1)) ** 2).mean(axis=0)
    spectrum = np.fft.rfft(rng.standard_normal(n_samples))
    shape = np.interp(np.linspace(0, 1, len(spectrum)), np.linspace(0, 1, len(power)), np.sqrt(power))
    noise = np.fft.irfft(spectrum * shape, n_samples)
    noise *= np.sqrt(np.mean(spoken**2) / max(np.mean(noise**2), 1e-12))
    return (noise * _gate(own, n_samples, sample_rate)).clip(-1, 1).astype(np.float32)


def flac_address(excerpt: Excerpt) -> str:
    """The excerpt as a stereo FLAC `data:` address, own channel left."""
    buffer = io.BytesIO()
    stereo = np.stack([excerpt.own_audio, excerpt.partner_audio], axis=1).clip(-1, 1)
    soundfile.write(buffer, stereo, excerpt.sample_rate, format="FLAC", subtype="PCM_16")
    return "data:audio/flac;base64," + base64.b64encode(buffer.getvalue()).decode()


def pictures(excerpt: Excerpt) -> dict[str, str]:
    """Strip (SVG), waveform and spectrogram (PNG addresses), all edge to edge on the same seconds."""
    e = excerpt
    return {
        "strip": figures.svg(lambda ax: figures.draw_strip(ax, e.own, e.partner, e.seconds), 9, 0.4),
        "waveform": figures.png(
            lambda ax: figures.draw_waveform(ax, e.own_audio, e.partner_audio, e.sample_rate), 12, 1.3
        ),
        "spectrogram": figures.png(lambda ax: figures.draw_spectrogram(ax, e.own_audio, e.sample_rate), 12, 1.1),
    }


def _gate(intervals: np.ndarray, n_samples: int, sample_rate: int) -> np.ndarray:
    """1 in the intervals and 0 outside, with ramps: float64 [n_samples]."""
    steps = np.zeros(n_samples + 1)
    edges = np.round(np.reshape(intervals, (-1, 2)) * sample_rate).astype(int).clip(0, n_samples)
    np.add.at(steps, edges[:, 0], 1)
    np.add.at(steps, edges[:, 1], -1)
    ramp = max(round(RAMP_SECONDS * sample_rate), 1)
    return np.convolve(np.cumsum(steps)[:n_samples], np.hanning(ramp + 2)[1:-1] / np.hanning(ramp + 2).sum(), "same")
