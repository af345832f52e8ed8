"""Reads what the header of a minidump says about a crash: its code, and the loaded modules.

    header ── directory of streams ── exception stream: the code
                                   └─ module list: names

Nothing else is read, neither stacks nor memory. Every offset may lie outside of the file.

Source: https://learn.microsoft.com/windows/win32/api/minidumpapiset/, 2026-11-28.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

MAGIC = b"MDMP"
MAX_STREAMS, MAX_MODULES, MAX_NAME = 64, 200, 200

_HEADER = struct.Struct("<4sIII")
_STREAM = struct.Struct("<III")
_MODULE_LIST, _EXCEPTION = 4, 6
# The thread's id and four empty bytes come first.
_CODE = struct.Struct("<8xI")
_COUNT = struct.Struct("<I")
# Base, size, checksum and time come first; version and two places of debug data come after it.
_MODULE = struct.Struct("<20xI84x")


class Minidump(NamedTuple):
    """What is read of a minidump.

    :param code: the exception code, or the signal on systems that have signals.
    :param modules: the names of loaded files without their folders; the first is the program.
    """

    code: int | None
    modules: list[str]


def read_minidump(data: bytes) -> Minidump | None:
    """Return what a minidump says, ``None`` if the bytes are no minidump."""
    header = _at(_HEADER, data, 0)
    if header is None or header[0] != MAGIC:
        return None
    places = dict(_streams(data, count=header[2], start=header[3]))
    code = _at(_CODE, data, places[_EXCEPTION]) if _EXCEPTION in places else None
    names = _modules(data, places[_MODULE_LIST]) if _MODULE_LIST in places else ()
    return Minidump(code[0] if code else None, [name for name in names if name])


def _streams(data: bytes, count: int, start: int) -> Iterator[tuple[int, int]]:
    for number in range(min(count, MAX_STREAMS)):
        if found := _at(_STREAM, data, start + number * _STREAM.size):
            yield found[0], found[2]


def _modules(data: bytes, start: int) -> Iterator[str]:
    (count,) = _at(_COUNT, data, start) or (0,)
    for number in range(min(count, MAX_MODULES)):
        if found := _at(_MODULE, data, start + _COUNT.size + number * _MODULE.size):
            yield _name(data, found[0])


def _name(data: bytes, start: int) -> str:
    (size,) = _at(_COUNT, data, start) or (0,)
    text = data[start + _COUNT.size : start + _COUNT.size + min(size, 4096)]
    path = text.decode("utf-16-le", "replace")
    return path.replace("\\", "/").rpartition("/")[2][:MAX_NAME]


def _at(shape: struct.Struct, data: bytes, start: int) -> tuple[Any, ...] | None:
    fits = start + shape.size <= len(data)
    return shape.unpack_from(data, start) if fits else None
