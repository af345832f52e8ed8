"""Whether the running code belongs to the tracker. What it does and logs is never recorded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_recording: ContextVar[bool] = ContextVar("recording", default=False)


@contextmanager
def recording() -> Iterator[bool]:
    """Mark the code of this context as the tracker's. Yield whether it was marked already."""
    already = _recording.get()
    token = _recording.set(True)
    try:
        yield already
    finally:
        _recording.reset(token)


def is_recording() -> bool:
    """Return whether the running code belongs to the tracker."""
    return _recording.get()
