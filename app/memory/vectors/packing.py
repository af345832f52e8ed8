"""Vectors as they are stored: 32-bit floats, little-endian, one after the other."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from app.memory.vectors.index import Vector

STORED = np.dtype("<f4")


def pack(vector: Vector) -> bytes:
    """Return a vector as it is stored, four bytes a dimension."""
    return vector.astype(STORED).tobytes()


def unpack(stored: bytes) -> Vector:
    """Return a stored vector.

    :raise ValueError: these are no 32-bit floats.
    """
    return np.frombuffer(stored, STORED)


def matrix(stored: Iterable[bytes], dims: int) -> NDArray[np.float32]:
    """Return stored vectors as rows of a matrix.

    :raise ValueError: one of them has other dimensions.
    """
    return np.frombuffer(b"".join(stored), STORED).reshape(-1, dims)


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return rows at unit length; one of zeros, as a text without any word has, stays as it is.

    :raise ValueError: a number is not finite.
    """
    if not np.isfinite(vectors).all():
        raise ValueError("a vector has numbers that are not finite")
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)
