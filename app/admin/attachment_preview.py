"""What a page may show of an attachment: a picture, or the beginning of a text.

A client chose the bytes and the type that it names. So a picture is what begins as one, and it is
served with a type of ours; text is shown as text of the page.
"""

from __future__ import annotations

from flask import Response

# A larger picture is only downloaded.
MAX_PICTURE_BYTES = 5 * 1024**2
MAX_TEXT = 10_000
# Pictures that run nothing: no SVG.
_BEGINNINGS = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}
_WHITE = "\t\n\r"


def picture_type(payload: bytes) -> str | None:
    """Return the content type of a picture by its first bytes, ``None`` for anything else."""
    if len(payload) > MAX_PICTURE_BYTES:
        return None
    if payload[:4] == b"RIFF" and payload[8:12] == b"WEBP":
        return "image/webp"
    found = (type for begin, type in _BEGINNINGS.items() if payload.startswith(begin))
    return next(found, None)


def beginning_of(payload: bytes) -> str:
    """Return at most :data:`MAX_TEXT` characters of a text in UTF-8; empty for anything else."""
    try:
        # The last character of what is read may be cut.
        shown = payload[: MAX_TEXT * 4].decode()[:MAX_TEXT]
    except UnicodeDecodeError as error:
        if error.start < MAX_TEXT or error.reason != "unexpected end of data":
            return ""
        shown = payload[: error.start].decode()[:MAX_TEXT]
    is_text = all(character.isprintable() or character in _WHITE for character in shown)
    return shown if is_text else ""


def picture(payload: bytes, content_type: str) -> Response:
    """Return a picture as an answer that a browser takes for nothing else."""
    response = Response(payload, content_type=content_type)
    response.headers["Content-Disposition"] = "inline"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    return response
