"""Stored vectors: 32-bit floats, little-endian, one after the other."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from app.memory.vectors.index import Vector

STORED = np.dtype("<f4")


def pack(vector: Vector) -> bytes:
    """Return a vector as bytes for the store, with four bytes for each dimension."""
    return vector.astype(STORED).tobytes()


def unpack(stored: bytes) -> Vector:
    """Return a stored vector.

    :raise ValueError: the bytes are not 32-bit floats.
    """
    return np.frombuffer(stored, STORED)


def matrix(stored: Iterable[bytes], dims: int) -> NDArray[np.float32]:
    """Return stored vectors as rows of a matrix.

    :raise ValueError: a vector has another number of dimensions.
    """
    return np.frombuffer(b"".join(stored), STORED).reshape(-1, dims)


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return rows with unit length. A row of zeros, from a text without words, is not changed.

    :raise ValueError: a number is not finite.
    """
    if not np.isfinite(vectors).all():
        raise ValueError("a vector has numbers that are not finite")
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)
