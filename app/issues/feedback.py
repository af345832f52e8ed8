"""User feedback about errors: a row for each feedback item, beside its envelope.

A row is written with its envelope and removed with it. It refers to the issue of the event that the
feedback is about. If that event arrives later, :func:`link_orphans` sets the issue.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, NamedTuple

from pydantic import Field
from sqlalchemy import Connection, Row, and_, bindparam, or_, select, text, update

from app.events.attachments import MAX_BYTES, Attachment, attachments_in
from app.events.tables import envelopes, events
from app.inputs import Control, Filter, ProjectId, RowNumber
from app.issues.tables import DELETED, WAITS, FeedbackState, feedback, issues
from app.protocol.event import parse_event_id
from app.protocol.feedback import Feedback
from app.protocol.lenient import search_text
from app.store import DriverStatement, Store, insert_for, is_in
from app.store.paging import Listing, Page, hidden, read_page
from app.store.searching import contains

# How many rows without their event are checked again, newest first. An event that its client
# sampled out never arrives.
MAX_LINKED = 500

EventId = Annotated[
    str, Field(pattern="^[0-9a-f]{32}$", description="Of the event that it is about.")
]
Text = Annotated[str, Field(max_length=500, description="Part of message, name, e-mail; or an id.")]


class Received(NamedTuple):
    """A feedback item and the envelope that it arrived in."""

    project_id: int
    envelope_id: int
    received_at: datetime
    feedback: Feedback


class FeedbackFilter(Filter):
    """The filter of a list of feedback."""

    project_id: Annotated[ProjectId | None, Control("Project", "project")] = None
    issue_id: Annotated[RowNumber | None, Control("Issue", "issue")] = None
    event_id: EventId | None = None
    state: Annotated[FeedbackState | None, Control("State")] = None
    q: Annotated[Text | None, Control("Text", placeholder="message, name, e-mail, id")] = None

    def listing(self) -> Listing:
        """Return the listing of the feedback that matches this filter, sorted by row id."""
        columns, along, others = feedback.c, [], []
        if self.event_id is not None:
            along.append(columns.associated_event_id == self.event_id)
        elif self.issue_id is not None:
            along.append(columns.issue_id == self.issue_id)
        elif self.project_id is not None:
            along.append(columns.project_id == self.project_id)
        if self.issue_id is not None and self.event_id is not None:
            others.append(hidden(columns.issue_id) == self.issue_id)
        if self.project_id is not None and (self.event_id or self.issue_id) is not None:
            others.append(hidden(columns.project_id) == self.project_id)
        if self.state is not None:
            others.append(hidden(columns.state) == self.state)
        if text := search_text(self.q):
            others.append(_contains(text))
        return Listing([columns.id], along, others)


EVERYTHING = FeedbackFilter()


def record_feedback(conn: Connection, received: Iterable[Received]) -> None:
    """Store feedback; the events of the same transaction must be stored before."""
    rows = [
        {
            "project_id": one.project_id,
            "envelope_id": one.envelope_id,
            "received_at": one.received_at,
            **asdict(one.feedback),
        }
        for one in received
    ]
    if not rows:
        return
    known = _issues_of(conn, {(row["project_id"], row["associated_event_id"]) for row in rows})
    for row in rows:
        row["issue_id"] = known.get((row["project_id"], row["associated_event_id"]))
    _INSERTION.run(conn, rows)


def link_orphans(store: Store) -> int:
    """Set the issue of feedback whose event arrived later; return the number of these rows."""
    with store.read() as conn:  # Usually there is nothing to do, so do not wait for the writer.
        found = _orphans(conn)
    if not found:
        return 0
    with store.write() as conn:
        for row in _orphans(conn):
            its_row = update(feedback).where(feedback.c.id == row.id)
            conn.execute(its_row.values(issue_id=row.issue_id))
    return len(found)


def page_of_feedback(
    conn: Connection,
    filter: FeedbackFilter = EVERYTHING,
    *,
    before: int | None = None,
    limit: int = 50,
) -> Page:
    """Return a page of feedback rows with the ``title`` of their issue, newest first.

    :param before: the last row id of the previous page; the page begins after it.
    """
    query = (
        select(feedback, issues.c.title)
        .outerjoin(issues, issues.c.id == feedback.c.issue_id)
        .where(or_(feedback.c.issue_id.is_(None), issues.c.status != DELETED))
    )
    after = None if before is None else (before,)
    return read_page(conn, query, filter.listing(), after=after, limit=limit)


def find_feedback(conn: Connection, feedback_id: int) -> Row[Any] | None:
    """Return one row of feedback, ``None`` if there is none with this id."""
    if not 0 < feedback_id < 2**63:
        return None
    return conn.execute(select(feedback).where(feedback.c.id == feedback_id)).first()


def set_state(conn: Connection, feedback_id: int, state: FeedbackState) -> bool:
    """Set the state of feedback, and return whether there is feedback with this id."""
    if not 0 < feedback_id < 2**63:
        return False
    of_it = update(feedback).where(feedback.c.id == feedback_id)
    return bool(conn.execute(of_it.values(state=state)).rowcount)


def files_of(conn: Connection, rows: Iterable[Row[Any]]) -> dict[int, list[Attachment]]:
    """Return the files of feedback, by the row id of the feedback; rows without files are left out.

    Only the first :data:`MAX_BYTES` of a page's envelopes are read, because the page waits for
    them.
    """
    by_envelope = {row.envelope_id: row.id for row in rows}
    columns = envelopes.c
    with_files = select(columns.id, columns.size_bytes).where(
        columns.id.in_(by_envelope), columns.item_types.contains("attachment")
    )
    found: dict[int, list[Attachment]] = {}
    left = MAX_BYTES
    for envelope_id, size_bytes in conn.execute(with_files.order_by(columns.id.desc())).all():
        left -= size_bytes
        if found and left < 0:
            break
        body = conn.scalar(select(columns.body).where(columns.id == envelope_id))
        if body:
            found[by_envelope[envelope_id]] = attachments_in(body)
    return found


def find_file(conn: Connection, feedback_id: int, number: int) -> Attachment | None:
    """Return a file of a feedback item by its number, from 0; ``None`` when it does not exist."""
    if feedback_id >= 2**63:
        return None
    query = (
        select(feedback.c.id, feedback.c.envelope_id)
        .outerjoin(issues, issues.c.id == feedback.c.issue_id)
        .where(feedback.c.id == feedback_id)
        .where(or_(feedback.c.issue_id.is_(None), issues.c.status != DELETED))
    )
    rows: list[Row[Any]] = list(conn.execute(query))
    files = files_of(conn, rows).get(feedback_id, [])
    return files[number] if number < len(files) else None


def has_feedback(conn: Connection, project_id: int, event_id: str) -> bool:
    """Return whether a project has a feedback item with this event id of its own."""
    is_it = feedback.c.project_id == project_id, feedback.c.event_id == event_id
    return conn.execute(select(feedback.c.id).where(*is_it)).first() is not None


def nth_newest_at(conn: Connection, project_id: int, n: int) -> datetime | None:
    """Return the time received of a project's ``n``-th newest feedback, ``None`` without it."""
    query = select(feedback.c.received_at).where(feedback.c.project_id == project_id)
    return conn.execute(query.order_by(feedback.c.id.desc()).offset(n - 1).limit(1)).scalar()


_INSERTION = DriverStatement(lambda dialect: insert_for(dialect, feedback).on_conflict_do_nothing())
_ISSUES_OF = DriverStatement(
    lambda dialect, size: select(events.c.event_id, events.c.issue_id).where(
        events.c.project_id == bindparam("project_id"),
        is_in(events.c.event_id, "event_ids", size),
    ),
    takes="event_ids",
)


def _issues_of(
    conn: Connection, about: Iterable[tuple[int, str | None]]
) -> dict[tuple[int, str], int]:
    # One query per project: for a list of pairs SQLite reads the whole table.
    by_project: dict[int, list[str]] = {}
    for project_id, event_id in about:
        if event_id is not None:
            by_project.setdefault(project_id, []).append(event_id)
    return {
        (project_id, event_id): issue_id
        for project_id, ids in by_project.items()
        for event_id, issue_id in _ISSUES_OF.fetch(
            conn, {"project_id": project_id, "event_ids": ids}
        )
    }


def _orphans(conn: Connection) -> list[Row[Any]]:
    of = feedback.c
    waiting = (
        select(of.id, of.project_id, of.associated_event_id)
        .where(text(WAITS))
        .order_by(of.id.desc())
        .limit(MAX_LINKED)
        .subquery()
    )
    its_event = and_(
        events.c.project_id == waiting.c.project_id,
        events.c.event_id == waiting.c.associated_event_id,
    )
    query = select(waiting.c.id, events.c.issue_id).join(events, its_event)
    return list(conn.execute(query))


def _contains(text: str) -> Any:
    matches: list[Any] = [contains(text, feedback.c.message, feedback.c.name, feedback.c.email)]
    event_id = parse_event_id(text)
    if event_id is not None:
        matches += [feedback.c.event_id == event_id, feedback.c.associated_event_id == event_id]
    return or_(*matches)
