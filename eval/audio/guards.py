"""Guards: signs of collapse that a mean over sound hides. Each is a number that is read beside the human one."""

from collections.abc import Mapping

import numpy as np

from eval.audio import signals

CLIPPED_LEVEL = 0.985
FRAME_SECONDS = 0.020
_TONE_SECONDS = 0.5
# What is flagged; shares are of time, of samples, of power.
LEAST_SPEECH_RATIO = 0.2
MOST_CLIPPED = 1e-3
MOST_DIGITAL_SILENCE = 0.05
MOST_TONE = 0.5
LEAST_RANGE_DB = 6.0
MOST_REPLAYED = 0.05


def clipped_share(audio: np.ndarray, sample_rate: int) -> float:
    """Share of the samples that lie, three and more in a row, at the same peak of at least .985 of full scale."""
    audio = signals.validate(audio, sample_rate)
    held = (np.abs(audio) >= CLIPPED_LEVEL) & (np.abs(np.diff(audio, prepend=np.inf)) < 1e-4)
    three = held[1:-1] & held[2:] if len(held) > 2 else held[:0]
    return float(np.mean(three)) if len(three) else 0.0


def digital_silence_share(audio: np.ndarray, sample_rate: int) -> float:
    """Share of whole 20 ms frames that hold one value throughout: no microphone does that."""
    audio = signals.validate(audio, sample_rate)
    frames = signals.frames(audio, *2 * (round(FRAME_SECONDS * sample_rate),))
    return float(np.mean(np.ptp(frames, axis=1) == 0)) if len(frames) else 1.0


def level_range_db(audio: np.ndarray, sample_rate: int) -> float:
    """From the 5th to the 95th percentile of the level of 20 ms frames: over 20 dB in speech, below 3 dB in a hum."""
    frames = signals.frames(signals.validate(audio, sample_rate), *2 * (round(FRAME_SECONDS * sample_rate),))
    if not len(frames):
        return float("nan")
    level = 10 * np.log10(np.mean(np.square(frames, dtype=np.float64), axis=1) + 1e-12)
    return float(np.diff(np.percentile(level, (5, 95)))[0])


def tone_share(audio: np.ndarray, sample_rate: int) -> float:
    """Share of the power in the strongest line of the long-term spectrum, three bins of 2 Hz: near 1 for a tone."""
    length = round(_TONE_SECONDS * sample_rate)
    windows = signals.frames(signals.validate(audio, sample_rate), length, length // 2)
    if not len(windows):
        return float("nan")
    power = np.zeros(length // 2 + 1)
    for window in windows:
        power += np.abs(np.fft.rfft(window * np.hanning(length))) ** 2
    return float(np.convolve(power, np.ones(3), "same").max() / max(power.sum(), 1e-12))


def flags(found: Mapping[str, float], human: Mapping[str, float]) -> list[str]:
    """What is wrong with a row, a few words each.

    Args:
        found, human: speech_share, clipped_share, digital_silence, tone_share, level_range, and replayed where it was
            looked for; NaN where a row has no speech.
    """
    said = []
    if found["speech_share"] < LEAST_SPEECH_RATIO * human["speech_share"]:
        said.append(f"silence: speaks {found['speech_share']:.1%} of the time, humans {human['speech_share']:.1%}")
    if found["digital_silence"] > MOST_DIGITAL_SILENCE + human["digital_silence"]:
        said.append(f"digital silence: {found['digital_silence']:.0%} of what was taken for speech")
    if found["clipped_share"] > MOST_CLIPPED + human["clipped_share"]:
        said.append(f"clipped: {found['clipped_share']:.2%} of the samples")
    if found["tone_share"] > max(MOST_TONE, human["tone_share"]):
        said.append(f"a tone: {found['tone_share']:.0%} of the power in one line")
    if found["level_range"] < min(LEAST_RANGE_DB, human["level_range"]):
        said.append(f"a constant sound: its level moves by {found['level_range']:.1f} dB")
    if found.get("replayed", 0) > MOST_REPLAYED + human.get("replayed", 0):
        said.append(f"replay: {found['replayed']:.0%} of its seconds are in the training audio")
    return said
