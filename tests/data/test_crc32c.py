"""TFRecord's checksum, against published values and TensorFlow's own files."""

from __future__ import annotations

import pathlib
import struct

import numpy as np
import pytest
import tensorflow as tf

from bert_keras.data import crc32c


def checksum(message: bytes, before: int = 0) -> int:
    row = np.frombuffer(bytes(before) + message, np.uint8)[None]
    return int(crc32c.masked_crc32c(row, np.array([len(message)]))[0])


def masked(crc: int) -> int:
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) % 2**32


@pytest.mark.parametrize(
    ("message", "crc"),
    [
        # RFC 3720, appendix B.4.
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
        # The check value of the Rocksoft model.
        (b"123456789", 0xE3069283),
    ],
)
def test_published_values(message: bytes, crc: int) -> None:
    assert checksum(message) == masked(crc)
    assert checksum(message, before=1500) == masked(crc)


@pytest.mark.parametrize("size", [4, 5, 1023, 1024, 1025, 1028, 2051, 5000])
def test_messages_of_any_size_are_as_tensorflow_has_them(size: int, tmp_path: pathlib.Path) -> None:
    message = np.random.default_rng(size).bytes(size)
    with tf.io.TFRecordWriter(str(tmp_path / "one")) as writer:
        writer.write(message)
    content = (tmp_path / "one").read_bytes()
    assert checksum(message) == checksum(message, 77) == struct.unpack("<I", content[-4:])[0]
    assert checksum(content[:8]) == struct.unpack("<I", content[8:12])[0]


def test_messages_of_different_sizes_at_once() -> None:
    messages = [b"123456789", b"abcd", bytes(range(200)) * 9]
    rows = np.zeros((3, 1800), np.uint8)
    for row, message in zip(rows, messages, strict=True):
        row[1800 - len(message) :] = np.frombuffer(message, np.uint8)
    found = crc32c.masked_crc32c(rows, np.array([len(message) for message in messages]))
    assert found.tolist() == [checksum(message) for message in messages]
