"""The application in a process that keeps few bytes for its clients, and not for long."""

from __future__ import annotations

from functools import partial

from app.server import limits

PEER_BYTES, ALL_BYTES = 100_000, 230_000
# A client that reads what it asked for has an answer long before.
ANSWER_S = 2.0
# Taken by gunicorn.conf.py when the application is loaded. No body is slow: the test may be.
limits.Limits = partial(  # type: ignore[assignment,misc]
    limits.Limits,
    bytes=ALL_BYTES,
    bytes_per_peer=PEER_BYTES,
    min_bytes_per_s=0,
    answer_s=ANSWER_S,
)

from wsgi import app  # noqa: E402

__all__ = ["app"]
