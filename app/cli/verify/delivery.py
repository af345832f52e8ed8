"""The check "delivered": does the captured exception reach Sentry through the forwarder?"""

from __future__ import annotations

import time

from app.cli.verify.checks import Run
from app.delivery.forwarder import Forwarder
from app.events.states import EnvelopeState
from app.web.checks import Verdict, failed, passed, warned
from app.web.delivery_status import Progress, follow
from app.worker import rules_of

# A healthy Sentry answers within one second. The forwarder may run in another process, which looks
# for newly stored envelopes five times a second.
WAIT_S = 15.0
POLL_S = 0.1


def delivered(run: Run) -> Verdict:
    """Wait until Sentry has accepted the captured exception, or return why it has not."""
    if not run.exception_id:
        return failed("no exception was captured", "see the check “exception captured”")
    # This forwarder sends only if no other process holds the lease. Otherwise that process sends.
    forwarder = Forwarder(run.store, run.destinations, rules_of(run.config))
    forwarder.start()
    try:
        progress = _settled(run, time.monotonic() + WAIT_S)
    finally:
        forwarder.stop()
    if progress is None:
        return warned(
            f"event {run.exception_id} is not in the store",
            "what is in the emergency folder is recovered and sent when the store answers",
        )
    return _verdict(run, progress)


def _settled(run: Run, deadline: float) -> Progress | None:
    while True:
        with run.store.read() as conn:
            progress = follow(conn, run.exception_id)
        waits = progress is None or progress.stored.row.state == EnvelopeState.PENDING
        if not waits or time.monotonic() > deadline:
            return progress
        time.sleep(POLL_S)


def _verdict(run: Run, progress: Progress) -> Verdict:
    row = progress.stored.row
    if row.state == EnvelopeState.DELIVERED:
        where = f": {progress.upstream_url}" if progress.upstream_url else ""
        return passed(f"Sentry accepted event {row.upstream_id or row.event_id}{where}")
    stopped = next((hop for hop in progress.hops if hop.ok is not True), None)
    cause = run.clean(stopped.detail if stopped else row.reason or "")
    if row.state == EnvelopeState.PARKED:
        return failed(f"parked: {cause}", "see the page Deliveries; replay it when it is mended")
    return warned(
        f"{row.state}: {cause}", "it is kept, and sent when that has ended; see the page Deliveries"
    )
