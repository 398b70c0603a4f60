"""Texts as Deep Speech writes them: a to z, space, apostrophe (Hannun et al. 2014, section 2)."""

from collections.abc import Iterable

from zoo import letters

ALPHABET = " 'abcdefghijklmnopqrstuvwxyz"
# The number of nothing, after those of the letters.
BLANK = len(ALPHABET)
_HYPHENS = str.maketrans("-\u2010\u2011\u2013\u2014", 5 * " ")


def plain(text: str) -> str:
    """The letters of a text that can be written; a hyphen is a space."""
    return letters.known(text.translate(_HYPHENS), ALPHABET)


def numbers(text: str) -> list[int]:
    """Of the letters of `plain`."""
    return [ALPHABET.index(each) for each in plain(text)]


def text_of(found: Iterable[int]) -> str:
    """The letters with these numbers."""
    return "".join(ALPHABET[each] for each in found)


def steps_needed(written: list[int]) -> int:
    """The fewest steps in which these numbers can be written: two that are alike need a blank between them."""
    return len(written) + sum(one == other for one, other in zip(written, written[1:], strict=False))
