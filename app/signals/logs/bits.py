"""The tokens of a block of lines as a Bloom filter of a fixed size.

A token sets HASHES of its bits. A token whose bits are not all set is in no line of the block; if
they are set, it probably is. A block is closed when FULL of its bits are set: then one of 120
blocks is read in vain for a token that it does not have, whatever its lines say.
"""

from __future__ import annotations

from collections.abc import Iterable
from zlib import crc32

SIZE_BYTES = 8192
HASHES = 3
FULL = int(SIZE_BYTES * 8 * 0.2)
_MASK = SIZE_BYTES * 8 - 1


def empty() -> bytearray:
    """Return the bits of no tokens."""
    return bytearray(SIZE_BYTES)


def add(bits: bytearray, tokens: Iterable[str]) -> None:
    """Set the bits of tokens."""
    for token in tokens:
        # Three places from one hash: a start, and a step of the other half of its bits.
        at = crc32(token.encode())
        step = (at >> 15) | 1
        first, second, third = at & _MASK, (at + step) & _MASK, (at + step + step) & _MASK
        bits[first >> 3] |= 1 << (first & 7)
        bits[second >> 3] |= 1 << (second & 7)
        bits[third >> 3] |= 1 << (third & 7)


def places(token: str) -> tuple[int, ...]:
    """Return the numbers of the bits of a token; bit 0 is the lowest one of the first byte."""
    at = crc32(token.encode())
    step = (at >> 15) | 1
    return tuple((at + number * step) & _MASK for number in range(HASHES))


def has(bits: bytes | bytearray, of: tuple[int, ...]) -> bool:
    """Return whether all of these bits are set."""
    return all(bits[place >> 3] & (1 << (place & 7)) for place in of)


def count(bits: bytes | bytearray) -> int:
    """Return how many bits are set."""
    return int.from_bytes(bits, "little").bit_count()
