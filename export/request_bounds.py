"""What one request may bring."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.framework import tensor_pb2, types_pb2

from bert_keras.export.status import Code, StatusError

_MEBIBYTE = 2**20


@dataclasses.dataclass(frozen=True)
class RequestBounds:
    """Bounds of a request, over gRPC and REST alike.

    Attributes:
        max_message_bytes: of a gRPC message, and of a tensor once it is unpacked: a few bytes
            can declare a tensor of any size, since a short list of values repeats its last one.
        max_text_bytes: of one text, or of one tf.Example.
        max_rows: examples of one request.
    """

    max_message_bytes: int = 64 * _MEBIBYTE
    max_text_bytes: int = _MEBIBYTE
    max_rows: int = 4096

    def check(self, feeds: Mapping[str, np.ndarray | bytes]) -> None:
        """Refuses a request that brings more.

        Args:
            feeds: arrays, or serialized TensorProtos, by the names of tensors.

        Raises:
            StatusError: INVALID_ARGUMENT.
        """
        for one in map(_size_of, feeds.values()):
            for what, found, bound in (
                ("rows", one.rows, self.max_rows),
                ("bytes in a tensor", one.size, self.max_message_bytes),
                ("bytes in a text", one.longest, self.max_text_bytes),
            ):
                if found > bound:
                    message = f"The request has {found:,} {what}, expected at most {bound:,}"
                    raise StatusError(Code.INVALID_ARGUMENT, message)


@dataclasses.dataclass(frozen=True)
class _Size:
    """Of a tensor that a request brings: rows, all bytes once unpacked, and of the longest text."""

    rows: int = 0
    size: int = 0
    longest: int = 0


def _size_of(feed: np.ndarray | bytes) -> _Size:
    if isinstance(feed, bytes):
        try:
            return _size_of_proto(tensor_pb2.TensorProto.FromString(feed))
        except DecodeError:
            # Not a tensor at all, as the run will say.
            return _Size()
    if feed.dtype.kind != "O":
        return _Size(len(feed) if feed.ndim else 1, feed.nbytes)
    lengths = [len(text) for text in feed.reshape(-1)]
    return _Size(len(feed) if feed.ndim else 1, sum(lengths), max(lengths, default=0))


def _size_of_proto(proto: tensor_pb2.TensorProto) -> _Size:
    shape = [max(dimension.size, 0) for dimension in proto.tensor_shape.dim]
    elements, rows = math.prod(shape), shape[0] if shape else 1
    if proto.dtype != types_pb2.DT_STRING:
        try:
            return _Size(rows, elements * tf.dtypes.as_dtype(proto.dtype).size)
        except TypeError:
            return _Size(rows, len(proto.tensor_content))
    lengths = [len(text) for text in proto.string_val]
    repeated = max(elements - len(lengths), 0) * (lengths[-1] if lengths else 0)
    size = sum(lengths) + repeated + len(proto.tensor_content)
    return _Size(max(rows, elements), size, max(lengths, default=0))
