"""The application in a process that buffers few bytes for its clients, for a short time."""

from __future__ import annotations

from functools import partial

from app.server import limits

PEER_BYTES, ALL_BYTES = 100_000, 230_000
# A client that reads its answer has it long before this time.
ANSWER_S = 2.0
# gunicorn.conf.py reads it when the application is loaded. There is no minimum speed of bodies,
# since the test itself may be slow.
limits.Limits = partial(  # type: ignore[assignment,misc]
    limits.Limits,
    bytes=ALL_BYTES,
    bytes_per_peer=PEER_BYTES,
    min_bytes_per_s=0,
    answer_s=ANSWER_S,
)

from wsgi import app  # noqa: E402

__all__ = ["app"]
