"""The canary: an event that is made for a project of which nothing was chosen for an hour.

Without one, nobody would learn in a quiet night that Sentry loses what it accepts. The first error
of the morning would be lost. The canary goes directly to Sentry: it is not stored here, so it makes
no issue, alerts nobody and counts in no figure. In Sentry all canaries of a project are one issue,
of level "info".
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

import pycurl

from app.confirmation.client import DEADLINE_S
from app.confirmation.sources import Source
from app.delivery.client import CheckAddress, Line, Origin, stamped
from app.delivery.destination_sender import limits_of
from app.delivery.destinations import Destination
from app.delivery.policy import judge
from app.protocol.dsn import Dsn
from app.protocol.envelope import Envelope, Item, serialize_envelope
from app.protocol.rate_limits import longest

EVERY = timedelta(hours=1)
MESSAGE = "DevEnviro canary: Sentry shows what it accepts"
TAG = "devenviro.canary"


def project_without_events(
    sources: Mapping[int, Source], destinations: Iterable[Destination], now: datetime
) -> Destination | None:
    """Return the destination that most needs a canary, ``None`` if none does.

    A destination that is paused, limited or failing gets none: its delivery is known to wait.
    """
    idle = [
        (sources[one.project_id].chosen_at, one.project_id, one)
        for one in destinations
        if one.project_id in sources and _is_idle(sources[one.project_id], one, now)
    ]
    return min(idle)[2] if idle else None


def _is_idle(source: Source, destination: Destination, now: datetime) -> bool:
    is_well = destination.state(now) == "closed" and not destination.failures
    is_limited = longest(destination.limits, ["event"]) is not None
    return is_well and not is_limited and source.chosen_at <= now - EVERY


def send(
    destination: Destination, instance_id: str, check: CheckAddress | None, now: datetime
) -> tuple[str, str | None] | None:
    """Send a canary. Return its event id and a remark of Sentry, ``None`` if it was not accepted.

    A refused canary says nothing that the delivery of real events does not say.
    """
    dsn, event_id = Dsn.of(destination.dsn or ""), uuid.uuid4().hex
    line = Line(dsn, instance_id, check)
    try:
        line.load(stamped(envelope_of(event_id, now), now), Origin())
        line.curl.setopt(pycurl.TIMEOUT, DEADLINE_S)
        error: tuple[int, str] = (pycurl.E_OK, "")
        try:
            line.curl.perform()
        except pycurl.error as failure:
            error = (failure.args[0], failure.args[1])
        decision = judge(line.result(*error), now)
    finally:
        line.close()
    return (event_id, limits_of(decision, ["event"])) if decision.kind == "delivered" else None


def envelope_of(event_id: str, now: datetime) -> bytes:
    """Return the envelope of a canary."""
    event = {
        "event_id": event_id,
        "timestamp": now.isoformat(),
        "platform": "other",
        "level": "info",
        "logger": "devenviro.canary",
        "logentry": {"message": MESSAGE},
        "fingerprint": ["devenviro canary"],
        "tags": {TAG: "true"},
    }
    return serialize_envelope(Envelope({"event_id": event_id}, [Item({"type": "event"}, event)]))
