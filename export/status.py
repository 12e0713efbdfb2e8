"""Status codes and the error that carries one, as the TensorFlow runtime and gRPC share them."""

from __future__ import annotations

import enum

# The model server cuts long messages so that they fit into gRPC's trailing metadata.
MAX_MESSAGE_LENGTH = 1024
TRUNCATED = "...TRUNCATED"


class Code(enum.IntEnum):
    """The canonical codes; the numbers are those of `TF_Code` and of gRPC."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


class StatusError(Exception):
    """A failed call: `code` says what kind of failure it is, `message` what went wrong."""

    def __init__(self, code: int, message: str) -> None:
        self.code = Code(code)
        self.message = message
        super().__init__(f"{self.code.name}: {message}")


def truncate(message: str) -> str:
    """The message as it goes over the wire: its first 1024 bytes, and a mark if it was cut."""
    encoded = message.encode("utf-8", errors="replace")
    if len(encoded) <= MAX_MESSAGE_LENGTH:
        return message
    return encoded[:MAX_MESSAGE_LENGTH].decode("utf-8", errors="ignore") + TRUNCATED
