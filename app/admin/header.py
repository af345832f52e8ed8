"""The badge on top of every page: whether Sentry is reached, for all projects with a DSN."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from app.admin.lookups import project_names
from app.delivery.destinations import Destination
from app.delivery.upstreams import held_up, held_up_by, reach
from app.store import StoreError, utc_now
from app.web.current import current_destinations, current_store

# How many projects the header names.
NAMED = 5
# The worst first: the badge shows the worst state of all destinations.
_REACH = {
    "open": "Sentry not reached",
    "paused": "Sentry paused",
    "limited": "Sentry limits us",
    "unused": "Sentry set up",
    "closed": "Sentry reached",
}


def header_badge() -> tuple[str, str, str]:
    """Return the badge that says whether Sentry is reached: state, words, details."""
    now = utc_now()
    try:
        with current_store().read() as conn:
            found = current_destinations().list(conn)
            troubled = held_up(conn, found, now)
            names = project_names(conn) if len(found) > 1 else {}
    except StoreError:
        return "off", "Sentry unknown", "The store does not answer"
    return badge(
        [destination for destination in found if destination.dsn or destination in troubled],
        names,
        now,
    )


def badge(
    destinations: list[Destination], names: Mapping[int, str], now: datetime
) -> tuple[str, str, str]:
    """Return the badge of some destinations: the worst state, its words, details.

    :param destinations: those with a DSN, and those whose envelopes wait for a removed DSN.
    :param names: project id to name; needed if there are several destinations.
    """
    if not destinations:
        return "off", "no Sentry", "No project is sent on to Sentry: what happens stays here"
    states = {destination.project_id: _state(destination, now) for destination in destinations}
    worst = min(states.values(), key=list(_REACH).index)
    there = [destination for destination in destinations if states[destination.project_id] == worst]
    words = _REACH[worst]
    if len(there) < len(destinations):
        words = f"{words}: {len(there)} of {len(destinations)}"
    return worst if worst != "unused" else "off", words, _named(there, names, now)


def _state(destination: Destination, now: datetime) -> str:
    state = reach(destination, now)
    if state == "closed" and destination.delivered_at is None:
        return "unused"
    return "open" if state in ("failing", "none") else state


def _named(there: list[Destination], names: Mapping[int, str], now: datetime) -> str:
    told = []
    for destination in there[:NAMED]:
        cause = held_up_by(destination, "", now) or destination.cause or ""
        told.append(": ".join(filter(None, (names.get(destination.project_id), cause))))
    more = len(there) - NAMED
    return "; ".join([*filter(None, told), *([f"and {more} more"] if more > 0 else [])])
