"""Notices: what alerts said, and one of them with every attempt to send it."""

from __future__ import annotations

from flask import abort, render_template
from flask.typing import ResponseReturnValue

from app import access
from app.admin import bp
from app.admin.events import row_number
from app.alerts import notices
from app.alerts.channels import list_channels
from app.db import utc_now
from app.issues.queries import find_issue
from app.services import services

PAGE_SIZE = 50


@bp.get("/alerts")
@access.admin
def list_of_alerts() -> ResponseReturnValue:
    """Show notices, the newest first."""
    before = row_number("before")
    with services().store.read() as conn:
        rows = notices.list_notices(conn, before=before, limit=PAGE_SIZE + 1)
        sendings = notices.sendings_of(conn, [row.id for row in rows])
        channels = list_channels(conn)
    page = rows[:PAGE_SIZE]
    return render_template(
        "alerts.html",
        rows=page,
        sendings=sendings,
        has_channels=any(channel.enabled for channel in channels),
        is_first=before is None,
        older=page[-1].id if len(rows) > PAGE_SIZE else None,
    )


@bp.get("/alerts/<int:notice_id>")
@access.admin
def show_alert(notice_id: int) -> ResponseReturnValue:
    """Show one notice.

    :raise 404: no notice has this id.
    """
    with services().store.read() as conn:
        row = notices.find_notice(conn, notice_id)
        if row is None:
            abort(404, description="no notice has this id; it may have been removed since")
        sendings = notices.sendings_of(conn, [notice_id]).get(notice_id, [])
        tries = notices.attempts_of(conn, [one.id for one in sendings])
        issue = find_issue(conn, row.issue_id) if row.issue_id else None
    return render_template(
        "alert.html", row=row, sendings=sendings, tries=tries, issue=issue, now=utc_now()
    )
