"""The state of each project's delivery to Sentry: what blocks it, and how many envelopes wait.

Pages, the API, metrics and health use this module, so they all show the same. It counts only
waiting and parked envelopes, because an index leads to them. Counting sent envelopes would read
every row.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, Select

from app.delivery.destinations import Destination, Destinations, with_destination
from app.delivery.ledger import Held, held_parts
from app.delivery.outbox import projects_with_outbox
from app.events.states import WAITING
from app.projects import OWN_PROJECT_ID, projects
from app.protocol.rate_limits import longest

# The states of :func:`reach` in the words of the pages.
WORDS = {
    "closed": "sending",
    "failing": "last try failed",
    "limited": "rate limited",
    "open": "circuit open",
    "paused": "paused",
    "none": "stays here",
}


@dataclass(frozen=True)
class Upstream:
    """The delivery of one project to Sentry.

    :param cause: what it waits for, in words; empty if nothing blocks it.
    """

    project_id: int
    name: str
    destination: Destination
    state: str
    cause: str
    held: Held
    is_demo: bool = False
    is_archived: bool = False

    @property
    def is_set_up(self) -> bool:
        """Whether the project has a DSN to which its envelopes are sent."""
        return self.destination.dsn is not None

    @property
    def is_held_up(self) -> bool:
        """Whether nothing is sent until a person acts or Sentry accepts again."""
        return is_held_up(self.destination, self.state, self.held.waiting > 0)


def list_upstreams(conn: Connection, destinations: Destinations, now: datetime) -> list[Upstream]:
    """Return the delivery of every project, by project id. Projects without a DSN are included."""
    rows = destinations.rows(conn, _with_numbers())
    return [_upstream(row, used or Destination(row.id), now) for row, used in rows.values()]


@cache
def _with_numbers() -> Select[Any]:
    waiting, parked = held_parts()
    columns = projects.c.name, projects.c.is_demo, projects.c.archived_at
    numbers = waiting.c.envelopes.label("waiting"), parked.c.envelopes.label("parked")
    return with_destination(*columns, *numbers, joined=(waiting, parked))


def _upstream(row: Row[Any], destination: Destination, now: datetime) -> Upstream:
    return Upstream(
        row.id,
        row.name,
        destination,
        reach(destination, now),
        held_up_by(destination, "", now),
        Held(row.waiting or 0, row.parked or 0),
        row.is_demo,
        row.archived_at is not None,
    )


def held_up(
    conn: Connection, destinations: Iterable[Destination], now: datetime
) -> list[Destination]:
    """Return the destinations to which nothing is sent: see :func:`is_held_up`."""
    found = list(destinations)
    # Only a project whose DSN was removed may have envelopes to send and no DSN to send them to.
    is_needed = any(upstream.dsn is None for upstream in found)
    waiting = frozenset(projects_with_outbox(conn)) if is_needed else frozenset()
    return [
        upstream
        for upstream in found
        if is_held_up(upstream, upstream.state(now), upstream.project_id in waiting)
    ]


def is_held_up(destination: Destination, state: str, has_waiting: bool) -> bool:
    """Return whether nothing is sent to a destination. A rate limit does not count, because it ends
    by itself.
    """
    return state in ("open", "paused") or (destination.dsn is None and has_waiting)


def reach(destination: Destination, now: datetime) -> str:
    """Return :meth:`Destination.state`, or ``failing`` if the last attempts failed and the circuit
    is still closed.
    """
    state = destination.state(now)
    return "failing" if state == "closed" and destination.failures else state


def held_up_by(destination: Destination, item_types: str, now: datetime) -> str:
    """Return in words what a whole destination waits for. The text is empty if nothing blocks it.

    :param item_types: separated by commas; rate limits of their categories count too.
    """
    if destination.dsn is None:
        return f"waits: {_lost_dsn(destination)}"
    if destination.paused_at is not None:
        return f"paused by a person since {_clock(destination.paused_at)}"
    if destination.open_since is not None:
        return f"waits for Sentry ({destination.cause}); {_probe(destination, now)}"
    until = longest(destination.limits, item_types.split(","))
    if until is not None and until > now:
        return f"429: Sentry asked to wait until {_clock(until)}"
    return ""


def why_local(destination: Destination) -> str:
    """Return in words why an envelope of this project is not sent to Sentry."""
    is_own = destination.project_id == OWN_PROJECT_ID
    if destination.dsn is None:
        return "no SENTRY_DSN is set" if is_own else "its project has no DSN of its own"
    return f"it came before {'SENTRY_DSN was set' if is_own else 'its project had a DSN'}"


def next_try_at(row: Any, destination: Destination, now: datetime) -> datetime | None:
    """Return the moment of an envelope's next attempt, never a moment in the past.

    :param row: with ``state``, ``next_at`` and ``item_types``.
    :return: ``None`` if the envelope is due now, if it does not wait, or if its destination has no
        DSN, is paused or has an open circuit. Nobody knows when such a destination is ready.
    """
    stands = destination.dsn is None or destination.paused_at or destination.open_since
    if row.state not in WAITING or stands:
        return None
    ends = longest(destination.limits, row.item_types.split(","))
    moment = max((time for time in (row.next_at, ends) if time is not None), default=now)
    return moment if moment > now else None


def next_try(row: Any, destination: Destination, now: datetime) -> str:
    """Return in words when a waiting envelope is tried next, if no moment is known.

    :param row: as for :func:`next_try_at`. For an envelope that does not wait the text is empty.
    """
    if row.state not in WAITING or next_try_at(row, destination, now):
        return ""
    if destination.dsn is None:
        return "no DSN"
    if destination.paused_at is not None:
        return "paused"
    return "when Sentry is back" if destination.open_since is not None else "due"


def probe_at(destination: Destination, now: datetime) -> datetime | None:
    """Return when a destination with an open circuit is probed next, ``None`` if that is now."""
    moment = destination.probe_at
    return moment if moment is not None and moment > now else None


def _probe(destination: Destination, now: datetime) -> str:
    moment = probe_at(destination, now)
    return f"next probe at {_clock(moment)}" if moment else "a probe is due"


def _lost_dsn(destination: Destination) -> str:
    if destination.project_id == OWN_PROJECT_ID:
        return "SENTRY_DSN is not set any more"
    return "its project has no DSN any more"


def _clock(moment: datetime) -> str:
    return f"{moment:%H:%M:%S} UTC"
