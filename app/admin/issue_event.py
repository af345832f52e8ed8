"""Which event the page of an issue shows: the chosen one, one that was searched for, the latest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask import request
from sqlalchemy import Connection, Row

from app.admin.event_view import EventView
from app.admin.lookups import Neighbours, neighbours
from app.admin.trails import sentence_of
from app.delivery.destinations import Destination
from app.events.queries import StoredEvent, find_event, find_stored, latest_event
from app.inputs.period import RangeFilter
from app.search.errors import QueryError
from app.search.events import newest_matching
from app.search.grammar import Query, parse
from app.search.projects import fits_project
from app.store import utc_now
from app.web.delivery_status import stands_by


@dataclass(frozen=True)
class Search:
    """The search that led to the page.

    :param query: its terms of events.
    :param has_match: whether the shown event is the newest one that fulfils them.
    """

    query: str
    has_match: bool


@dataclass(frozen=True)
class ShownEvent:
    """The event that the page of an issue shows.

    :param sentence: its delivery state in words.
    :param is_chosen: whether the address names it.
    :param search: ``None`` if nothing was searched for.
    """

    row: Row[Any]
    view: EventView
    sentence: str
    around: Neighbours
    is_chosen: bool
    search: Search | None


def shown_event(
    conn: Connection, issue: Row[Any], destination: Destination, groupings: Sequence[int]
) -> ShownEvent | None:
    """Return the event that the address asks for: by its id, by a query, or else the latest.

    :param groupings: the ids of the groupings of the issue.
    :return: ``None`` if no event of the issue is stored any more.
    """
    chosen, search = _asked_for(conn, issue), None
    stored = chosen
    if stored is None and (terms := _terms()):
        stored = _matching(conn, issue, terms, groupings)
        search = Search(str(terms), stored is not None)
    stored = stored or latest_event(conn, issue.id)
    if stored is None:
        return None
    return ShownEvent(
        row=stored.row,
        view=EventView(stored, issue.source_url),
        sentence=sentence_of(stored.row, stands_by(stored.row, destination, utc_now())),
        around=neighbours(conn, stored.row, issue.stored_event_count),
        is_chosen=chosen is not None,
        search=search,
    )


def _asked_for(conn: Connection, issue: Row[Any]) -> StoredEvent | None:
    name = request.args.get("event")
    stored = find_event(conn, name) if name else None
    return stored if stored is not None and stored.row.issue_id == issue.id else None


def _terms() -> Query:
    """Return the terms of events of the query in the address; none if it is wrong."""
    try:
        return Query(parse(request.args.get("query", "")).of_event)
    except QueryError:
        return Query()


def _matching(
    conn: Connection, issue: Row[Any], query: Query, groupings: Sequence[int]
) -> StoredEvent | None:
    of_project = [term for term in query.terms if term.key == "project"]
    if not all(fits_project(term, issue.project_id, issue.project_name) for term in of_project):
        return None
    terms = [term for term in query.terms if term.key != "project"]
    # The range of the list, not a remembered one: the list may have found an older event.
    given = {name: request.args[name] for name in RangeFilter.model_fields if name in request.args}
    chosen, _ = RangeFilter.read_leniently(given)
    try:
        range = chosen.range_of(utc_now())
        row_id = newest_matching(conn, issue.id, terms, range, groupings)
    except QueryError:
        return None
    return find_stored(conn, row_id) if row_id else None
