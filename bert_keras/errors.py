"""The one exception class for bad input."""

from __future__ import annotations

# Characters of a message that are shown; a value in it may have any size.
_LONGEST = 1200


class UserError(ValueError):
    """Bad input from a user: a flag, a file, a row, a checkpoint.

    The message is a single line that says where (flag, or file and line), what was
    received and what was expected. The command line prints it as it is and exits with 2.

    Args:
        message: the line; line feeds become spaces, and what is too long loses its middle.
    """

    def __init__(self, message: str) -> None:
        line = message.replace("\r", " ").replace("\n", " ")
        if len(line) > _LONGEST:
            line = f"{line[: 2 * _LONGEST // 3]} … {line[-_LONGEST // 3 :]}"
        super().__init__(line)
