"""Read what is known: about one event, and about all that was asked about in a range of time."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, func, select

from app.confirmation.apis import Api, access_of
from app.confirmation.tables import State, confirmation_apis, confirmation_sources, confirmations
from app.delivery.destinations import Destination, Destinations
from app.events.trail import Hop

# The range of the counts on pages and in /metrics.
RANGE = timedelta(days=1)
# The missing events that a page names.
NAMED = 100
# An accepted event is chosen within this time, so a page waits for that.
CHOSEN_WITHIN = timedelta(seconds=5)


class Confirmation(NamedTuple):
    """What is known about an event that Sentry accepted.

    :param row: of ``confirmations``; ``None`` if the event was not chosen, or not yet.
    :param access: the API, or why there is none.
    :param cause: why the API cannot be asked now; empty if it can.
    """

    row: Row[Any] | None
    access: Api | str
    cause: str = ""

    def hop(self) -> Hop | None:
        """Return the hop of the trail, ``None`` if the event is not asked about."""
        row, why = self.row, self.access if isinstance(self.access, str) else self.cause
        if row is None:
            no_api = isinstance(self.access, str)
            return Hop("confirmed", detail=f"cannot ask: {self.access}") if no_api else None
        if row.state == State.CONFIRMED:
            ms = (row.settled_at - row.accepted_at) / timedelta(milliseconds=1)
            return Hop("confirmed", row.settled_at, round(ms, 2), True, "Sentry shows it")
        if row.state == State.MISSING:
            detail = f"missing: Sentry accepted it, and does not show it ({_asked(row)})"
            return Hop("confirmed", row.settled_at, None, False, detail)
        if row.state == State.UNKNOWN:
            return Hop("confirmed", detail=f"not known: {row.reason or 'it could not be asked'}")
        if why or (row.reason and not row.reason.startswith("accepted, ")):
            return Hop("confirmed", detail=f"cannot ask: {why or row.reason}")
        when = f"asked again at {row.next_at:%H:%M:%S} UTC" if row.next_at else "asked again"
        return Hop("confirmed", detail=f"not yet: {when if row.asked else 'asked soon'}")

    def may_come(self, accepted_at: datetime, now: datetime) -> bool:
        """Return whether an answer may come soon, so that it is worth looking again."""
        if isinstance(self.access, str) or self.cause:
            return False
        if self.row is None:
            return now - accepted_at < CHOSEN_WITHIN
        return self.row.state == State.OPEN and now - accepted_at < timedelta(minutes=2)

    def page(self, web_url: str | None) -> str | None:
        """Return the page on which Sentry shows the event, ``None`` if that is not known."""
        row = self.row
        if row is None or row.group_id is None or isinstance(self.access, str):
            return None
        return self.access.page_of(row.event_id, row.group_id, web_url)


def _asked(row: Row[Any]) -> str:
    return "asked once" if row.asked == 1 else f"asked {row.asked} times"


def confirmations_of(
    conn: Connection,
    ids: Collection[tuple[int, str]],
    found: Iterable[Destination],
    destinations: Destinations,
) -> dict[tuple[int, str], Confirmation]:
    """Return what is known about accepted events, in at most three queries.

    :param ids: project id and event id of each, at most some hundred.
    :param found: the destinations of their projects.
    """
    columns = confirmations.c
    access = {one.project_id: access_of(one, destinations) for one in found}
    query = select(confirmations).where(
        columns.project_id.in_({project_id for project_id, _ in ids}),
        columns.event_id.in_({event_id for _, event_id in ids}),
    )
    rows = {(row.project_id, row.event_id): row for row in conn.execute(query)} if ids else {}
    waiting = {of for of in ids if of not in rows or rows[of].state == State.OPEN}
    causes = causes_of(conn, {of for of, _ in waiting}, access)
    return {
        of: Confirmation(rows.get(of), access.get(of[0], ""), causes.get(of[0], "")) for of in ids
    }


def causes_of(
    conn: Connection, project_ids: Collection[int], access: Mapping[int, Api | str]
) -> dict[int, str]:
    """Return why the API cannot be asked, for the projects for which it cannot."""
    keys = {of: api.key for of, api in access.items() if isinstance(api, Api)}
    wanted = [of for of in project_ids if of in keys]
    if not wanted:
        return {}
    columns, of_api = confirmation_sources.c, confirmation_apis.c
    has_cause = columns.project_id.in_(wanted), columns.cause.is_not(None)
    causes = dict(conn.execute(select(columns.project_id, columns.cause).where(*has_cause)).all())
    failing = of_api.key.in_({keys[of] for of in wanted}), of_api.cause.is_not(None)
    failed = dict(conn.execute(select(of_api.key, of_api.cause).where(*failing)).all())
    shared = {of: failed[keys[of]] for of in wanted if keys[of] in failed}
    return {**shared, **causes}


# ---- counts -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tally:
    """What became of the events of a project that were asked about.

    :param cause: why Sentry cannot be asked now, or that there is no token; empty if it can be.
    """

    project_id: int
    confirmed: int = 0
    missing: int = 0
    open: int = 0
    unknown: int = 0
    has_api: bool = True
    cause: str = ""

    @property
    def answered(self) -> int:
        """How many events Sentry shows or does not show."""
        return self.confirmed + self.missing


def tallies(
    conn: Connection, found: Iterable[Destination], destinations: Destinations, now: datetime
) -> list[Tally]:
    """Return what became of the events of the last day that were asked about, by project.

    :param found: destinations; those without a DSN are left out.
    """
    access = {one.project_id: access_of(one, destinations) for one in found if one.dsn}
    counts = counts_since(conn, now - RANGE)
    causes = causes_of(conn, list(access), access)
    return [
        Tally(
            of,
            **counts.get(of, {}),
            has_api=isinstance(api, Api),
            cause=api if isinstance(api, str) else causes.get(of, ""),
        )
        for of, api in access.items()
    ]


def counts_since(
    conn: Connection, since: datetime, project_id: int | None = None
) -> dict[int, dict[str, int]]:
    """Return how many events that were accepted since a moment have each state, by project."""
    columns = confirmations.c
    query = select(columns.project_id, columns.state, func.count().label("number"))
    query = query.where(columns.accepted_at >= since)
    if project_id is not None:
        query = query.where(columns.project_id == project_id)
    found: dict[int, dict[str, int]] = {}
    for row in conn.execute(query.group_by(columns.project_id, columns.state)):
        found.setdefault(row.project_id, {})[row.state] = row.number
    return found


def missing_events(
    conn: Connection, since: datetime, project_id: int | None = None, limit: int = NAMED
) -> list[Row[Any]]:
    """Return the newest events that are missing, accepted since a moment."""
    columns = confirmations.c
    query = select(confirmations).where(
        columns.accepted_at >= since, columns.state == State.MISSING
    )
    if project_id is not None:
        query = query.where(columns.project_id == project_id)
    newest = columns.accepted_at.desc(), columns.project_id, columns.event_id
    return list(conn.execute(query.order_by(*newest).limit(limit)))
