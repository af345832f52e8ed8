"""Whether the running code is the tracker's own: what it does and logs is never recorded itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_recording: ContextVar[bool] = ContextVar("recording", default=False)


@contextmanager
def recording() -> Iterator[bool]:
    """Mark this context as the tracker's own; yields whether it was that already."""
    already = _recording.get()
    token = _recording.set(True)
    try:
        yield already
    finally:
        _recording.reset(token)


def is_recording() -> bool:
    """Return whether the running code is the tracker's own."""
    return _recording.get()
