"""The checksum of TFRecord files, for many records at once.

CRC-32C is linear: each byte of a message contributes a number that depends on the byte and on its
distance from the end alone, and the sum is the exclusive or of all of them. So one gather from a
table does the work for a whole array (RFC 3720, appendix B.4; the masking is TFRecord's own).
"""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

_POLYNOMIAL = 0x82F63B78  # reflected
_MASK_DELTA = np.uint32(0xA282EAD8)
# Bytes worked on at a time: keeps the table at 1 MB.
_CHUNK = 1024
_STATE_BYTES = 4
# A shorter message would end before all of the initial state is mixed in.
SHORTEST = _STATE_BYTES


def masked_crc32c(
    messages: npt.NDArray[np.uint8], lengths: npt.NDArray[np.integer]
) -> npt.NDArray[np.uint32]:
    """TFRecord's checksum of each message.

    Args:
        messages: uint8 `[n, width]`, each at the end of its row, 0 before it.
        lengths: `[n]`, bytes of each, 4 or more.

    Returns:
        uint32 `[n]`.
    """
    count, width = messages.shape
    step = min(width, _CHUNK)
    table = _table()[_CHUNK - step :].ravel()
    rows = np.zeros((count, -(-width // step) * step), np.uint8)
    rows[:, rows.shape[1] - width :] = messages
    # The initial state, all ones, is the same as a message whose first four bytes are inverted.
    first = rows.shape[1] - np.asarray(lengths)
    rows[np.arange(count)[:, None], first[:, None] + np.arange(_STATE_BYTES)] ^= 0xFF
    state = np.zeros(count, np.uint32)
    for begin in range(0, rows.shape[1], step):
        chunk = rows[:, begin : begin + step]
        chunk[:, :_STATE_BYTES] ^= _bytes_of(state)
        places = chunk.astype(np.int64) + np.arange(step) * 256
        state = np.bitwise_xor.reduce(table[places], axis=1)
    state = ~state
    return ((state >> np.uint32(15)) | (state << np.uint32(17))) + _MASK_DELTA


def _bytes_of(state: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint8]:
    """`[n, 4]`, the lowest byte first."""
    return state.astype("<u4").view(np.uint8).reshape(-1, _STATE_BYTES)


@functools.cache
def _table() -> npt.NDArray[np.uint32]:
    """`[_CHUNK, 256]`: what a byte at each place of a chunk contributes."""
    single = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        single = np.where(single & 1, (single >> 1) ^ np.uint32(_POLYNOMIAL), single >> 1)
    rows = [single]
    while len(rows) < _CHUNK:
        rows.append((rows[-1] >> np.uint32(8)) ^ single[rows[-1] & np.uint32(0xFF)])
    return np.stack(rows[::-1]).astype(np.uint32)
