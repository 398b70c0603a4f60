"""Errors that a user can act on, and the one place where commands turn them into a line."""

import sys
from collections.abc import Callable

from absl import app


class InputError(ValueError):
    """Bad input: names the file or flag, the rule, the value and the likely mistake, in one line."""


def run_command(main: Callable[[list[str]], None]) -> None:
    """Runs an absl command; an `InputError` or a failing disk ends it with one line and status 2."""

    def caught(argv: list[str]) -> None:
        try:
            if len(argv) > 1:
                raise InputError(f"{argv[1]}: an argument that no flag takes; flags are written --name=value")
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
