"""Issues: the list, and one with its events."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import abort, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection, Row

from app import access
from app.admin import bp
from app.events.queries import EventFilter, list_events
from app.issues.queries import STATUSES, count_issues, find_issue, list_issues
from app.services import services

PAGE_SIZE = 50
RECENT_EVENTS = 25
MAX_ROW_NUMBER = 2**63


@bp.get("/issues")
@access.admin
def list_of_issues() -> ResponseReturnValue:
    """Show a page of issues; the open ones unless another status is asked for."""
    chosen = request.args.get("status", STATUSES[0])
    status = chosen if chosen in STATUSES else None
    before = read_cursor(request.args.get("before", ""))
    with services().store.read() as conn:
        rows = list_issues(conn, status=status, before=before, limit=PAGE_SIZE + 1)
        counts = {name: count_issues(conn, name) for name in STATUSES}
    page = rows[:PAGE_SIZE]
    return render_template(
        "issues.html",
        rows=page,
        status=status,
        counts=counts,
        total=sum(counts.values()),
        is_first=before is None,
        older=cursor_of(page[-1]) if len(rows) > PAGE_SIZE else None,
    )


@bp.get("/issues/<int:issue_id>")
@access.admin
def show_issue(issue_id: int) -> ResponseReturnValue:
    """Show one issue and its newest events.

    :raise 404: no issue has this id.
    """
    issue, rows = None, []
    if issue_id < MAX_ROW_NUMBER:
        before = request.args.get("before", "", str)
        with services().store.read() as conn:
            issue = find_issue(conn, issue_id)
            rows = _events(conn, issue_id, before) if issue else []
    if issue is None:
        abort(404, description="no issue has this id")
    return render_template(
        "issue.html",
        issue=issue,
        rows=rows[:RECENT_EVENTS],
        is_first=not request.args.get("before"),
        older=rows[RECENT_EVENTS - 1].id if len(rows) > RECENT_EVENTS else None,
    )


def _events(conn: Connection, issue_id: int, before: str) -> list[Row[Any]]:
    row_id = int(before) if before.isascii() and before.isdigit() and len(before) < 19 else None
    chosen = EventFilter(issue_id=issue_id)
    return list_events(conn, chosen, before=row_id, limit=RECENT_EVENTS + 1)


def cursor_of(row: Row[Any]) -> str:
    """Return where a page ends, for the address of the next one."""
    return f"{row.last_seen.isoformat()}~{row.id}"


def read_cursor(cursor: str) -> tuple[datetime, int] | None:
    """Read :func:`cursor_of`; ``None``, the first page, for what is none."""
    moment, _, issue_id = cursor.partition("~")
    try:
        # A "+" of the time zone arrives as a space when it was not escaped.
        read = datetime.fromisoformat(moment.replace(" ", "+"))
        number = int(issue_id)
    except ValueError:
        return None
    return (read, number) if read.tzinfo and 0 < number < MAX_ROW_NUMBER else None
