"""The list of events: newest first, filtered by the parameters of the address."""

from __future__ import annotations

from flask import redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection

from app.admin import bp
from app.admin.filter_bar import read_choice, row_number
from app.admin.lookups import (
    has_events,
    project_names,
    project_options,
    recent_values,
    test_issues,
)
from app.admin.range_bar import range_bar, with_period
from app.events.filter import EventFilter
from app.events.queries import count_after, events_after, find_event, page_of_events
from app.protocol.event import parse_event_id
from app.store import utc_now
from app.store.paging import SCAN_ROWS, Page
from app.web import access
from app.web.current import current_store

PAGE_SIZE = 50
DEFAULT_PERIOD = "day"


@bp.get("/events")
@access.admin
def list_of_events() -> ResponseReturnValue:
    """Show a page of events; a search for an event id redirects to that event."""
    choice = read_choice(EventFilter, with_period(request.args, DEFAULT_PERIOD))
    before, after = row_number("before"), row_number("after")
    with current_store().read() as conn:
        if (found := _asked_by_id(conn, choice.form)) is not None:
            return redirect(url_for("admin.show_event", event_id=found))
        page, newer = _page(conn, choice.form, before, after)
        options = {**recent_values(conn), "project": project_options(project_names(conn))}
        any_events = bool(page.rows) or has_events(conn)
        tests = test_issues(conn, {row.issue_id for row in page.rows})
    return render_template(
        "events.html",
        rows=page.rows,
        tests=tests,
        choice=choice,
        options=options,
        range_bar=range_bar(request.path, choice.values, choice.form.range_of(utc_now())),
        any_events=any_events,
        is_first=before is None,
        newest_id=page.rows[0].id if page.rows and newer is None else None,
        newer=newer,
        older=page.next[-1] if page.next else None,
        is_cut=page.is_cut,
        looked_at=SCAN_ROWS,
    )


@bp.get("/live/events")
@access.admin
def news() -> ResponseReturnValue:
    """Show how many events arrived since the list was shown."""
    after = row_number("after") or 0
    choice = read_choice(EventFilter, with_period(request.args, DEFAULT_PERIOD))
    with current_store().read() as conn:
        count = count_after(conn, choice.form, after).number
    return render_template("_news.html", count=count, after=after, choice=choice)


def _asked_by_id(conn: Connection, filter: EventFilter) -> str | None:
    event_id = parse_event_id(filter.q)
    if event_id is None or find_event(conn, event_id) is None:
        return None
    return event_id


def _page(
    conn: Connection, filter: EventFilter, before: int | None, after: int | None
) -> tuple[Page, int | None]:
    """Return a page, and the row after which newer events come; ``None`` on the first page."""
    if after is not None:
        newer = events_after(conn, filter, after, PAGE_SIZE)
        if newer.rows or newer.next:
            ends_at = newer.rows[-1].id if newer.rows else after + 1
            go_on = newer.next[-1] if newer.next else None
            return Page(newer.rows, (ends_at,)), go_on
        before = None
    page = page_of_events(conn, filter, before=before, limit=PAGE_SIZE)
    if before is None:
        return page, None
    # Newer events follow the first row of the page, or the place where an empty page begins.
    first = page.rows[0].id if page.rows else before - 1
    newer_count = count_after(conn, filter, first, 1)
    return page, first if newer_count.number or not newer_count.is_exact else None
