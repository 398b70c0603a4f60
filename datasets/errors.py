"""Errors that a user can act on, and the one place where commands turn them into a line."""

import sys
from collections.abc import Callable, Sequence

from absl import app


class InputError(ValueError):
    """Bad input: names the file or flag, the rule, the value and the likely mistake, in one line."""


def run_command(main: Callable[[list[str]], None], verbs: Sequence[str] = ()) -> None:
    """Runs an absl command; an `InputError` or a failing disk ends it with one line and status 2.

    Args:
        main: takes what is left of the arguments when the flags are parsed.
        verbs: what may be asked for by a word before the flags, as in `python -m datasets.maptask download`; one of
            them must be given, and is all that `main` gets.
    """

    def caught(argv: list[str]) -> None:
        try:
            said = argv[1:2] if verbs else []
            if verbs and not set(said) & set(verbs):
                raise InputError(
                    f"{' '.join(said) or 'nothing to do'}: the first argument must be {' or '.join(verbs)}"
                )
            if stray := argv[1 + len(said) :]:
                raise InputError(f"{stray[0]}: an argument that no flag takes; flags are written --name=value")
            main(argv)
        except InputError as error:
            sys.exit(_say(str(error)))
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            sys.exit(_say(f"{where}{error.strerror or error}"))
        except KeyboardInterrupt:
            sys.exit(_say("interrupted", status=130))

    app.run(caught)


def _say(message: str, status: int = 2) -> int:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return status
