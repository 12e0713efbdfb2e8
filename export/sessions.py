"""What the calls of the server need of a loaded model, and a model as one call sees it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np
from tensorflow.core.protobuf import meta_graph_pb2


class Session(Protocol):
    """A loaded model, whether calls share runs of it or not."""

    @property
    def signature_defs(self) -> Mapping[str, meta_graph_pb2.SignatureDef]:
        """By name, all that its file has."""
        ...

    def run_tensors(
        self,
        feeds: Mapping[str, np.ndarray | bytes],
        fetches: Sequence[str],
        timeout: float | None = None,
    ) -> list[np.ndarray]:
        """See `CppSession.run_tensors`."""
        ...

    def close(self) -> None:
        """Frees it once the calls that are under way have ended."""
        ...


class CallSession:
    """A session for one call: runs of it end at the call's deadline and are timed.

    Args:
        session: the model; it stays open at `close`.
        timeout: seconds that the call has from now; None for ever.
        observe: called with the seconds of each run that succeeded.
    """

    def __init__(
        self, session: Session, timeout: float | None, observe: Callable[[float], None]
    ) -> None:
        self._session = session
        self._started = time.monotonic()
        self._timeout = timeout
        self._observe = observe

    @property
    def signature_defs(self) -> Mapping[str, meta_graph_pb2.SignatureDef]:
        """By name, all that its file has."""
        return self._session.signature_defs

    def run_tensors(
        self,
        feeds: Mapping[str, np.ndarray | bytes],
        fetches: Sequence[str],
        timeout: float | None = None,
    ) -> list[np.ndarray]:
        """See `CppSession.run_tensors`; `timeout` is the call's where None is given."""
        started = time.monotonic()
        if timeout is None and self._timeout is not None:
            timeout = self._timeout - (started - self._started)
        outputs = self._session.run_tensors(feeds, fetches, timeout)
        self._observe(time.monotonic() - started)
        return outputs

    def close(self) -> None:
        """Does nothing."""
