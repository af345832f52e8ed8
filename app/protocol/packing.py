"""Envelopes as they are stored: Zstandard, and zlib in stores of older versions.

Level 3 makes an ordinary event of 16 KB 2.4 KB in 0.02 ms; zlib's fastest level made it 2.7 KB in
0.05 ms.
"""

from __future__ import annotations

import zlib

import zstandard

LEVEL = 3
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
# More than anything that is taken in, and too little to hurt: the size in a damaged frame is
# believed before its first byte is decoded.
MAX_BYTES = 256 * 1024**2


def pack(body: bytes) -> bytes:
    """Return an envelope as it is stored."""
    # A compressor of its own each time: they are not to be shared between threads, and one that is
    # kept keeps the memory of the largest envelope that it ever had.
    return zstandard.ZstdCompressor(level=LEVEL).compress(body)


def unpack(stored: bytes) -> bytes:
    """Return an envelope in wire form.

    :raise ValueError: the row is damaged.
    """
    try:
        if not stored.startswith(_ZSTD_MAGIC):
            return zlib.decompress(stored)
        if zstandard.frame_content_size(stored) > MAX_BYTES:
            raise ValueError("the stored envelope says that it is larger than any")
        return zstandard.ZstdDecompressor().decompress(stored)
    except (zlib.error, zstandard.ZstdError) as error:
        raise ValueError("the stored envelope cannot be unpacked") from error
