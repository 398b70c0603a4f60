"""What two people say who try to copy a route from one map to another: a small grammar of our own.

The giver walks from landmark to landmark and instructs; the follower asks and acknowledges. A phrase may run over
several breaths, as it does in talk, and a short breath gets a word that people say in so little time.
"""

import re
from collections.abc import Callable

import numpy as np

from datasets.dialogue import Word

LANDMARKS = (
    "old mill|stone bridge|lighthouse|harbour|red barn|duck pond|chapel|picnic site|pine wood|ruined tower"
    "|ferry landing|bus shelter|hidden cave|sheep farm|water tank|village school|wind pump|crooked fence|boat house"
    "|stepping stones|quarry|market cross|orchard|signal box|castle gate|rope swing|standing stone|burnt tree"
    "|railway arch|apple cart|tea room|walled garden"
).split("|")

# <here>: the landmark that was last named; <next>: the giver goes on to the following one; <other>: any landmark.
_RULES = {
    "giver": (
        "start just <beside> the <here>|go <way> past the <here>|go <way> for about <length>|then turn <turn> at the "
        "<here>|you want to go <way> until you are <beside> the <next>|curve round the <part> of the <here>|have you "
        "got a <next>|and then come <way> towards the <next>|so you should be <beside> the <here> now|keep going <way> "
        "till you are <beside> the <next>|go round the <part> of the <next>|and stop about <length> <beside> the <here>"
        "|it is just <beside> the <other>|you should have a <other> to your <hand>|and then a sharp turn <turn>|no do "
        "not go near the <other>|the line goes between the <here> and the <next>|and head <way> again|well it is a bit "
        "<beside> the <here>|ehm so from there go <way>|and that takes you to the <next>|do you see the <next>"
    ),
    "follower": (
        "is that <beside> the <here>|do i go <way> at the <here>|i have not got a <here>|i have got a <other> there"
        "|so i am <beside> the <here>|how far <way>|about <length>|have you got a <other>|which side of the <here>"
        "|right i see it|to the <hand> of the <here>|so round the <part> of the <here>|and then <way>|do i go between "
        "the <here> and the <other>|hang on where is the <here>|right i am at the <here> now|so straight <way>|i have "
        "a <other> on the <hand> side|do you want me to turn <turn>|okay that is me <beside> the <here>"
    ),
    "giver brief": "right|okay|yeah|so|and|ehm|no|yes|mmhmm|uh-huh|now|well",
    "follower brief": "right|right|okay|okay|mmhmm|mmhmm|uh-huh|uh-huh|yeah|yeah|no|yes|aye|oh|ehm",
    "follower answer": "okay right|right okay|uh-huh got that|yeah i have|got it|oh right|okay yeah|no i have not|aye"
    "|right so|yes i see|mmhmm okay",
    "beside": "above|below|beside|left of|right of|underneath|in front of|level with|just past|on top of",
    "way": "up|down|north|south|east|west|along|straight up|straight down|across|diagonally up|diagonally down",
    "length": "an inch|two inches|three inches|half an inch|two centimetres|four centimetres|half the page|a wee bit",
    "turn": "left|right|back up|back down|to the east|to the west",
    "part": "top|bottom|left side|right side|outside|far side",
    "hand": "left|right",
}
_CHOICES = {symbol: tuple(rule.split("|")) for symbol, rule in _RULES.items()}
_BRIEF_SECONDS, _ANSWER_SECONDS = 0.40, 0.85
# Least squares over the words of the Map Task train quads, seconds: constant, per letter, per syllable, before a pause.
_WORD_SECONDS = (0.008, 0.035, 0.043)
_FINAL_SECONDS = 0.125


def word_seconds(word: str, is_final: bool = False) -> float:
    """About how long a word takes in talk; the last one before a pause is drawn out."""
    letters = re.sub("[^a-z]", "", word)
    syllables = max(len(re.findall("[aeiouy]+", re.sub("e$", "", letters))), 1)
    return float(np.dot(_WORD_SECONDS, (1, len(letters), syllables))) + _FINAL_SECONDS * is_final


class Talk:
    """The words of one dialogue, given breath by breath in order of time."""

    def __init__(self, rng: np.random.Generator):
        self._rng = rng
        self._route = list(rng.permutation(LANDMARKS))
        self._stage = 0
        self._waiting: dict[str, list[str]] = {"giver": [], "follower": []}

    def breath(self, role: str, start: float, end: float) -> list[Word]:
        """Words of "giver" or "follower" that fill the time from `start` to `end` seconds without a gap."""
        words = self._choose(role, end - start)
        weights = [word_seconds(word, i == len(words) - 1) for i, word in enumerate(words)]
        edges = start + (end - start) * np.concatenate([[0], np.cumsum(weights)]) / sum(weights)
        edges[-1] = end
        return [Word(float(a), float(b), word) for a, b, word in zip(edges[:-1], edges[1:], words, strict=True)]

    def _choose(self, role: str, seconds: float) -> list[str]:
        waiting = self._waiting[role]
        goes_on = role == "giver" and waiting and word_seconds(waiting[0]) < 2 * seconds
        if seconds < _BRIEF_SECONDS and not goes_on:
            return self._phrase(f"{role} brief")
        if role == "follower" and seconds < _ANSWER_SECONDS:
            return self._phrase("follower answer")
        return self._take(lambda: self._phrase(role), waiting, seconds - _FINAL_SECONDS)

    @staticmethod
    def _take(more: Callable[[], list[str]], waiting: list[str], seconds: float) -> list[str]:
        """The words from the front of `waiting` whose natural length comes closest to `seconds`; at least one."""
        taken, left = [], seconds
        while True:
            if not waiting:
                waiting += more()
            length = word_seconds(waiting[0])
            if taken and left < length / 2:
                return taken
            left -= length
            taken.append(waiting.pop(0))

    def _phrase(self, symbol: str) -> list[str]:
        text = f"<{symbol}>"
        while match := re.search("<([^<>]*)>", text):
            text = text[: match.start()] + self._expand(match[1]) + text[match.end() :]
        return text.split()

    def _expand(self, symbol: str) -> str:
        if symbol == "other":
            return str(self._rng.choice(self._route))
        if symbol == "next":
            self._stage += 1
        if symbol in ("here", "next"):
            return self._route[self._stage % len(self._route)]
        return str(self._rng.choice(_CHOICES[symbol]))
