"""Wait until Sentry has accepted a test error, or until it stopped.

A request that waits holds a thread of its process. Ordinary envelopes do not need it: a thread of
their own takes them (:mod:`app.ingest.direct`). Pages, the API and unusual envelopes share the
others, so only :data:`MAX_WAITERS` of the eight may wait. Further requests do not wait.
"""

from __future__ import annotations

import threading
import time

from app.delivery.upstreams import held_up_by
from app.store import utc_now
from app.trials.answer import answer_of
from app.web.current import current_store
from app.web.delivery_status import FINAL, Progress, follow

MAX_WAIT_S = 30.0
MAX_WAITERS = 2
_FIRST_POLL_S, _SLOWEST_POLL_S = 0.05, 0.5

_waiters = threading.BoundedSemaphore(MAX_WAITERS)


def wait_for_answer(event_id: str, timeout_s: float = MAX_WAIT_S) -> tuple[Progress | None, bool]:
    """Return the delivery status of an event once Sentry answered, and whether it waited for that.

    It also ends when the whole destination is held up, which takes longer than anybody waits. If
    too many requests wait already, it returns the present status.
    """
    if not _waiters.acquire(blocking=False):
        return look(event_id), False
    try:
        return _wait(event_id, time.monotonic() + timeout_s), True
    finally:
        _waiters.release()


def _wait(event_id: str, deadline: float) -> Progress | None:
    pause = _FIRST_POLL_S
    while True:
        progress = look(event_id)
        if time.monotonic() + pause > deadline or (progress and is_over(progress)):
            return progress
        time.sleep(pause)
        pause = min(pause * 1.5, _SLOWEST_POLL_S)


def look(event_id: str) -> Progress | None:
    """Return the present delivery status of an event."""
    with current_store().read() as conn:
        return follow(conn, event_id)


def is_over(progress: Progress) -> bool:
    """Return whether it is useless to wait any longer."""
    row = progress.stored.row
    is_held_up = held_up_by(progress.destination, row.item_types, utc_now())
    return row.state in FINAL or bool(is_held_up and answer_of(progress).stopped_at)
