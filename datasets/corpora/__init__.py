"""Corpora by name. A new corpus is a module with a `Corpus` under `@register`.

corpus = open_corpus("simulated", sample_rate=8000, hours=1.0)
for name in corpus.names("train"):
    dialogue = corpus.load(name)
"""

import abc
import dataclasses
import difflib
import importlib
import pathlib
from collections.abc import Callable

from datasets import dialogue as dialogue_lib
from datasets.errors import InputError

_MODULES = ("maptask", "voiced", "simulated", "stereo", "switchboard")
_CORPORA: dict[str, type["Corpus"]] = {}


@dataclasses.dataclass(frozen=True)
class Options:
    """What the flags of a command say about the corpus; a corpus reads those it knows.

    Attributes:
        data_dir: where the user's copy of the corpus lies.
        cache_dir: where rendered audio and prepared shards are kept.
        sample_rate: Hz wanted; None takes the corpus's own.
        hours: length of a corpus that is made rather than read.
        seed: of everything that is drawn.
        detector: of `datasets.activity`, where speech has to be found; None takes the corpus's own.
        fold: of a cross-validation by quads; None takes the published split.
        voices: that read a corpus without sound, "espeak" or "natural"; None is espeak.
        tables: counted hazards, a file of `python -m datasets.hazard`; None takes those of Map Task.
    """

    data_dir: pathlib.Path | None = None
    cache_dir: pathlib.Path | None = None
    sample_rate: int | None = None
    hours: float | None = None
    seed: int = 0
    detector: str | None = None
    fold: int | None = None
    voices: str | None = None
    tables: pathlib.Path | None = None


# Options that a corpus must know, for its users would take the result for what they asked for.
_NEVER_IGNORED = ("fold", "voices", "tables")


class Corpus(abc.ABC):
    """A list of dialogue names by split, and a way to load one.

    Attributes:
        name: under which it is registered.
        roles: of channel 0 and channel 1, one of `dialogue.ROLE_PAIRS`.
        detector: which of `datasets.activity` suits its sound.
        takes: names of those options that only some corpora know, and it does.
    """

    name = ""
    roles: tuple[str, str] = ("giver", "follower")
    detector = "energy"
    takes: frozenset[str] = frozenset()

    def __init__(self, options: Options):
        self.options = options

    @abc.abstractmethod
    def names(self, split: str | None = None) -> list[str]:
        """Names of the dialogues of a split ("train", "validation", "test"; None: all), in a fixed order."""

    @abc.abstractmethod
    def load(self, name: str, audio: bool = True) -> dialogue_lib.Dialogue:
        """One dialogue; without audio where the corpus has none or `audio` is False."""

    def key(self) -> dict:
        """Everything that shapes the dialogues, as JSON values: the key of what is cached."""
        return {"corpus": self.name, "sample_rate": self.options.sample_rate}


def check_split(split: str | None) -> None:
    """Raises `InputError` unless it is None, for all, or one of `dialogue.SPLITS`."""
    if split is not None and split not in dialogue_lib.SPLITS:
        raise InputError(f"split {split!r}: the choices are {', '.join(dialogue_lib.SPLITS)}")


def register(name: str) -> Callable[[type[Corpus]], type[Corpus]]:
    def decorate(cls: type[Corpus]) -> type[Corpus]:
        cls.name = name
        _CORPORA[name] = cls
        return cls

    return decorate


def corpus_names() -> list[str]:
    for module in _MODULES:
        importlib.import_module(f"datasets.corpora.{module}")
    return sorted(_CORPORA)


def open_corpus(name: str, **options) -> Corpus:
    """The corpus called `name`, with the fields of `Options` as keywords."""
    choices = corpus_names()
    if name not in choices:
        near = difflib.get_close_matches(name, choices, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise InputError(f"--corpus={name}: no such corpus{hint}; the choices are {', '.join(choices)}")
    for option in _NEVER_IGNORED:
        if options.get(option) is not None and option not in _CORPORA[name].takes:
            takers = ", ".join(choice for choice in choices if option in _CORPORA[choice].takes)
            raise InputError(
                f"--{option}={options[option]}: corpus {name} has no use for it; those that have: {takers}"
            )
    return _CORPORA[name](Options(**options))
