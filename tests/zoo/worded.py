"""The noise bursts of the tests with words in them."""

import dataclasses

from datasets import corpora
from datasets.dialogue import Dialogue, Word
from tests.conftest import Bursts

_WORDS = "go to the left of the old mill and stop".split()


class Worded(Bursts):
    """Every burst has two words, half of it each."""

    name = "worded"

    def __init__(self, options: corpora.Options, n: int = 2, seconds: float = 6.0):
        super().__init__(options, n, seconds)

    def load(self, name: str, audio: bool = True) -> Dialogue:
        loaded = super().load(name, audio)
        return dataclasses.replace(loaded, words=tuple(_in(bursts) for bursts in loaded.speech))


def use_worded() -> None:
    """--corpus=worded, for commands."""
    corpora.register("worded")(Worded)


def _in(bursts) -> tuple[Word, ...]:
    halves = []
    for i, (start, end) in enumerate(bursts.tolist()):
        middle = (start + end) / 2
        said = _WORDS[2 * i % 10 : 2 * i % 10 + 2]
        halves += [Word(start, middle, said[0]), Word(middle, end, said[1])]
    return tuple(halves)
