"""A TFRecord file whose records can be read in any order."""

from __future__ import annotations

import mmap
import os
import pathlib
import struct
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bert_keras.data import crc32c
from bert_keras.errors import UserError

# A record is its length (8 bytes), the length's checksum (4), its bytes, their checksum (4).
_LENGTH, _CHECKSUM = 8, 4
_HEADER = _LENGTH + _CHECKSUM
_GZIP = b"\x1f\x8b"
_HEADERS_AT_ONCE = 1 << 18


class RecordFile:
    """Where the records of one file are; found once, from their lengths alone.

    Attributes:
        path: the file.

    Raises:
        UserError: the file cannot be read, is compressed, damaged or cut off.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = pathlib.Path(path)
        try:
            with open(path, "rb") as file:
                empty = os.fstat(file.fileno()).st_size == 0
                content = b"" if empty else mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as error:
            raise UserError(
                f"{path}: cannot be read ({error.strerror}), expected TFRecords"
            ) from None
        self._content = content
        self._bytes = np.frombuffer(content, np.uint8)
        if self._bytes[:2].tobytes() == _GZIP:
            raise UserError(f"{path}: is compressed with gzip, expected plain TFRecords: gunzip it")
        self._starts, self._lengths = self._scan()

    def __len__(self) -> int:
        return len(self._starts)

    def where(self, record: int) -> str:
        """`file: record N`, counted from 1, to begin a message with."""
        return f"{self.path}: record {record + 1}"

    def read(self, records: Sequence[int] | npt.NDArray[np.integer]) -> list[bytes]:
        """The records of those numbers, from 0.

        Raises:
            UserError: a checksum is wrong.
        """
        numbers = np.asarray(records)
        starts, lengths = self._starts[numbers], self._lengths[numbers]
        found = [
            self._bytes[start : start + length].tobytes()
            for start, length in zip(starts.tolist(), lengths.tolist(), strict=True)
        ]
        stored = self._uint32(starts + lengths)
        wrong = np.flatnonzero(_checksums(found) != stored)
        if len(wrong):
            raise UserError(
                f"{self.where(int(numbers[wrong[0]]))}: its checksum is wrong, the file is damaged"
            )
        return found

    def _scan(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Where each record's bytes start, and how many they are."""
        size = len(self._content)
        starts, lengths = [], []
        position = 0
        while position + _HEADER <= size:
            (length,) = struct.unpack_from("<Q", self._content, position)
            position += _HEADER + length + _CHECKSUM
            starts.append(position - _CHECKSUM - length)
            lengths.append(length)
            if position > size:
                break
        places = np.array(starts, np.int64)
        self._check_lengths(places)
        if position != size:
            # Of a file that was cut off inside of a header there is no record to name.
            record = len(starts) - 1 if position > size else len(starts)
            raise UserError(f"{self.where(record)}: the file ends inside of it, it was cut off")
        short = np.flatnonzero(np.array(lengths, np.int64) < crc32c.SHORTEST)
        if len(short):
            raise UserError(f"{self.where(int(short[0]))}: is empty, expected a tf.train.Example")
        return places, np.array(lengths, np.int64)

    def _check_lengths(self, starts: npt.NDArray[np.int64]) -> None:
        for begin in range(0, len(starts), _HEADERS_AT_ONCE):
            part = starts[begin : begin + _HEADERS_AT_ONCE] - _HEADER
            headers = self._bytes[part[:, None] + np.arange(_LENGTH)]
            expected = crc32c.masked_crc32c(headers, np.full(len(part), _LENGTH))
            wrong = np.flatnonzero(expected != self._uint32(part + _LENGTH))
            if len(wrong):
                raise UserError(
                    f"{self.where(begin + int(wrong[0]))}: the checksum of its length is wrong, "
                    "expected an undamaged TFRecord file"
                )

    def _uint32(self, places: npt.NDArray[np.int64]) -> npt.NDArray[np.uint32]:
        return self._bytes[places[:, None] + np.arange(_CHECKSUM)].view("<u4")[:, 0]


def _checksums(records: Sequence[bytes]) -> npt.NDArray[np.uint32]:
    lengths = np.array([len(record) for record in records], np.int64)
    width = int(lengths.max(initial=0))
    together = b"".join(record.rjust(width, b"\0") for record in records)
    return crc32c.masked_crc32c(np.frombuffer(together, np.uint8).reshape(-1, width), lengths)
