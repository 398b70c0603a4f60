"""Synthetic voices that put every word at its given start and end.

A breath group - words with less than 0.2 s between them - is spoken in one go, at about the rate that its time
affords, and then bent so that each word fills its place. Between words and between breaths there is room tone, never
digital zero. The voices are Scottish ones of espeak-ng, robotic and many; or two American ones of neural networks
(`natural`), which differ from speaker to speaker by the length of the vocal tract alone.
"""

import dataclasses
import hashlib
import re
from collections.abc import Iterator, Sequence

import numpy as np
import soxr
from scipy import signal

from datasets import dialogue as dialogue_lib
from datasets.corpora import espeak, natural
from datasets.corpora.prosody import Intonation, Intonations, Move, glide
from datasets.corpora.warp import warp
from datasets.dialogue import Word

KINDS = ("espeak", "natural")
RENDER_VERSION = 3  # Raise it with every change of what is heard.
SPEECH_DBFS = -23.0
ROOM_TONE_DBFS = -65.0
_LANGUAGE = "en-gb-scotland"
_MALE = (
    "m1 m2 m3 m4 m5 m6 m7 adam boris Denis edward grandpa Lee Mario max Michael Mike norbert quincy "
    "RicishayMax rob robert sandro travis victor"
).split()
_FEMALE = "f1 f2 f3 f4 f5 Alicia Annie aunty belinda grandma linda shelby steph".split()
_NATURAL_TRACTS = (0.88, 1.12)
_PLAIN_RATE = 220  # Words per minute; espeak's tempo is proportional to it.
_TEMPO_TOLERANCE = 1.3  # A breath further than this from its time is spoken again, faster or slower.
_TOUCHING_SECONDS = 0.010
_TRIM_DB = -23.0  # Against the breath; the sound of a word starts and ends here.
_TRIM_FRAME_SECONDS = 0.010
_FADE_SECONDS = 0.004
_FALL_SECONDS = 0.25
_PEAK = 0.97


@dataclasses.dataclass(frozen=True)
class Voice:
    """How one speaker sounds.

    Attributes:
        name: of the espeak-ng voice and variant, or one of `natural.NAMES`.
        pitch: 0 to 99 on the variant's own scale; natural voices have their own.
        pitch_range: 0 (monotone) to 99; the same.
        tract: scales formants and pitch, as a shorter vocal tract does.
        level_dbfs: root mean square of the speech.
    """

    name: str
    pitch: int = 50
    pitch_range: int = 50
    tract: float = 1.0
    level_dbfs: float = SPEECH_DBFS


def available() -> bool:
    """Whether espeak-ng is installed, without which nothing here can speak."""
    return espeak.available()


def voice_for(speaker: str, gender: str | None = None, seed: int = 0, kind: str = "espeak") -> Voice:
    """The voice of a speaker: always the same for the same identity, gender ("m", "f", None: drawn), seed and kind."""
    rng = generator("voice", speaker, seed)
    drawn = rng.choice(["m", "f"])
    is_female = (gender or drawn).lower().startswith("f")
    if kind == "natural":
        return Voice(
            name=natural.FEMALE if is_female else natural.MALE,
            tract=float(rng.uniform(*_NATURAL_TRACTS)),
            level_dbfs=SPEECH_DBFS + float(rng.uniform(-2, 2)),
        )
    return Voice(
        name=f"{_LANGUAGE}+{rng.choice(_FEMALE if is_female else _MALE)}",
        pitch=int(rng.integers(35, 66)),
        pitch_range=int(rng.integers(40, 76)),
        tract=float(rng.uniform(0.95, 1.06)),
        level_dbfs=SPEECH_DBFS + float(rng.uniform(-2, 2)),
    )


def generator(*identity) -> np.random.Generator:
    """A generator seeded by a stable hash of whatever names the draw."""
    digest = hashlib.sha256(repr(identity).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "little"))


def render(dialogue: dialogue_lib.Dialogue, sample_rate: int, seed: int = 0, kind: str = "espeak") -> np.ndarray:
    """Both channels of a dialogue, float32 [2, samples].

    Its `info["speaker_info"]` may hold the speakers' genders, `info["moves"]` what sets their intonation: per channel
    (start, end, label) of each dialogue move.
    """
    people = dialogue.info.get("speaker_info") or ({}, {})
    moves = dialogue.info.get("moves") or ((), ())
    return np.stack(
        [
            speak(
                with_mumbles(dialogue.words[channel], dialogue.speech[channel]),
                dialogue.duration_seconds,
                voice_for(dialogue.speakers[channel], people[channel].get("gender"), seed, kind),
                sample_rate,
                generator("room tone", dialogue.name, channel, seed),
                [Move(*move) for move in moves[channel]],
            )
            for channel in (0, 1)
        ]
    )


def speak(
    words: Sequence[Word],
    duration_seconds: float,
    voice: Voice,
    sample_rate: int,
    rng: np.random.Generator,
    moves: Sequence[Move] = (),
) -> np.ndarray:
    """One channel: the words at their times, in room tone.

    Args:
        words: sorted by start; what overlaps the next word is cut there.
        duration_seconds: of the channel.
        voice: who speaks.
        sample_rate: Hz.
        rng: draws the room tone.
        moves: set the intonation (`prosody`); of it natural voices have the glide and the fading at an end alone.

    Returns:
        float32 [round(duration_seconds * sample_rate)], within [-1, 1].

    Raises:
        InputError: espeak-ng is not installed.
    """
    n_samples = round(duration_seconds * sample_rate)
    audio = np.zeros(n_samples, np.float32)
    n_speech, power = 0, 0.0
    intonations = Intonations(moves)
    for breath in _breaths(_tidy(words, duration_seconds)):
        for start, sound in _utter(breath, voice, intonations.of(breath), sample_rate):
            sound = sound[: max(n_samples - start, 0)]
            audio[start : start + len(sound)] += sound
            n_speech += len(sound)
            power += float(np.square(sound, dtype=np.float64).sum())
    if power:
        audio *= _amplitude(voice.level_dbfs) / np.sqrt(power / n_speech)
    audio += _room_tone(n_samples, sample_rate, rng)
    return audio * np.float32(min(1.0, _PEAK / max(np.abs(audio).max(initial=0.0), 1e-9)))


def with_mumbles(words: Sequence[Word], speech: np.ndarray) -> list[Word]:
    """The words, and syllables wherever there is speech ([n, 2] seconds) without words, in order of time."""
    gaps = []
    for start, end in speech:
        inside = [word for word in words if word.end > start and word.start < end]
        edges = [start, *(edge for word in inside for edge in (word.start, word.end)), end]
        gaps += [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a > 2 * _TOUCHING_SECONDS]
    mumbles = [
        Word(a, b, " ".join(["uh", "muh", "nuh"][i % 3] for i in range(round((b - a) / 0.25) or 1))) for a, b in gaps
    ]
    return sorted([*words, *mumbles], key=lambda word: word.start)


def spoken_form(text: str) -> str:
    """What espeak is asked to say for a transcribed token; never empty."""
    plain = text.lower().replace("\u2019", "'").replace("\u2018", "'")
    is_fragment = plain.startswith("--") or plain.endswith("--")
    plain = re.sub(r"[^a-z0-9' ]+", " ", plain)
    plain = " ".join(piece.strip("'") for piece in plain.split()).strip()
    plain = _SPOKEN.get(plain, plain)
    if is_fragment and not re.search("[aeiouy0-9]", plain):
        plain += "uh"
    return plain or "uh"


_SPOKEN = {"ehm": "em", "mmhmm": "mm hmm", "til": "till"}


def _tidy(words: Sequence[Word], duration_seconds: float) -> list[Word]:
    limits = [word.start for word in words][1:] + [duration_seconds]
    cut = [Word(word.start, min(word.end, limit), word.text) for word, limit in zip(words, limits, strict=False)]
    return [word for word in cut if word.end > word.start]


def _breaths(words: Sequence[Word], gap_seconds: float = dialogue_lib.BRIDGE_SECONDS) -> Iterator[list[Word]]:
    group: list[Word] = []
    for word in words:
        if group and word.start - group[-1].end >= gap_seconds:
            yield group
            group = []
        group.append(word)
    if group:
        yield group


def _utter(
    breath: Sequence[Word], voice: Voice, intonation: Intonation, sample_rate: int
) -> Iterator[tuple[int, np.ndarray]]:
    """(start sample, sound) of each run of touching words of a breath."""
    seconds = sum(word.end - word.start for word in breath)
    voice = dataclasses.replace(
        voice,
        pitch=int(np.clip(voice.pitch + intonation.pitch, 0, 99)),
        pitch_range=int(np.clip(voice.pitch_range + intonation.pitch_range, 0, 99)),
    )
    audio, marks = _say([word.text for word in breath], seconds, voice, sample_rate, intonation.mark)
    threshold = _amplitude(_TRIM_DB) * np.sqrt(np.mean(np.square(audio)))
    i = 0
    for run in _breaths(breath, _TOUCHING_SECONDS):
        inner = marks[i : i + len(run) + 1]
        i += len(run)
        edges = np.array([word.start for word in run] + [run[-1].end])
        places = np.round(edges * sample_rate).astype(int)
        octaves = intonation.glide_octaves if run[-1] is breath[-1] else 0.0
        sound = _fit(audio, inner, places - places[0], threshold, sample_rate, octaves)
        if sound is None:
            hum, hum_marks = _say(["uh"], run[-1].end - run[0].start, voice, sample_rate)
            sound = _fit(hum, hum_marks, (places - places[0])[[0, -1]], 0.01 * np.abs(hum).max(), sample_rate)
        if run[-1] is breath[-1] and intonation.fall_db:
            _fade(sound, intonation.fall_db, sample_rate)
        yield places[0], sound


def _fade(sound: np.ndarray, fall_db: float, sample_rate: int) -> None:
    """Lets the end of a sound fade in place, along a straight line in decibels."""
    n = min(len(sound), round(_FALL_SECONDS * sample_rate))
    sound[len(sound) - n :] *= _amplitude(np.linspace(0.0, -fall_db, n, dtype=np.float32))


def _say(
    texts: Sequence[str], seconds: float, voice: Voice, sample_rate: int, mark: str = ""
) -> tuple[np.ndarray, np.ndarray]:
    """Audio of about so many seconds at `sample_rate`, and the samples where words start, then the end."""
    forms = [spoken_form(text) for text in texts]
    forms[-1] += mark if voice.name not in natural.NAMES else ""
    audio, starts = _pronounce(forms, voice, 1.0)
    tempo = len(audio) / espeak.SAMPLE_RATE / seconds
    if not 1 / _TEMPO_TOLERANCE < tempo < _TEMPO_TOLERANCE:
        audio, starts = _pronounce(forms, voice, tempo)
    from_rate = espeak.SAMPLE_RATE * voice.tract
    marks = np.append(starts, len(audio)) * (sample_rate / from_rate)
    return soxr.resample(audio, from_rate, sample_rate), marks.round().astype(int)


def _pronounce(forms: Sequence[str], voice: Voice, tempo: float) -> tuple[np.ndarray, np.ndarray]:
    """float32 [samples] at 22050 Hz, and the samples where words start."""
    if voice.name in natural.NAMES:
        return natural.say(forms, voice.name, tempo)
    rate = int(np.clip(_PLAIN_RATE * tempo, *espeak.RATES_WORDS_PER_MINUTE))
    return espeak.say(forms, voice.name, voice.pitch, voice.pitch_range, rate)


def _fit(
    audio, marks: np.ndarray, places: np.ndarray, threshold: float, sample_rate: int, glide_octaves: float = 0.0
) -> np.ndarray | None:
    """The stretch between the outer marks, without the silence at its ends, bent to `places`; None if it is silent."""
    piece = audio[marks[0] : marks[-1]]
    frame = round(_TRIM_FRAME_SECONDS * sample_rate)
    level = np.sqrt(np.convolve(np.square(piece), np.full(frame, 1 / frame), "same")) if len(piece) > frame else piece
    loud = np.flatnonzero(level > threshold)
    if len(loud) < 2 * frame:
        return None
    first, last = marks[0] + loud[0], marks[0] + loud[-1] + 1
    inner = np.clip(marks, first, last)
    if glide_octaves:
        audio, inner = glide(audio, inner, glide_octaves, sample_rate)
    sound = warp(audio, inner, places, sample_rate)
    fade = min(round(_FADE_SECONDS * sample_rate), len(sound) // 4)
    ramp = np.linspace(0, 1, fade, endpoint=False, dtype=np.float32)
    sound[:fade] *= ramp
    sound[len(sound) - fade :] *= ramp[::-1]
    return sound


def _room_tone(n_samples: int, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    """Noise that falls by 6 dB an octave above 500 Hz."""
    pole = np.exp(-2 * np.pi * 500 / sample_rate)
    noise = signal.lfilter([np.sqrt(1 - pole**2)], [1, -pole], rng.standard_normal(n_samples, np.float32))
    return (noise * _amplitude(ROOM_TONE_DBFS)).astype(np.float32)


def _amplitude(decibels):
    return 10 ** (decibels / 20)
