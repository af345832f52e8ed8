"""Erase a person from the content of a file or of an item that is no JSON.

JSON          value by value, as payloads are
lines of JSON line by line
text          the identifier is replaced as a word, in UTF-8, UTF-16 or an encoding of 8 bits
other bytes   the identifier is overwritten, so that the file keeps its size
compressed    a file that has the person in it is removed as a whole
"""

from __future__ import annotations

import codecs
import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress

import zstandard

from app.erasing.person import Person
from app.erasing.values import ValueEraser
from app.protocol.envelope import dump_json, load_json

# A compressed file is searched up to this size, inflated. A client sends at most 40 MiB.
MAX_INFLATED = 64 * 1024**2
_PIECE = 1024**2


def erase_content(content: bytes, person: Person) -> bytes | None:
    """Return a content without the person, ``None`` if it has to be removed as a whole."""
    text = as_text(content)
    if text is None:
        if any(is_in_bytes(person, inner) for inner in inflated(content)):
            return None
        return _erase_other(content, person)
    if text.lstrip()[:1] in ("{", "["):
        with suppress(ValueError, RecursionError):
            return _erase_json(content, person)
        if person.may_be_in(content):
            return b"\n".join(_erase_line(line, person) for line in content.split(b"\n"))
    erased = person.in_text(text)
    return content if erased == text else erased.encode()


def _erase_other(content: bytes, person: Person) -> bytes:
    """Return bytes that are not UTF-8 without the person."""
    encoding = "" if b"\0" in content else "latin-1"
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16-le" if content.startswith(codecs.BOM_UTF16_LE) else "utf-16-be"
    try:
        text = content.decode(encoding) if encoding else ""
    except UnicodeDecodeError:
        text = ""
    if not text:
        return person.in_file(content)
    erased = person.in_text(text)
    return content if erased == text else erased.encode(encoding)


def _erase_line(line: bytes, person: Person) -> bytes:
    if line.lstrip()[:1] in (b"{", b"["):
        with suppress(ValueError, RecursionError):
            return _erase_json(line, person)
    return person.in_text(line.decode()).encode()


def is_in_bytes(person: Person, content: bytes) -> bool:
    """Return whether the person is in bytes, text or not."""
    text = as_text(content)
    if text is None:
        return _erase_other(content, person) != content
    return person.is_in_text(text)


def as_text(content: bytes) -> str | None:
    """Return the text of a content, ``None`` if it is no text."""
    if b"\0" in content:
        return None
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None


def inflated(content: bytes) -> Iterator[bytes]:
    """Yield what a compressed content contains, up to a bound; nothing if it is not compressed."""
    if content.startswith(b"PK\x03\x04"):
        yield from _unzipped(content)
        return
    # A replay has a line of JSON, and then zlib.
    start = content.find(b"\n") + 1 if content.startswith(b"{") else 0
    for body in (content, content[start:]) if start else (content,):
        if body.startswith(b"\x1f\x8b"):
            yield _gunzipped(body)
        elif body.startswith(b"\x78"):
            with suppress(zlib.error):
                yield zlib.decompressobj().decompress(body, MAX_INFLATED)
        elif body.startswith(b"\x28\xb5\x2f\xfd"):
            with suppress(zstandard.ZstdError):
                reader = zstandard.ZstdDecompressor().stream_reader(body, read_across_frames=True)
                yield reader.read(MAX_INFLATED)


def _gunzipped(body: bytes) -> bytes:
    """Return what gzip has packed: a log that was appended to has several members."""
    pieces, left = [], MAX_INFLATED
    with suppress(zlib.error, EOFError, OSError):
        file = gzip.GzipFile(fileobj=io.BytesIO(body))
        while left > 0 and (piece := file.read(min(left, _PIECE))):
            pieces.append(piece)
            left -= len(piece)
    return b"".join(pieces)


def _unzipped(content: bytes) -> Iterator[bytes]:
    left = MAX_INFLATED
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
        for name in archive.namelist():
            yield name.encode()
            with archive.open(name) as file:
                piece = file.read(left)
            left -= len(piece)
            yield piece
            if left <= 0:
                return
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError):
        return


def _erase_json(content: bytes, person: Person) -> bytes:
    """Return JSON without the person.

    :raise ValueError: it is no JSON, or several lines of it.
    """
    values = ValueEraser(person)
    erased = values.erase(load_json(content))
    text = content.decode()
    if not values.count and not person.is_in_text(text):
        return content
    # A key that is there twice is read once, and values below MAX_DEPTH are not read at all.
    return person.in_text(dump_json(erased).decode()).encode()
