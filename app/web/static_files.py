"""Static files, ours and those of Bootstrap-Flask: kept by browsers for a year.

The URL of a file has a fingerprint of its content: ``/static/css/app.css?v=3f9a1c2b77d0``. With the
right fingerprint the answer may be kept for a year, and is compressed if the client can read that.
Without it, a browser has to ask again, with an ETag: during an upgrade, a process may be asked for
the fingerprint of another version.

Pages are not compressed. They have the token against forged requests beside text that others may
choose, and the length of a compressed answer tells what is alike in it (BREACH).
"""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
import os
import re
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from flask import Flask, Response, request
from werkzeug.security import safe_join

# The parameter of the fingerprint.
PARAMETER = "v"
FOR_A_YEAR = "public, max-age=31536000, immutable"
# Pages use six. Larger files are left to Flask. Anyone may ask for other files of Bootstrap, so
# what they take is bounded: 8 MiB, and 8 ms of CPU to compress one.
MAX_FILES = 16
MAX_FILE_BYTES = 512 * 1024
_FOLDERS = "devenviro.static_folders"
_is_plain = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_./-]*").fullmatch
LEVEL = 6


class StaticFile(NamedTuple):
    """A static file in memory."""

    body: bytes
    fingerprint: str
    content_type: str


def init_app(app: Flask) -> None:
    """Add the fingerprint to every URL of a static file, and answer requests with one."""
    folders = {
        "static": app.static_folder or "",
        "bootstrap.static": app.blueprints["bootstrap"].static_folder or "",
    }
    app.extensions[_FOLDERS] = folders
    for endpoint, folder in folders.items():
        view = app.view_functions[endpoint]
        app.view_functions[endpoint] = _with_fingerprint(view, folder)

    @app.url_defaults
    def add_fingerprint(endpoint: str, values: dict[str, Any]) -> None:
        if endpoint in folders and PARAMETER not in values:
            found = find_file(folders[endpoint], str(values.get("filename", "")))
            if found is not None:
                values[PARAMETER] = found.fingerprint


def folder_of(app: Flask, endpoint: str) -> str | None:
    """Return the folder whose files an endpoint serves, ``None`` if it serves none."""
    folders: dict[str, str] = app.extensions.get(_FOLDERS, {})
    return folders.get(endpoint)


def path_of(folder: str, prefix: str, filename: str) -> str | None:
    """Return the path of a file with its fingerprint, ``None`` if it needs Werkzeug's care."""
    # Every page has six of them, so a file is looked at once a second.
    return _path_of(folder, prefix, filename, int(time.monotonic()))


@lru_cache(maxsize=2 * MAX_FILES)
def _path_of(folder: str, prefix: str, filename: str, _second: int) -> str | None:
    if not _is_plain(filename) or ".." in filename or "//" in filename:
        return None
    found = find_file(folder, filename)
    return f"{prefix}{filename}?{PARAMETER}={found.fingerprint}" if found else None


def find_file(folder: str, filename: str) -> StaticFile | None:
    """Return a file of a folder as it is now, ``None`` if there is none or it is too large."""
    path = safe_join(folder, filename)
    try:
        about = os.stat(path) if path else None  # A Path takes longer than the question.
        if path is None or about is None or about.st_size > MAX_FILE_BYTES:
            return None
        return _read(path, about.st_mtime_ns, about.st_size)
    except (OSError, ValueError):
        return None


@lru_cache(maxsize=MAX_FILES)
def _read(path: str, _changed_ns: int, _size: int) -> StaticFile:
    body = Path(path).read_bytes()
    kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
    kind = f"{kind}; charset=utf-8" if kind.startswith("text/") else kind
    return StaticFile(body, hashlib.sha256(body).hexdigest()[:12], kind)


@lru_cache(maxsize=MAX_FILES)
def _compressed(file: StaticFile) -> bytes | None:
    """Return the compressed body, ``None`` if it is no shorter."""
    packed = gzip.compress(file.body, LEVEL, mtime=0)
    return packed if len(packed) < len(file.body) else None


def _with_fingerprint(view: Callable[..., Any], folder: str) -> Callable[..., Any]:
    def serve(filename: str) -> Any:
        found = find_file(folder, filename)
        return view(filename=filename) if found is None else _answer(found)

    return serve


def _answer(file: StaticFile) -> Response:
    is_right = request.args.get(PARAMETER) == file.fingerprint
    packed = _compressed(file) if is_right and request.accept_encodings["gzip"] > 0 else None
    response = Response(packed or file.body, content_type=file.content_type)
    response.headers["Cache-Control"] = FOR_A_YEAR if is_right else "no-cache"
    response.headers["Vary"] = "Accept-Encoding"
    response.set_etag(f"{file.fingerprint}-gzip" if packed else file.fingerprint)
    if packed:
        response.headers["Content-Encoding"] = "gzip"
    response.make_conditional(request)
    return response
