"""espeak-ng through ctypes: a text in, samples and the place of each of its words out.

The library and its data come in the wheel `espeakng-loader` (espeak-ng itself is GPLv3, so it stays an optional extra
behind this module). Its state is global and seeps from one text into the next - the same text sounds a little
different after another - so every call loads the library afresh, about 1 ms, and is a pure function of its arguments.
"""

import _ctypes
import ctypes
import functools
import threading
from collections.abc import Sequence

import numpy as np

from datasets.errors import InputError

SAMPLE_RATE = 22050
RATES_WORDS_PER_MINUTE = (80, 450)
_SYNCHRONOUS, _UTF8, _CHARACTERS = 2, 1, 1
_BUFFER_MS = 1 << 15
_RATE, _VOLUME, _PITCH, _RANGE = 1, 2, 3, 4  # espeak_PARAMETER
_WORD_EVENT = 1
_VOLUME_PERCENT = 60  # The loudest variants clip at 100.
_SEED = 1
_LOCK = threading.Lock()


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position_ms", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("name", ctypes.c_char * 8),
    ]


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


def available() -> bool:
    """Whether espeak-ng is installed and loads."""
    try:
        version()
    except InputError:
        return False
    return True


@functools.cache
def version() -> str:
    """Version of the espeak-ng library; raises `InputError` where it is not installed."""
    with _LOCK:
        library = _open()
        library.espeak_Info.restype = ctypes.c_char_p
        try:
            return library.espeak_Info(None).decode()
        finally:
            _close(library)


def say(
    words: Sequence[str], voice: str, pitch: int = 50, pitch_range: int = 50, rate: int = 200
) -> tuple[np.ndarray, np.ndarray]:
    """Speaks words in one breath.

    Args:
        words: plain words; one may hold spaces.
        voice: language and variant, such as "en-gb-scotland+f2".
        pitch: 0 to 99.
        pitch_range: 0 (monotone) to 99.
        rate: words per minute, 80 to 450.

    Returns:
        float32 [samples] at 22050 Hz, and the sample at which each word starts, int [words]. Words that espeak runs
        together ("of the") share their stretch by their numbers of letters.
    """
    text = " ".join(words)
    with _LOCK:
        audio, events = _synthesize(text.encode(), voice, {_PITCH: pitch, _RANGE: pitch_range, _RATE: rate})
    return audio, _word_starts(words, events, len(audio))


def _synthesize(text: bytes, voice: str, parameters: dict[int, int]) -> tuple[np.ndarray, list[tuple[int, int]]]:
    chunks, events = [], []

    @_Callback
    def collect(wav, n_samples, event):
        if n_samples > 0 and wav:
            chunks.append(np.ctypeslib.as_array(wav, (n_samples,)).copy())
        i = 0
        while event[i].type:
            if event[i].type == _WORD_EVENT:
                events.append((event[i].text_position - 1, event[i].sample))
            i += 1
        return 0

    library = _open()
    try:
        library.espeak_SetSynthCallback(collect)
        if library.espeak_SetVoiceByName(voice.encode()):
            raise ValueError(f"espeak-ng has no voice {voice!r}")
        for parameter, value in ({_VOLUME: _VOLUME_PERCENT} | parameters).items():
            library.espeak_SetParameter(parameter, int(value), 0)
        library.espeak_Synth(text, ctypes.c_size_t(len(text) + 1), 0, _CHARACTERS, 0, _UTF8, None, None)
        library.espeak_Terminate()
    finally:
        _close(library)
    audio = np.concatenate(chunks) if chunks else np.zeros(0, np.int16)
    return audio.astype(np.float32) / 32768, events


def _word_starts(words: Sequence[str], events: list[tuple[int, int]], n_samples: int) -> np.ndarray:
    lengths = np.array([len(word) for word in words])
    ends = np.cumsum(lengths + 1)
    starts = np.full(len(words), -1)
    for position, sample in events:
        word = int(np.searchsorted(ends, position, side="right"))
        if word < len(words) and starts[word] < 0:
            starts[word] = sample
    starts[0] = 0
    known = np.flatnonzero(starts >= 0)
    letters = np.concatenate([[0], np.cumsum(lengths)])
    marks = np.append(np.maximum.accumulate(starts[known]), n_samples)
    return np.interp(letters[:-1], letters[np.append(known, len(words))], marks).round().astype(int)


def _open() -> ctypes.CDLL:
    try:
        import espeakng_loader

        library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = espeakng_loader.get_data_path()
    except (ImportError, OSError, RuntimeError) as error:
        raise InputError(f"voices need espeak-ng: pip install 'babblezoo[voices]' ({error})") from error
    rate = library.espeak_Initialize(_SYNCHRONOUS, _BUFFER_MS, data.encode(), 0)
    if rate != SAMPLE_RATE:
        raise InputError(f"{data}: espeak-ng does not start from there; pip install --force-reinstall espeakng-loader")
    library.espeak_ng_SetRandSeed(ctypes.c_long(_SEED))
    return library


def _close(library: ctypes.CDLL) -> None:
    unload = getattr(_ctypes, "dlclose", None) or _ctypes.FreeLibrary
    unload(library._handle)
