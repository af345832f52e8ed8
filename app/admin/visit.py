"""When a person last looked at the start page: what is new since then needs attention.

The browser keeps it in a cookie of its own, since a session ends after twelve hours. It says
nothing that is secret, and a changed one changes only what the page calls new.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from flask import Response, request, url_for

COOKIE = "visited"
MAX_AGE = timedelta(days=365)
# Pages that are opened within this time belong to one visit.
PAUSE = timedelta(minutes=30)
# Without a cookie, and at most: what is older is no news.
FIRST, LONGEST = timedelta(days=1), timedelta(days=30)


def last_visit(now: datetime) -> datetime:
    """Return the end of the last visit before this one."""
    since, seen = _read(now)
    return seen if now - seen > PAUSE else since


def remember_visit(response: Response, now: datetime) -> None:
    """Have the browser keep when this visit is and when the last one ended."""
    marks = f"{_mark(last_visit(now))}.{_mark(now)}"
    response.set_cookie(
        COOKIE,
        marks,
        max_age=MAX_AGE,
        path=url_for("admin.start"),
        httponly=True,
        samesite="Lax",
        secure=request.is_secure,
    )


def _read(now: datetime) -> tuple[datetime, datetime]:
    """Return when the last visit ended and when this one was last seen."""
    since, _, seen = request.cookies.get(COOKIE, "").partition(".")
    before = _moment(since, now) or now - FIRST
    return before, _moment(seen, now) or before


def _mark(moment: datetime) -> int:
    """Return a time in milliseconds since 1970."""
    return int(moment.timestamp() * 1000)


def _moment(text: str, now: datetime) -> datetime | None:
    if not (text.isascii() and text.isdigit() and len(text) < 15):
        return None
    moment = datetime.fromtimestamp(int(text) / 1000, UTC)
    return max(moment, now - LONGEST) if moment <= now else None
