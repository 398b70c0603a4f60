"""What the report shows and plays: for each row of the table one excerpt of the same chunk, beside one partner."""

import base64
import dataclasses
import io
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import soundfile

from datasets.audio import resample
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


@dataclasses.dataclass(frozen=True)
class Codec:
    """How sound is written into a page. Every browser plays both.

    Attributes:
        name: of the format, as soundfile has it.
        rates: Hz that it can have, ascending; empty for any.
    """

    name: str
    rates: tuple[int, ...] = ()

    def address(self, audio: np.ndarray, sample_rate: int) -> str:
        """One channel, float32 [samples], as a `data:` address."""
        rate = next((each for each in self.rates if each >= sample_rate), self.rates[-1] if self.rates else sample_rate)
        buffer = io.BytesIO()
        soundfile.write(buffer, resample(audio.clip(-1, 1), sample_rate, rate), rate, format=self.name)
        return f"data:audio/{self.name.lower()};base64," + base64.b64encode(buffer.getvalue()).decode()


FLAC = Codec("FLAC")
MP3 = Codec("MP3", (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000))
# What a page with much sound gives up: first the exact samples, then length.
CHOICES = ((FLAC, 60.0), (MP3, 60.0), (MP3, 45.0), (MP3, 30.0), (MP3, 20.0), (MP3, 10.0), (MP3, 5.0))


@dataclasses.dataclass(frozen=True, eq=False)
class Voice:
    """One row of the gallery: a channel, and who else spoke meanwhile.

    Attributes:
        audio: float32 [samples].
        sample_rate: Hz.
        own, partner: speech, [n, 2] seconds; that of the partner is empty for the partner itself.
    """

    audio: np.ndarray
    sample_rate: int
    own: np.ndarray
    partner: np.ndarray

    def first(self, seconds: float) -> "Voice":
        """The beginning of it."""
        own, partner = (cut(each, 0, seconds) for each in (self.own, self.partner))
        return Voice(self.audio[: round(seconds * self.sample_rate)], self.sample_rate, own, partner)


def voices(excerpts: Sequence[Excerpt]) -> list[Voice]:
    """The partner of the excerpts, who is the same in all of them, then the own channel of each."""
    first = excerpts[0]
    partner = Voice(first.partner_audio, first.sample_rate, first.partner, np.zeros((0, 2)))
    return [partner, *(Voice(each.own_audio, each.sample_rate, each.own, each.partner) for each in excerpts)]


def in_budget(channels: Sequence[Voice], budget_bytes: int) -> tuple[list[str], Codec, float]:
    """The sound of all channels as `data:` addresses, the codec, and the seconds of each that fit.

    Exact samples are given up first, then length, down to the last of `CHOICES`, which is taken in any case.
    """
    longest = max((len(each.audio) / each.sample_rate for each in channels), default=0.0)
    for codec, seconds in CHOICES:
        most_bytes = math.inf if (codec, seconds) == CHOICES[-1] else budget_bytes
        shown = (each.first(seconds) for each in channels)
        addresses = _until(most_bytes, (codec.address(each.audio, each.sample_rate) for each in shown))
        if len(addresses) == len(channels):
            break
    return addresses, codec, min(seconds, longest)


def _until(most_bytes: float, addresses: Iterable[str]) -> list[str]:
    """As many of them as fit."""
    kept, size = [], 0
    for address in addresses:
        size += len(address)
        if size > most_bytes:
            break
        kept.append(address)
    return kept


def content(channels: Sequence[Voice], addresses: Sequence[str], seconds: float) -> dict[str, Any]:
    """What the page's script shows: of each channel its sound, mel spectrogram and speech."""
    rows = []
    for voice, address in zip(channels, addresses, strict=True):
        shown = voice.first(seconds)
        row = {"sound": address, "rate": voice.sample_rate, "mel": figures.mel_address(shown.audio, shown.sample_rate)}
        rows.append(row | {name: np.round(getattr(shown, name), 4).tolist() for name in ("own", "partner")})
    return {"seconds": round(seconds, 4), "rows": rows}


def _gate(intervals: np.ndarray, n_samples: int, sample_rate: int) -> np.ndarray:
    """1 in the intervals and 0 outside, with ramps: float64 [n_samples]."""
    steps = np.zeros(n_samples + 1)
    edges = np.round(np.reshape(intervals, (-1, 2)) * sample_rate).astype(int).clip(0, n_samples)
    np.add.at(steps, edges[:, 0], 1)
    np.add.at(steps, edges[:, 1], -1)
    ramp = max(round(RAMP_SECONDS * sample_rate), 1)
    return np.convolve(np.cumsum(steps)[:n_samples], np.hanning(ramp + 2)[1:-1] / np.hanning(ramp + 2).sum(), "same")
