"""The one exception class for bad input."""

from __future__ import annotations


class UserError(ValueError):
    """Bad input from a user: a flag, a file, a row, a checkpoint.

    The message is a single line that says where (flag, or file and line), what was
    received and what was expected. The command line prints it as it is and exits with 2.
    """
