"""Samples of 10, 12 and 14 bits out of bytes, in the packings of GenICam and of GigE Vision 1."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def samples_of(data: NDArray[np.uint8], count: int, bits: int, packing: str) -> NDArray[Any]:
    """Reads samples.

    Args:
        data: The bytes.
        count: How many samples.
        bits: Of a sample, 8 to 16.
        packing: "" for whole bytes, the low one first; "p" for a stream of bits, the lowest first; "Packed" for GigE
            Vision 1, where the high bits of two samples stand around a byte with the low bits of both.

    Returns:
        uint8 for 8 bits, else uint16; [count].
    """
    if bits == 8:
        return data[:count]
    if not packing:
        return data.view("<u2")[:count].astype(np.uint16, copy=False)
    return (_two_around_a_byte if packing == "Packed" else _stream_of_bits)(data, count, bits)


def _two_around_a_byte(data: NDArray[np.uint8], count: int, bits: int) -> NDArray[np.uint16]:
    low = bits - 8
    first, both, second = _groups(data, 3).T
    samples = np.empty((first.size, 2), np.uint16)
    mask = (1 << low) - 1
    samples[:, 0] = first << low | both & mask
    samples[:, 1] = second << low | both >> 4 & mask
    return samples.reshape(-1)[:count]


def _stream_of_bits(data: NDArray[np.uint8], count: int, bits: int) -> NDArray[np.uint16]:
    size, together = {10: (5, 4), 12: (3, 2), 14: (7, 4)}[bits]
    groups = _groups(data, size).astype(np.uint32)
    samples = np.empty((len(groups), together), np.uint16)
    for index in range(together):
        start, shift = divmod(index * bits, 8)
        value = groups[:, start] >> shift
        for byte in range(start + 1, (index * bits + bits + 7) // 8):
            value = value | groups[:, byte] << (8 * (byte - start) - shift)
        samples[:, index] = value & ((1 << bits) - 1)
    return samples.reshape(-1)[:count]


def _groups(data: NDArray[np.uint8], size: int) -> NDArray[np.uint16]:
    """Bytes in groups; the last one is filled up where the samples end within it."""
    missing = -data.size % size
    whole = np.concatenate([data, np.zeros(missing, np.uint8)]) if missing else data
    return whole.reshape(-1, size).astype(np.uint16)
