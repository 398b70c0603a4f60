"""What an agent hears of the partner's frame, as `zoo.agent.DialogueModel.hear`, without TensorFlow.

One Fourier transform serves both the log-mel spectrum and the pitch, whose windows are the same.
"""

import math

import numpy as np

from datasets import features
from zoo import pitch
from zoo.compiling import compiled, part
from zoo.fused_layers import product
from zoo.hearing import BRIDGE_FRAMES
from zoo.products import array
from zoo.prosody import DB_PER_UNIT, EARLIER_FRAMES, LARGEST

_ONE, _ZERO = np.float32(1.0), np.float32(0.0)
_LOWEST_POWER, _LEAST_POWER = np.float32(features.LOWEST_POWER), np.float32(pitch.LEAST_POWER)
_DB = np.float32(10.0 / math.log(10.0))
_VOICED, _LARGEST, _DB_PER_UNIT = np.float32(pitch.VOICED), np.float32(LARGEST), np.float32(DB_PER_UNIT)


class Ears:
    """The ears of an agent and what they remember.

    Args:
        config: of the model.
        speech_db: float. Above it a frame is speech.
        state: of the model.

    Attributes:
        quiet, spurt: int32 [batch], as of `zoo.hearing.partner_ages`.
        mel: float32 [batch, bands].
        prosody: float32 [batch, 5].
    """

    def __init__(self, config, speech_db: float, state: dict):
        rate, hop = config.sample_rate, config.hop
        self._length = 2 ** int(np.ceil(np.log2(4 * hop)))
        self._window = np.hanning(2 * hop + 1)[:-1].astype(np.float32)
        # The spectrum of a transform half as long is every second bin.
        self._filters = array(features.mel_filters(rate, self._length // 2, config.mel_bands))
        spectrum = np.fft.rfft(self._window, self._length)
        bins = np.flatnonzero(np.fft.rfftfreq(self._length, 1.0 / rate) < pitch.SMOOTH_HZ)
        self._of_mean = spectrum[bins]
        lags, cost = pitch.periods(rate)
        at = np.concatenate([[0], lags])
        # Autocorrelation at lag 0 and at periods, by the window's own; all bins but the first stand for two.
        shares = np.where(bins > 0, 2.0, 1.0)[:, None] * np.cos(2.0 * np.pi * bins[:, None] * at / self._length)
        own = np.fft.irfft(np.abs(spectrum) ** 2, self._length)[at]
        self._correlate = (shares / self._length / own).astype(np.float32)
        self._known = np.float32(speech_db), cost, np.log2(rate / lags).astype(np.float32)
        self._past = np.array(state["partner_past"])
        heard = [np.array(state[key]) for key in ("quiet", "spurt", "mel", "prosody")]
        self.quiet, self.spurt, self.mel, self.prosody = heard
        self._intonation = [np.array(state["intonation"][key]) for key in ("recent", "sums", "held")]

    def hear(self, frame: np.ndarray) -> None:
        """Takes in float32 [batch, hop]."""
        batch = len(frame)
        windows, means, levels_db = np.empty((batch, len(self._window)), np.float32), *np.empty((2, batch), np.float32)
        _window_rows(windows, means, levels_db, self._past, frame, self._window)
        spectrum = np.fft.rfft(windows, self._length)
        power = np.empty((batch, len(self._filters)), np.float32)
        smooth = np.empty((batch, len(self._of_mean)), np.float32)
        _power_rows(power, smooth, _parts(spectrum), means, _parts(self._of_mean))
        self.mel = np.log(product(power, self._filters) + _LOWEST_POWER)
        likeness = product(smooth, self._correlate)
        _hear_rows(levels_db, likeness, *self._known, self.quiet, self.spurt, *self._intonation, self.prosody)


def _parts(numbers: np.ndarray) -> np.ndarray:
    """Complex [..., n] as real and imaginary ones [..., n, 2]."""
    return numbers.view(np.float64).reshape(*numbers.shape, 2)


@compiled
def _window_rows(windows, means, levels_db, past, frame, window):
    """The window over two frames, their mean, and the level of the second, which then is the past."""
    hop = frame.shape[1]
    for row in range(len(frame)):
        total, power = _ZERO, _ZERO
        for i in range(hop):
            before, now = past[row, i], frame[row, i]
            total += before + now
            power += now * now
            windows[row, i], windows[row, hop + i] = before * window[i], now * window[hop + i]
            past[row, i] = now
        means[row] = total / np.float32(2 * hop)
        levels_db[row] = _DB * np.log(power / np.float32(hop) + _LOWEST_POWER)


@compiled
def _power_rows(power, smooth, spectrum, means, of_mean):
    """Of every second bin, and of the lowest ones of the sound without its mean."""
    for row in range(len(power)):
        for i in range(power.shape[1]):
            real, imaginary = spectrum[row, 2 * i, 0], spectrum[row, 2 * i, 1]
            power[row, i] = real * real + imaginary * imaginary
        for i in range(smooth.shape[1]):
            real = spectrum[row, i, 0] - means[row] * of_mean[i, 0]
            imaginary = spectrum[row, i, 1] - means[row] * of_mean[i, 1]
            smooth[row, i] = real * real + imaginary * imaginary


@compiled
def _hear_rows(level_db, likeness, speech_db, cost, octaves, quiet, spurt, recent, sums, held, heard):
    """As `zoo.hearing.partner_ages`, `zoo.pitch.track` and `zoo.prosody.follow` of one frame, in place."""
    for row in range(len(quiet)):
        speech = level_db[row] > speech_db
        onset = speech and quiet[row] >= BRIDGE_FRAMES
        quiet[row] = 0 if speech else quiet[row] + 1
        spurt[row] = 0 if onset else spurt[row] + 1
        strength, octave = _period(likeness[row], cost, octaves)
        voiced = speech and strength > _VOICED
        for at in range(0, 4, 2):
            there, now = (voiced, octave) if at == 0 else (speech, level_db[row] / _DB_PER_UNIT)
            _follow(recent[row], sums[row], held[row], at, there, now)
        for i in range(4):
            heard[row, i] = held[row, i]
        heard[row, 4] = _ONE if voiced else _ZERO


@part
def _period(likeness, cost, octaves):
    """How much a frame is like itself a period later, and the octave of that rate."""
    power = likeness[0] + _LEAST_POWER
    best, most = 0, likeness[1] / power - cost[0]
    for i in range(1, len(cost)):
        found = likeness[1 + i] / power - cost[i]
        if found > most:
            best, most = i, found
    return likeness[1 + best] / power, octaves[best]


@part
def _follow(before, total, held, at, there, now):
    """A value that is there or not: its mean over the last frames against that of all, and against that before them."""
    frames = _ONE if there else _ZERO
    now *= frames
    total[at] += now
    total[at + 1] += frames
    if there:
        earlier, last = _ZERO, now
        frames_earlier = _ZERO
        for i in range(EARLIER_FRAMES):
            earlier += before[i, at]
            frames_earlier += before[i, at + 1]
        for i in range(EARLIER_FRAMES, len(before)):
            last += before[i, at]
            frames += before[i, at + 1]
        last /= frames
        rise = last - earlier / frames_earlier if frames_earlier > 0 else _ZERO
        held[at], held[at + 1] = _clipped(last - total[at] / total[at + 1]), _clipped(rise)
    for i in range(len(before) - 1):
        before[i, at], before[i, at + 1] = before[i + 1, at], before[i + 1, at + 1]
    before[-1, at], before[-1, at + 1] = now, _ONE if there else _ZERO


@part
def _clipped(x):
    return min(max(x, -_LARGEST), _LARGEST)
