"""The list of events: newest first, narrowed by what stands in the address."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from flask import redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection, Row

from app import access
from app.admin import bp
from app.admin.choices import Choice
from app.admin.lookups import count_after, events_after, has_events, recent_values
from app.db import utc_now
from app.events.queries import EventFilter, find_event, list_events
from app.protocol.event import LEVELS, clean_text, parse_event_id
from app.services import services

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
    with services().store.read() as conn:
        if (found := _asked_by_id(conn, choice)) is not None:
            return redirect(url_for("admin.show_event", event_id=found))
        page, has_newer, has_older = _page(conn, filter_of(choice), before, after)
        options = recent_values(conn)
        any_events = bool(page) or has_events(conn)
    return render_template(
        "events.html",
        rows=page,
        choice=choice,
        options=options,
        levels=LEVELS,
        periods=PERIODS,
        any_events=any_events,
        newest_id=page[0].id if page and not has_newer else None,
        newer=page[0].id if has_newer and page else None,
        older=page[-1].id if has_older and page else None,
    )


@bp.get("/live/events")
@access.admin
def news() -> ResponseReturnValue:
    """Say how many events came since a list was shown."""
    after = row_number("after") or 0
    choice = read_choice()
    with services().store.read() as conn:
        count = count_after(conn, filter_of(choice), after)
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
) -> tuple[list[Row[Any]], bool, bool]:
    """Return the rows, and whether there are newer and older ones."""
    if after is not None:
        rows = events_after(conn, filter, after, PAGE_SIZE + 1)
        if rows:
            return rows[-PAGE_SIZE:], len(rows) > PAGE_SIZE, True
        before = None
    rows = list_events(conn, filter, before=before, limit=PAGE_SIZE + 1)
    page = rows[:PAGE_SIZE]
    has_newer = bool(page) and before is not None and count_after(conn, filter, page[0].id, 1) > 0
    return page, has_newer, len(rows) > PAGE_SIZE
