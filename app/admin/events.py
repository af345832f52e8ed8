"""The list of events: newest first, found by a query and a range."""

from __future__ import annotations

from dataclasses import replace

from flask import redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection

from app.admin import bp
from app.admin.filter_bar import row_number
from app.admin.found_list import list_bar, read_list
from app.admin.header import header_from
from app.admin.list_facts import read_facts
from app.admin.lookups import recent_values, test_issues
from app.admin.search_notes import search_notes
from app.events.queries import count_after, events_after, find_event
from app.protocol.event import parse_event_id
from app.search.errors import QueryError
from app.search.event_search import EventRows, EventSearch
from app.store import utc_now
from app.store.paging import SCAN_ROWS
from app.web import access
from app.web.current import current_store

PAGE_SIZE = 50


@bp.get("/events")
@access.views
def list_of_events() -> ResponseReturnValue:
    """Show a page of events; a query that is the id of an event redirects to that event."""
    choice, line = read_list(EventSearch)
    filter = choice.form
    before, after = row_number("before"), row_number("after")
    found, newer, notes = EventRows([], None), None, []
    with current_store().read() as conn:
        if (asked := _asked_by_id(conn, line.text)) is not None:
            return redirect(url_for("admin.show_event", event_id=asked))
        header, facts = header_from(conn), read_facts(conn)
        if line.error is None:
            try:
                found, newer = _page(conn, filter, before, after)
                of_search = filter.range_of(utc_now()), found, facts
                notes = search_notes(conn, choice, *of_search, is_paged=True)
            except QueryError as error:
                line = replace(line, error=error)
        recent = recent_values(conn, facts.newest)
        tests = test_issues(conn, {row.issue_id for row in found.rows})
    return render_template(
        "events.html",
        header=lambda: header,
        rows=found.rows,
        tests=tests,
        notes=notes,
        any_rows=facts.newest > 0,
        is_first=before is None,
        newest_id=found.rows[0].id if found.rows and newer is None else None,
        newer=newer,
        older=found.next,
        is_cut=found.is_cut,
        looked_at=SCAN_ROWS,
        **list_bar("events", choice, line, recent, header.projects),
    )


@bp.get("/live/events")
@access.views
def news() -> ResponseReturnValue:
    """Show how many events arrived since the list was shown."""
    after, (choice, line) = row_number("after") or 0, read_list(EventSearch)
    count = 0
    if line.error is None:
        with current_store().read() as conn:
            count = choice.form.count_after(conn, after)
    return render_template("_news.html", count=count, after=after, choice=choice)


def _asked_by_id(conn: Connection, text: str) -> str | None:
    event_id = parse_event_id(text)
    if event_id is None or find_event(conn, event_id) is None:
        return None
    return event_id


def _page(
    conn: Connection, filter: EventSearch, before: int | None, after: int | None
) -> tuple[EventRows, int | None]:
    """Return a page, and the row after which newer events come; ``None`` on the first page."""
    if after is not None and not filter.is_search:
        newer = events_after(conn, filter, after, PAGE_SIZE)
        if newer.rows or newer.next:
            ends_at = newer.rows[-1].id if newer.rows else after + 1
            return EventRows(newer.rows, ends_at), newer.next[-1] if newer.next else None
        before = None
    page = filter.page(conn, before=before, limit=PAGE_SIZE)
    if before is None or filter.is_search:
        return page, None
    # Newer events follow the first row of the page, or the place where an empty page begins.
    first = page.rows[0].id if page.rows else before - 1
    newer_count = count_after(conn, filter, first, 1)
    return page, first if newer_count.number or not newer_count.is_exact else None
