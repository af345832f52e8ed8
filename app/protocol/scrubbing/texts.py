"""Bytes as texts, and texts as the same bytes: what is no secret comes out as it came in."""

from __future__ import annotations

import codecs
import re
from typing import NamedTuple

# The marks of byte order; that of UTF-32 begins as that of UTF-16 does.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (codecs.BOM_UTF8, "utf-8"),
)
# Bytes that are no UTF-8 stand as halves of surrogate pairs, and come out again as they were.
ODD_BYTES = "surrogateescape"
# Halves of surrogate pairs that stand in UTF-16 come out again, too.
_PAIRS = "surrogatepass"
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f\udc80-\udcff]")
_ODD_CHARACTER = re.compile(r"[\ud800-\udfff]")
# No text has these; of a picture or an archive the first hundred bytes have.
_BINARY = re.compile(r"[\x00-\x06\x0e-\x1a\x1c-\x1f\x7f]")


class Text(NamedTuple):
    """A text, and what makes it bytes.

    :param before: the mark of byte order.
    :param after: the odd byte of a file that was cut off.
    """

    value: str
    encoding: str
    before: bytes = b""
    after: bytes = b""

    def encode(self, value: str) -> bytes:
        """Return another text in the same form."""
        errors = ODD_BYTES if self.encoding == "utf-8" else _PAIRS
        return self.before + value.encode(self.encoding, errors) + self.after


def read_text(payload: bytes) -> Text:
    """Read what should be text, whatever bytes are in it."""
    mark, encoding = next(((m, e) for m, e in _MARKS if payload.startswith(m)), (b"", "utf-8"))
    body = payload[len(mark) :]
    if encoding == "utf-8":
        return _read_utf8(body, mark)
    width = 4 if encoding.startswith("utf-32") else 2
    whole = len(body) - len(body) % width
    try:
        value = body[:whole].decode(encoding, _PAIRS)
    except UnicodeDecodeError:
        return _read_utf8(payload, b"")
    return Text(value, encoding, mark, body[whole:])


def _read_utf8(body: bytes, mark: bytes) -> Text:
    value = body.decode(errors=ODD_BYTES)
    if value.isascii() or mark or _BEYOND_ASCII.search(value):
        return Text(value, "utf-8", mark)
    # Not one letter beyond ASCII is UTF-8: as Windows and old programs write.
    return Text(body.decode("latin-1"), "latin-1")


def read_file(payload: bytes) -> Text | None:
    """Read a file; ``None`` for one that is no text."""
    text = read_text(payload)
    if "\0" in text.value:
        return None
    # What is UTF-8 throughout is text, whatever controls are in it.
    has_odd_bytes = text.encoding != "utf-8" or _ODD_CHARACTER.search(text.value)
    is_wide = text.encoding.startswith(("utf-16", "utf-32"))
    is_binary = has_odd_bytes and (
        _BINARY.search(text.value) or (is_wide and _ODD_CHARACTER.search(text.value))
    )
    return None if is_binary else text
