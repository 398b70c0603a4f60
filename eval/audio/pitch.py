"""f0, voicing and harmonics-to-noise ratio by autocorrelation (Boersma 1993).

The autocorrelation of a windowed frame, divided by that of the window, has its highest peak at the period; the height r
is the periodic share of the power, so that 10 log10(r / (1 - r)) is the harmonics-to-noise ratio. Candidates of all
frames are joined by the cheapest path.

Beside librosa.pyin on 25 real recordings, where both hear a voice, the median difference is .9 % and 3 % of the frames
differ by more than a fifth; it takes a fiftieth of the time. pyworld does not import beside the pinned setuptools.
"""

import numpy as np
import scipy.fft

from eval.audio import signals

RATE = 8000
HOP_SECONDS = 0.010
LOWEST_HZ, HIGHEST_HZ = 65.0, 500.0
_WINDOW_SECONDS = 3 / LOWEST_HZ
_CANDIDATES = 4
_VOICING_THRESHOLD = 0.45
_SILENCE_THRESHOLD = 0.03
_OCTAVE_COST = 0.01
_JUMP_COST = 0.35 * HOP_SECONDS / 0.010
_VOICING_COST = 0.14 * HOP_SECONDS / 0.010
_LARGEST_R = 0.9999
_BLOCK = 2048


def track(audio: np.ndarray, sample_rate: int) -> tuple[np.ndarray, np.ndarray]:
    """f0 and harmonics-to-noise ratio each 10 ms.

    Sees noise, hoarseness and a wrong register. Blind to the spectrum, to what is said, and to any order beyond a few
    periods: shuffled speech keeps its pitch. In far-field sound the voiced share falls with the level of the room.

    Args:
        audio: float [samples], of one speaker.
        sample_rate: Hz.

    Returns:
        f0 in Hz and ratio in dB, each float64 [frames], both NaN where there is no voice.
    """
    audio = signals.at_rate(audio, sample_rate, RATE).astype(np.float64)
    length = round(_WINDOW_SECONDS * RATE)
    windows = signals.frames(audio, length, round(HOP_SECONDS * RATE))
    if not len(windows):
        return np.zeros(0), np.zeros(0)
    peak = max(float(np.abs(audio).max()), 1e-9)
    parts = [_candidates(windows[i : i + _BLOCK], peak) for i in range(0, len(windows), _BLOCK)]
    f0, r, unvoiced = (np.concatenate(each) for each in zip(*parts, strict=True))
    chosen = _cheapest_path(f0, r, unvoiced)
    voiced = chosen < _CANDIDATES
    place = np.arange(len(chosen)), chosen.clip(0, _CANDIDATES - 1)
    ratio = r[place].clip(1e-4, _LARGEST_R)
    return np.where(voiced, f0[place], np.nan), np.where(voiced, 10 * np.log10(ratio / (1 - ratio)), np.nan)


def _candidates(windows: np.ndarray, peak: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """f0 in Hz and height of the best peaks, each [n, 4], height -1 where there are fewer; strength of no voice [n]."""
    length = windows.shape[1]
    window = np.hanning(length)
    centred = windows - windows.mean(axis=1, keepdims=True)
    shortest, longest = int(RATE / HIGHEST_HZ), int(np.ceil(RATE / LOWEST_HZ))
    r = _autocorrelation(centred * window, longest + 2) / _autocorrelation(window[None], longest + 2)
    middle = r[:, shortest : longest + 1]
    left, right = r[:, shortest - 1 : longest], r[:, shortest + 1 : longest + 2]
    is_peak = (middle > left) & (middle >= right) & (middle > 0)
    # A parabola through three points gives the place and the height of the top between samples.
    curve = np.minimum(left - 2 * middle + right, -1e-12)
    offset = ((left - right) / (2 * curve)).clip(-0.5, 0.5)
    height = np.minimum(middle - (left - right) * offset / 4, 1.0)
    lag = np.arange(shortest, longest + 1) + offset
    strength = np.where(is_peak, height - _OCTAVE_COST * np.log2(LOWEST_HZ * lag / RATE), -1.0)
    best = np.argsort(-strength, axis=1, kind="stable")[:, :_CANDIDATES]
    present = np.take_along_axis(is_peak, best, axis=1)
    f0 = RATE / np.take_along_axis(lag, best, axis=1)
    loudness = np.abs(centred).max(axis=1) / peak
    quiet = np.maximum(0, 2 - loudness / (_SILENCE_THRESHOLD / (1 + _VOICING_THRESHOLD)))
    return f0, np.where(present, np.take_along_axis(height, best, axis=1), -1.0), _VOICING_THRESHOLD + quiet


def _autocorrelation(windows: np.ndarray, n_lags: int) -> np.ndarray:
    """Normalised to 1 at lag 0: [n, n_lags]."""
    size = scipy.fft.next_fast_len(windows.shape[1] + n_lags, real=True)
    power = np.abs(scipy.fft.rfft(windows, size, axis=1)) ** 2
    correlation = scipy.fft.irfft(power, size, axis=1)[:, :n_lags]
    return correlation / np.maximum(correlation[:, :1], 1e-12)


def _cheapest_path(f0: np.ndarray, r: np.ndarray, unvoiced: np.ndarray) -> np.ndarray:
    """Index of the candidate of each frame, `_CANDIDATES` for no voice: [n]."""
    n = len(f0)
    strength = np.where(r < 0, -np.inf, r - _OCTAVE_COST * np.log2(LOWEST_HZ / f0))
    score = np.concatenate([strength, unvoiced[:, None]], axis=1)
    octaves = np.log2(f0)
    cost = np.full((n - 1, _CANDIDATES + 1, _CANDIDATES + 1), _VOICING_COST)
    cost[:, :_CANDIDATES, :_CANDIDATES] = _JUMP_COST * np.abs(octaves[:-1, :, None] - octaves[1:, None, :])
    cost[:, _CANDIDATES, _CANDIDATES] = 0
    reached, came_from = score[0], np.zeros((n, _CANDIDATES + 1), int)
    for i in range(1, n):
        through = reached[:, None] - cost[i - 1]
        came_from[i] = through.argmax(axis=0)
        reached = through.max(axis=0) + score[i]
    path = np.empty(n, int)
    path[-1] = int(reached.argmax())
    for i in range(n - 1, 0, -1):
        path[i - 1] = came_from[i, path[i]]
    return path
