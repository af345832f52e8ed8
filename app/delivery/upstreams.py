"""How each project's way to Sentry is: its state, what holds it up, and how much waits for it.

Pages, API, metrics and health ask here, so that they say the same. Counted is what waits and what
Sentry refused: an index leads to these, while counting what was sent would look at every row.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from app.delivery.destinations import Destination, Destinations
from app.delivery.ledger import Held, held_by_project
from app.delivery.outbox import projects_with_outbox
from app.delivery.outcomes import WAITING
from app.projects import OWN_PROJECT_ID, projects
from app.protocol.rate_limits import longest

# The states of :func:`reach` as every page names them.
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
    """A project's way to Sentry.

    :param cause: what it waits for, in words; empty when nothing holds it up.
    """

    project_id: int
    name: str
    destination: Destination
    state: str
    cause: str
    held: Held

    @property
    def is_set_up(self) -> bool:
        """Whether the project has a DSN to be sent on to."""
        return self.destination.dsn is not None

    @property
    def is_held_up(self) -> bool:
        """Whether nothing of it is sent until somebody, or Sentry, does something."""
        return is_held_up(self.destination, self.state, self.held.waiting > 0)


def list_upstreams(conn: Connection, destinations: Destinations, now: datetime) -> list[Upstream]:
    """Return every project's way to Sentry, by project; also of those that have none."""
    known = {upstream.project_id: upstream for upstream in destinations.list(conn)}
    held, found = held_by_project(conn), []
    names = select(projects.c.id, projects.c.name).order_by(projects.c.id)
    for project_id, name in conn.execute(names):
        upstream = known.get(project_id) or Destination(project_id)
        of_project = held.get(project_id, Held())
        cause = held_up_by(upstream, "", now)
        found.append(Upstream(project_id, name, upstream, reach(upstream, now), cause, of_project))
    return found


def held_up(
    conn: Connection, destinations: Iterable[Destination], now: datetime
) -> list[Destination]:
    """Return those destinations of which nothing is sent until somebody does something."""
    found = list(destinations)
    # Only a project whose DSN was taken away may have something to send and nowhere to send it.
    is_needed = any(upstream.dsn is None for upstream in found)
    waiting = frozenset(projects_with_outbox(conn)) if is_needed else frozenset()
    return [
        upstream
        for upstream in found
        if is_held_up(upstream, upstream.state(now), upstream.project_id in waiting)
    ]


def is_held_up(destination: Destination, state: str, has_waiting: bool) -> bool:
    """Tell whether nothing is sent there; a rate limit ends by itself and is no trouble."""
    return state in ("open", "paused") or (destination.dsn is None and has_waiting)


def reach(destination: Destination, now: datetime) -> str:
    """Return :meth:`Destination.state`, or ``failing`` where only the last tries failed."""
    state = destination.state(now)
    return "failing" if state == "closed" and destination.failures else state


def held_up_by(destination: Destination, item_types: str, now: datetime) -> str:
    """Return what a whole destination waits for, in words; empty when nothing holds it up."""
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
    """Return in words why an envelope of this project stays here."""
    is_own = destination.project_id == OWN_PROJECT_ID
    if destination.dsn is None:
        return "no SENTRY_DSN is set" if is_own else "its project has no DSN of its own"
    return f"it came before {'SENTRY_DSN was set' if is_own else 'its project had a DSN'}"


def next_try_at(row: Any, destination: Destination, now: datetime) -> datetime | None:
    """Return the moment of an envelope's next try, never a past one.

    :param row: with ``state``, ``next_at`` and ``item_types``.
    :return: ``None`` where it is due now, where its destination takes nothing (when that ends,
        nobody knows), and where it does not wait.
    """
    stands = destination.dsn is None or destination.paused_at or destination.open_since
    if row.state not in WAITING or stands:
        return None
    ends = longest(destination.limits, row.item_types.split(","))
    moment = max((time for time in (row.next_at, ends) if time is not None), default=now)
    return moment if moment > now else None


def next_try(row: Any, destination: Destination, now: datetime) -> str:
    """Return in words when a waiting envelope is tried next, where no moment is known.

    :param row: as for :func:`next_try_at`; of one that does not wait there is nothing to say.
    """
    if row.state not in WAITING or next_try_at(row, destination, now):
        return ""
    if destination.dsn is None:
        return "no DSN"
    if destination.paused_at is not None:
        return "paused"
    return "when Sentry is back" if destination.open_since is not None else "due"


def probe_at(destination: Destination, now: datetime) -> datetime | None:
    """Return when a destination that takes nothing is tried next; ``None`` if that is now."""
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
