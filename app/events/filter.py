"""The filter of a list of events: the parameters of the API and of the page."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, Field
from sqlalchemy import Connection, column, select, table

from app.events.tables import events
from app.inputs import Control, ProjectId, RangeFilter, RowNumber
from app.protocol.client_clock import TOLERANCE
from app.protocol.event import Level, clean_text, parse_event_id
from app.protocol.lenient import search_text
from app.store import utc_now
from app.store.paging import Listing, hidden, is_small
from app.store.searching import contains

# The index of event ids begins with the project. The table of projects belongs to another package.
PROJECT_IDS = table("projects", column("id")).c.id

# Fields that are compared with the column of the same name.
EXACT = ("level", "environment", "release", "transaction")

Environment = Annotated[str, Field(max_length=200)]
Release = Annotated[str, Field(max_length=250)]
Transaction = Annotated[str, Field(max_length=500, description="Exactly as the event has it.")]
Text = Annotated[
    str, Field(max_length=500, description="Part of title, culprit, transaction; or an id.")
]
Since = Annotated[AwareDatetime, Field(description="Received at or after.")]
Until = Annotated[AwareDatetime, Field(description="Received before.")]


class EventFilter(RangeFilter):
    """The filter of a list of events; with a range, of those that happened in it.

    ``q`` is a part of a text, upper or lower case, or the id of an event. With an id, the list
    holds only that event.
    """

    project_id: Annotated[ProjectId | None, Control("Project", "project")] = None
    issue_id: RowNumber | None = None
    level: Annotated[Level | None, Control("Level")] = None
    environment: Annotated[Environment | None, Control("Environment")] = None
    release: Annotated[Release | None, Control("Release")] = None
    transaction: Annotated[Transaction | None, Control("Transaction")] = None
    q: Annotated[Text | None, Control("Text", placeholder="title, culprit, id")] = None
    since: Since | None = None
    until: Until | None = None

    def listing(self, conn: Connection, *, descending: bool = True) -> Listing:
        """Return the listing of the events that match this filter, sorted by row id."""
        key = [events.c.id]
        others = [*self._others(), *self._happened(), *self._containing()]
        since = self._since()
        received = self._received(events.c.received_at, since)
        of_project = self._of_project(events.c.project_id)
        if of_event := self._of_event(conn):
            given = [*of_project, *received, *self._happened(), *self._others()]
            return Listing(key, [*of_event, *given], (), descending)
        if self.issue_id is not None:
            along = [events.c.issue_id == self.issue_id]
            others += self._of_project(hidden(events.c.project_id))
        elif received and is_small(conn, events.c.received_at, *received):
            others += self._of_project(hidden(events.c.project_id))
            return Listing(key, [*received, *others], (), descending, is_small=True)
        else:
            along = []
        others += self._received(hidden(events.c.received_at), since)
        goes_on = events.c.received_at >= since if since and descending else None
        listing = Listing(key, along, others, descending, goes_on_while=goes_on)
        is_by_project = self.issue_id is None and self.project_id is not None
        return self._along_project(listing) if is_by_project else listing

    def _along_project(self, listing: Listing) -> Listing:
        # The condition is a range that holds one number, and the list is sorted by that number
        # too. For an equality PostgreSQL would use the primary key instead, and read backwards
        # past all newer events of other projects.
        project = events.c.project_id
        along = [project >= self.project_id, project <= self.project_id]
        return listing._replace(key=[project, *listing.key], along=along, prefix=(self.project_id,))

    def _of_project(self, column: Any) -> list[Any]:
        return [] if self.project_id is None else [column == self.project_id]

    def _since(self) -> datetime | None:
        """Return the time from which on the events were received; ``None`` without one.

        An event is received after it happened, but for the tolerance of its client's clock.
        """
        start = self.range_of(utc_now()).start
        given = [self.since, start and start - TOLERANCE]
        return max((moment for moment in given if moment is not None), default=None)

    def _received(self, column: Any, since: datetime | None) -> list[Any]:
        after = [column >= since] if since else []
        return [*after, column < self.until] if self.until else after

    def _happened(self) -> list[Any]:
        chosen, at = self.range_of(utc_now()), hidden(events.c.timestamp)
        start = [] if chosen.start is None else [at >= chosen.start]
        return start if chosen.end is None else [*start, at < chosen.end]

    def _others(self) -> list[Any]:
        given = {name: getattr(self, name) for name in EXACT}
        return [
            events.c[name] == clean_text(value)
            for name, value in given.items()
            if value is not None
        ]

    def _containing(self) -> list[Any]:
        text = search_text(self.q)
        columns = (events.c.title, events.c.culprit, events.c.transaction)
        return [contains(text, *columns)] if text else []

    def _of_event(self, conn: Connection) -> list[Any]:
        """Return the conditions for the event whose id is in ``q``, empty if it is not stored."""
        event_id = parse_event_id(search_text(self.q))
        if event_id is None:
            return []
        # The project comes first, as in the index.
        is_it = events.c.project_id.in_(select(PROJECT_IDS)), events.c.event_id == event_id
        return list(is_it) if conn.execute(select(events.c.id).where(*is_it)).first() else []
