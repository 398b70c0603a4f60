"""From the probabilities of letters at each step to a text: the best path, or the best text found by a beam.

Graves et al. 2006 (connectionist temporal classification); the beam keeps prefixes, whose probabilities are summed over
their paths (Hannun et al. 2014b, "First-pass large vocabulary continuous speech recognition", algorithm 1), here with
no language model.
"""

import itertools
import math

import numpy as np

from datasets.errors import InputError

_LEAST = -math.inf


def greedy(log_probabilities: np.ndarray) -> list[int]:
    """The best path [steps, letters + 1], whose last column is the blank, without repetitions and blanks."""
    best = validate(log_probabilities).argmax(axis=1).tolist()
    return [each for each, _ in itertools.groupby(best) if each != log_probabilities.shape[1] - 1]


def beam(log_probabilities: np.ndarray, width: int = 16, least: float = -9.0) -> list[int]:
    """The most probable text among those that a beam finds.

    Args:
        log_probabilities: [steps, letters + 1], natural logarithms; the last column is the blank.
        width: how many prefixes are kept after each step.
        least: letters below this logarithm are not tried at a step.
    """
    validate(log_probabilities)
    if width < 1:
        raise InputError(f"--beam={width}: a beam holds at least one text")
    blank = log_probabilities.shape[1] - 1
    # Of each prefix, the logarithms of all paths that end in a blank, and of those that end in its last letter.
    prefixes = {(): (0.0, _LEAST)}
    for step in log_probabilities:
        row = step.tolist()
        tried = [letter for letter in range(blank) if row[letter] > least]
        after: dict[tuple[int, ...], tuple[float, float]] = {}
        for prefix, (by_blank, by_letter) in prefixes.items():
            both = _add(by_blank, by_letter)
            last = prefix[-1] if prefix else None
            stays = by_letter + row[last] if prefix else _LEAST
            _put(after, prefix, both + row[blank], stays)
            for letter in tried:
                _put(after, (*prefix, letter), _LEAST, (by_blank if letter == last else both) + row[letter])
        best = sorted(after.items(), key=lambda each: -_add(*each[1]))[:width]
        prefixes = dict(best)
    return list(max(prefixes, key=lambda prefix: _add(*prefixes[prefix])))


def log_likelihood(log_probabilities: np.ndarray, written: list[int]) -> float:
    """The logarithm of the sum over all paths that are this text, by the forward recursion; -inf where there is none.

    Args:
        log_probabilities: as of `beam`.
        written: numbers of letters.
    """
    validate(log_probabilities)
    blank = log_probabilities.shape[1] - 1
    places = [blank]
    for each in written:
        places += [each, blank]
    places = np.array(places)
    skips = np.zeros(len(places), bool)
    skips[2:] = (places[2:] != blank) & (places[2:] != places[:-2])
    forward = np.full(len(places), _LEAST)
    forward[0] = 0.0
    for t, step in enumerate(log_probabilities):
        one, two = (np.concatenate([np.full(n, _LEAST), forward[:-n]])[: len(places)] for n in (1, 2))
        forward = np.logaddexp(forward, one) if t else _start(len(places))
        forward = np.logaddexp(forward, np.where(skips & (t > 0), two, _LEAST)) + step[places]
    return float(np.logaddexp.reduce(forward[-2:])) if len(log_probabilities) else (_LEAST if written else 0.0)


def validate(log_probabilities: np.ndarray) -> np.ndarray:
    """The array itself; `InputError` unless it is [steps, letters + 1] of numbers."""
    if np.ndim(log_probabilities) != 2 or np.shape(log_probabilities)[1] < 2:
        raise InputError(
            f"log probabilities [steps, letters + 1] are meant, not an array {np.shape(log_probabilities)}"
        )
    if np.isnan(log_probabilities).any():
        raise InputError("log probabilities: some are not a number")
    return log_probabilities


def _start(n: int) -> np.ndarray:
    forward = np.full(n, _LEAST)
    forward[:2] = 0.0
    return forward


def _add(a: float, b: float) -> float:
    high, low = (a, b) if a > b else (b, a)
    return high if low == _LEAST else high + math.log1p(math.exp(low - high))


def _put(into: dict, prefix: tuple[int, ...], by_blank: float, by_letter: float) -> None:
    before = into.get(prefix, (_LEAST, _LEAST))
    into[prefix] = _add(before[0], by_blank), _add(before[1], by_letter)
