"""A corpus of sentences that one voice reads, and how well a reading of them is understood.

Beside the tests it serves to measure, see `test_sentences`.
"""

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


def rendering(sample_rate: int, n: int) -> np.ndarray:
    """The sentences as the voice says them, float32 [samples]."""
    corpus = Sentences(corpora.Options(sample_rate=sample_rate))
    corpus.n = n
    return corpus.load("sentences").audio[0]


def estoi(wanted: np.ndarray, read: np.ndarray, sample_rate: int) -> float:
    """Extended short-time objective intelligibility of a reading against the rendering (Jensen & Taal 2016).

    Args:
        wanted, read: float32 [samples]; the reading is cut, or followed by silence, to the rendering's length. It is
            not bent in time: that words come when the rendering has them is part of the figure.
        sample_rate: Hz.
    """
    import pystoi

    read = np.pad(read, (0, max(0, len(wanted) - len(read))))[: len(wanted)]
    return float(pystoi.stoi(wanted, read, sample_rate, extended=True))
