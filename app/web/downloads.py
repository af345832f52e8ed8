"""Attachments as downloads. A browser never displays them, whatever type they name.

A client sent the attachment. If a browser displayed it as the type that it names, a page in it
would run with the session of the person who opens it.
"""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import quote

from flask import Response

from app.events.attachments import Attachment

MAX_NAME = 150
_UNSAFE = re.compile(r"[^\w.() -]", re.ASCII)


def download(attachment: Attachment) -> Response:
    """Return an attachment as an answer that browsers save as a file.

    Source: RFC 6266, section 4.3 and appendix D.
    """
    name = safe_name(attachment.filename)
    plain = _UNSAFE.sub("_", name)
    response = Response(attachment.payload, content_type="application/octet-stream")
    response.headers["Content-Disposition"] = (
        f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
    )
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    return response


def safe_name(given: object) -> str:
    """Return a safe file name, without a path.

    :param given: the name in the envelope; any JSON value.
    """
    text = given if isinstance(given, str) else ""
    last = re.split(r"[/\\:]", text)[-1]
    # Control and format characters include those that reverse text, such as "gpj.exe".
    printable = "".join(c if unicodedata.category(c)[0] != "C" else "_" for c in last)
    stem, dot, suffix = printable.strip(" .").rpartition(".")
    if len(stem) + len(suffix) >= MAX_NAME:
        return f"{stem[: MAX_NAME - len(suffix[:20])]}{dot}{suffix[:20]}" or "attachment"
    return f"{stem}{dot}{suffix}" or "attachment"
