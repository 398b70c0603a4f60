"""What is known of a text: letters of an alphabet, in lower case, with single spaces."""

_APOSTROPHES = str.maketrans("\u2018\u2019", "''")


def known(text: str, alphabet: str) -> str:
    """The letters of a text that are in an alphabet; others are left out, and any white space is one space."""
    found = "".join(each for each in text.lower().translate(_APOSTROPHES) if each in alphabet or each.isspace())
    return " ".join(found.split())
