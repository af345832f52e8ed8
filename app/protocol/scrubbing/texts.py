"""Decodes bytes to text and encodes them back, so that all bytes without secrets are unchanged."""

from __future__ import annotations

import codecs
import re
from typing import NamedTuple

# The byte order marks. UTF-32 comes first, because its mark begins with the mark of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (codecs.BOM_UTF8, "utf-8"),
)
# Bytes that are not UTF-8 become lone surrogates, and are encoded back to the same bytes.
ODD_BYTES = "surrogateescape"
# Lone surrogates in UTF-16 are also encoded back to the same bytes.
_PAIRS = "surrogatepass"
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f\udc80-\udcff]")
_ODD_CHARACTER = re.compile(r"[\ud800-\udfff]")
# Texts do not have these characters. A picture or an archive has them in its first hundred bytes.
_BINARY = re.compile(r"[\x00-\x06\x0e-\x1a\x1c-\x1f\x7f]")


class Text(NamedTuple):
    """A text, with the data to encode it again.

    :param before: the byte order mark.
    :param after: the incomplete last bytes of a file that was cut off.
    """

    value: str
    encoding: str
    before: bytes = b""
    after: bytes = b""

    def encode(self, value: str) -> bytes:
        """Return the bytes of another text in the same encoding."""
        errors = ODD_BYTES if self.encoding == "utf-8" else _PAIRS
        return self.before + value.encode(self.encoding, errors) + self.after


def read_text(payload: bytes) -> Text:
    """Return the text in a payload; any bytes can be read."""
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
    # No letter beyond ASCII is UTF-8. Windows and old programs write such files.
    return Text(body.decode("latin-1"), "latin-1")


def read_file(payload: bytes) -> Text | None:
    """Return the text of a file, or ``None`` if the file is not text."""
    text = read_text(payload)
    if "\0" in text.value:
        return None
    # A file that is completely UTF-8 is text, even with control characters.
    has_odd_bytes = text.encoding != "utf-8" or _ODD_CHARACTER.search(text.value)
    is_wide = text.encoding.startswith(("utf-16", "utf-32"))
    is_binary = has_odd_bytes and (
        _BINARY.search(text.value) or (is_wide and _ODD_CHARACTER.search(text.value))
    )
    return None if is_binary else text
