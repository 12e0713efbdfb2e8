"""What one request may bring, and how much memory all of them may take at once."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Iterator

from bert_keras.export.status import Code, StatusError

_MEBIBYTE = 2**20


@dataclasses.dataclass(frozen=True)
class RequestBounds:
    """Bounds of a request, over gRPC and REST alike.

    Attributes:
        max_message_bytes: of a message or of an HTTP body, after it is unpacked.
        max_text_bytes: of one text.
        max_rows: examples of one request.
        max_memory_bytes: that all requests under way may take, by estimate.
    """

    max_message_bytes: int = 64 * _MEBIBYTE
    max_text_bytes: int = _MEBIBYTE
    max_rows: int = 65_536
    max_memory_bytes: int = 1024 * _MEBIBYTE


class MemoryBudget:
    """Hands out memory to the requests under way; one over it is refused, not kept waiting."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._left = size
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def hold(self, size: int) -> Iterator[None]:
        """Holds `size` bytes for the time of a `with` block.

        Raises:
            StatusError: RESOURCE_EXHAUSTED, where fewer are left.
        """
        with self._lock:
            if size > self._left:
                raise StatusError(
                    Code.RESOURCE_EXHAUSTED,
                    f"The request needs about {size:,} bytes of memory; of"
                    f" {self._size:,} for all requests {self._left:,} are left",
                )
            self._left -= size
        try:
            yield
        finally:
            with self._lock:
                self._left += size
