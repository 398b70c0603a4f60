"""Dialogues made from nothing: timing sampled from counted hazards, words from a grammar, synthetic voices.

The hazards are those of Map Task, or any that `python -m datasets.hazard` has counted (--tables): then the dialogues
have the roles of that corpus, and its timing. The words are always of somebody who shows the way, and of a follower.
Each dialogue is a function of its index and the seed alone, so a longer corpus begins with the shorter one.
"""

import hashlib
import itertools
import math
import pathlib

import numpy as np

from datasets import corpora, hazard
from datasets import dialogue as dialogue_lib
from datasets.corpora import grammar, rendering, voices
from datasets.errors import InputError

DEFAULT_HOURS = 2.0
DIALOGUE_SECONDS = 180.0
SCRIPT_VERSION = 1  # Raise it with every change of who says what when.
_TALKERS = ("giver", "follower")  # Of the grammar.
# Of every twenty dialogues two are for validation and five for test, so that two hours hold ten test dialogues.
_TEST, _VALIDATION, _CYCLE = (1, 5, 9, 13, 17), (2, 12), 20
_SPEAKERS = {"train": 24, "validation": 6, "test": 12}
_MOST_DIALOGUES = 100_000


@corpora.register("simulated")
class Simulated(rendering.RenderedCorpus):
    """`hours` (default 2, rounded up to whole dialogues) of three-minute dialogues, 65 % of them train, 25 % test.

    The speakers of a split are in no other. `info["speaker_info"]` holds their genders.
    """

    takes = rendering.RenderedCorpus.takes | {"tables"}

    def __init__(self, options: corpora.Options):
        super().__init__(options)
        self._tables_path = pathlib.Path(options.tables or hazard.SHIPPED_TABLES)
        self._tables = hazard.load_tables(self._tables_path)[0]
        pairs = [pair for pair in dialogue_lib.ROLE_PAIRS if set(pair) == set(self._tables)]
        if not pairs:
            raise InputError(f"--tables={options.tables}: is of {', '.join(self._tables)}, which is no pair of roles")
        self.roles = pairs[0]
        self._hours = DEFAULT_HOURS if options.hours is None else options.hours
        if not 0 < self._hours <= _MOST_DIALOGUES * DIALOGUE_SECONDS / 3600:
            raise InputError(f"--hours={self._hours}: a number of hours above 0 is wanted, such as {DEFAULT_HOURS:g}")
        self._splits = {f"sim{i:04d}": split_of(i) for i in range(math.ceil(self._hours * 3600 / DIALOGUE_SECONDS))}

    def names(self, split: str | None = None) -> list[str]:
        corpora.check_split(split)
        return [name for name, its_split in self._splits.items() if split is None or its_split == split]

    def script(self, name: str) -> dialogue_lib.Dialogue:
        if name not in self._splits:
            last = list(self._splits)[-1]
            raise InputError(f"{name}: not among sim0000 to {last}, which is what --hours={self._hours:g} makes")
        split = self._splits[name]
        rng = voices.generator("simulated", name, self.options.seed)
        gates = hazard.sample_dialogue(self._tables, dialogue_lib.seconds_to_frames(DIALOGUE_SECONDS), rng, self.roles)
        speech = tuple(dialogue_lib.bridge(dialogue_lib.intervals_from_activity(gate)) for gate in gates)
        speakers = rng.choice(_SPEAKERS[split], 2, replace=False).tolist()
        return dialogue_lib.Dialogue(
            name=name,
            split=split,
            duration_seconds=DIALOGUE_SECONDS,
            speech=speech,
            words=_words(speech, grammar.Talk(rng)),
            roles=self.roles,
            speakers=tuple(f"sim-{split}-{number:02d}" for number in speakers),
            info={"speaker_info": [{"gender": "fm"[number % 2]} for number in speakers]},
        )

    def script_key(self) -> dict:
        tables = self._tables_path.read_bytes()
        return {"script_version": SCRIPT_VERSION, "tables_sha256": hashlib.sha256(tables).hexdigest()}

    def key(self) -> dict:
        """That of each dialogue's sound, which no number of hours changes, and how many there are."""
        return super().key() | {"dialogues": len(self._splits)}


def split_of(index: int) -> str:
    """The split of the dialogue with this index."""
    place = index % _CYCLE
    return "test" if place in _TEST else "validation" if place in _VALIDATION else "train"


def _words(speech: tuple[np.ndarray, np.ndarray], talk: grammar.Talk) -> tuple[tuple[dialogue_lib.Word, ...], ...]:
    """Words of both channels; breaths take turns by their starts, so that each can refer to what was said before."""
    breaths = sorted((start, end, channel) for channel in (0, 1) for start, end in speech[channel].tolist())
    spoken = [(channel, talk.breath(_TALKERS[channel], start, end)) for start, end, channel in breaths]
    return tuple(
        tuple(itertools.chain.from_iterable(words for its_channel, words in spoken if its_channel == channel))
        for channel in (0, 1)
    )
