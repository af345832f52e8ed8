"""The application with the path ``/slow``, whose answer waits for a file."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from tests.server_process import wait_for
from wsgi import app

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

FOLDER = Path(os.environ["SLOW_FOLDER"])
_rest = app.wsgi_app


def _slow(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    if environ["PATH_INFO"] != "/slow":
        return _rest(environ, start_response)
    (FOLDER / "begun").touch()
    wait_for((FOLDER / "go on").exists)
    start_response("200 OK", [("Content-Length", "8")])
    return [b"finished"]


app.wsgi_app = _slow  # type: ignore[method-assign]
