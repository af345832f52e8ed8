"""The list of events: newest first, narrowed by what stands in the address."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from flask import redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection

from app.admin import bp
from app.admin.choices import Choice
from app.admin.lookups import has_events, recent_values
from app.events.queries import EventFilter, count_after, events_after, find_event, page_of_events
from app.protocol.event import LEVELS, clean_text, parse_event_id
from app.store import utc_now
from app.store.paging import SCAN_ROWS, Page
from app.web import access
from app.web.current import current_store

PAGE_SIZE = 50
PERIODS = {
    "hour": ("Last hour", timedelta(hours=1)),
    "day": ("Last 24 hours", timedelta(hours=24)),
    "week": ("Last 7 days", timedelta(days=7)),
}
NAMES = ("q", "level", "environment", "release", "period", "from", "to")
MAX_LENGTHS = {"q": 500, "environment": 64, "release": 250}


@bp.get("/events")
@access.admin
def list_of_events() -> ResponseReturnValue:
    """Show a page of events."""
    choice = read_choice()
    before, after = row_number("before"), row_number("after")
    with current_store().read() as conn:
        if (found := _asked_by_id(conn, choice)) is not None:
            return redirect(url_for("admin.show_event", event_id=found))
        page, newer = _page(conn, filter_of(choice), before, after)
        options = recent_values(conn)
        any_events = bool(page.rows) or has_events(conn)
    return render_template(
        "events.html",
        rows=page.rows,
        choice=choice,
        options=options,
        levels=LEVELS,
        periods=PERIODS,
        any_events=any_events,
        newest_id=page.rows[0].id if page.rows and newer is None else None,
        newer=newer,
        older=page.next[-1] if page.next else None,
        is_cut=page.is_cut,
        looked_at=SCAN_ROWS,
    )


@bp.get("/live/events")
@access.admin
def news() -> ResponseReturnValue:
    """Say how many events came since a list was shown."""
    after = row_number("after") or 0
    choice = read_choice()
    with current_store().read() as conn:
        count = count_after(conn, filter_of(choice), after).number
    return render_template("_news.html", count=count, after=after, choice=choice)


def read_choice() -> Choice:
    """Read the filter out of the address; what is wrong is left out and told."""
    choice = Choice()
    for name in NAMES:
        value = clean_text(request.args.get(name, "").strip())[: MAX_LENGTHS.get(name, 40)]
        if not value:
            continue
        if problem := _problem(name, value):
            choice.problems.append(problem)
        else:
            choice.values[name] = value
    return choice


def _problem(name: str, value: str) -> str | None:
    if name == "level" and value not in LEVELS:
        return f"There is no level “{value}”."
    if name == "period" and value not in PERIODS:
        return f"There is no period “{value}”."
    if name in ("from", "to") and moment_of(value) is None:
        return f"“{value}” is no date and time."
    return None


def filter_of(choice: Choice, now: datetime | None = None) -> EventFilter:
    """Return what a choice means to the store."""
    values = choice.values
    since = moment_of(values.get("from", ""))
    if since is None and "period" in values:
        since = (now or utc_now()) - PERIODS[values["period"]][1]
    return EventFilter(
        level=values.get("level"),
        environment=values.get("environment"),
        release=values.get("release"),
        text=values.get("q"),
        since=since,
        until=moment_of(values.get("to", "")),
    )


def moment_of(text: str) -> datetime | None:
    """Read what a date and time field sends; ``None`` when it is none."""
    # What <input type="datetime-local"> sends has no time zone; the pages speak UTC.
    try:
        read = datetime.fromisoformat(text)
        return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def row_number(name: str) -> int | None:
    """Read a row's number out of the address; ``None`` when it is none."""
    text = request.args.get(name, "")
    # Beyond 64 bits no database has a row.
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _asked_by_id(conn: Connection, choice: Choice) -> str | None:
    event_id = parse_event_id(choice.values.get("q"))
    if event_id is None or find_event(conn, event_id) is None:
        return None
    return event_id


def _page(
    conn: Connection, filter: EventFilter, before: int | None, after: int | None
) -> tuple[Page, int | None]:
    """Return a page, and the row after which newer ones come; ``None`` where it is the first."""
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
    # Whatever comes newer than the first row that is shown, or than where the page began.
    first = page.rows[0].id if page.rows else before - 1
    newer_count = count_after(conn, filter, first, 1)
    return page, first if newer_count.number or not newer_count.is_exact else None
