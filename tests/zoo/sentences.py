"""A corpus of sentences that one voice reads, and how well a reading of them is understood.

Beside the tests it serves to measure: `python -m pytest tests/zoo/test_reading.py --sentences=20` takes minutes.
"""

import librosa
import numpy as np

from datasets import corpora
from datasets.corpora import grammar, voices
from datasets.dialogue import Dialogue, Word

PAUSE_SECONDS = 0.5
SPEAKER = "reader"


class Sentences(corpora.Corpus):
    """`n` short sentences of the grammar in one dialogue, which is every split; the other channel is room tone."""

    name = "sentences"
    n = 4

    def names(self, split: str | None = None) -> list[str]:
        return ["sentences"]

    def load(self, name: str, audio: bool = True) -> Dialogue:
        rng, words, time = np.random.default_rng(0), [], PAUSE_SECONDS
        for said in texts(self.n):
            for i, word in enumerate(said.split()):
                end = time + grammar.word_seconds(word, i == len(said.split()) - 1)
                words.append(Word(time, end, word))
                time = end
            time += PAUSE_SECONDS
        rate, sound = self.options.sample_rate, None
        if audio:
            voice = voices.voice_for(SPEAKER, "m")
            sound = np.stack([voices.speak(spoken, time, voice, rate, rng) for spoken in (words, [])])
        speech = np.array([[word.start, word.end] for word in words])
        return Dialogue(
            name=name,
            split="train",
            duration_seconds=time,
            speech=(speech, np.zeros((0, 2))),
            words=(tuple(words), ()),
            speakers=(SPEAKER, "nobody"),
            sample_rate=rate if audio else None,
            audio=sound,
        )

    def key(self) -> dict:
        return super().key() | {"n": self.n}


def texts(n: int) -> list[str]:
    """`n` different sentences of a few words."""
    talk, found = grammar.Talk(np.random.default_rng(1)), []
    while len(found) < n:
        said = " ".join(word.text for word in talk.breath("giver", 0.0, 1.5))
        if said not in found and len(said.split()) > 2:
            found.append(said)
    return found


def estoi(wanted: np.ndarray, read: np.ndarray, sample_rate: int, warped: bool = False) -> float:
    """Extended short-time objective intelligibility (Jensen & Taal 2016) of a reading against the rendering.

    Args:
        wanted, read: float32 [samples]; the reading is cut or followed by silence to the rendering's length.
        sample_rate: Hz.
        warped: whether the reading is first bent in time to the rendering, along its mel frames.
    """
    import pystoi

    if warped:
        read = _warped(wanted, read, sample_rate)
    read = np.pad(read, (0, max(0, len(wanted) - len(read))))[: len(wanted)]
    return float(pystoi.stoi(wanted, read, sample_rate, extended=True))


def _warped(wanted, read, rate):
    hop = rate // 80
    mels = [
        np.log(librosa.feature.melspectrogram(y=x, sr=rate, n_fft=4 * hop, hop_length=hop) + 1e-6)
        for x in (wanted, read)
    ]
    _, path = librosa.sequence.dtw(*mels)
    path = path[::-1]
    at = np.interp(
        np.arange(mels[0].shape[1]),
        *np.unique(path[:, 0], return_index=True)[:1],
        [path[path[:, 0] == i, 1].mean() for i in np.unique(path[:, 0])],
    )
    spectrum = librosa.stft(read, n_fft=4 * hop, hop_length=hop)
    lower = np.clip(at.astype(int), 0, spectrum.shape[1] - 1)
    magnitudes = np.abs(spectrum[:, lower])
    return librosa.griffinlim(magnitudes, n_iter=60, hop_length=hop, n_fft=4 * hop, length=len(wanted), random_state=0)
