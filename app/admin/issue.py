"""The page of an issue: one of its events, its counts, tags, groupings and history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection, Row

from app.admin import bp
from app.admin.charts import user_bars
from app.admin.event_view import EventView
from app.admin.feedback import SHOWN_BESIDE
from app.admin.filter_bar import row_number
from app.admin.lookups import Neighbours, neighbours, project_names, user_names
from app.admin.sparkline import sparkline
from app.admin.trails import TrailView, trail_of
from app.events.filter import EventFilter
from app.events.queries import page_of_events
from app.insights.releases import users_of_days
from app.issues.feedback import FeedbackFilter, page_of_feedback
from app.issues.figures import hours_of
from app.issues.groupings import groupings_of
from app.issues.overflow import types_of
from app.issues.queries import find_issue, tags_of, transitions_of
from app.issues.similar import WORTH_SHOWING, similar_to
from app.issues.similarity_index import is_complete, is_read
from app.issues.triage import MAX_NOTE
from app.stats.users import ISSUE, Subject
from app.store import utc_now
from app.web import access
from app.web.current import current_store
from app.web.delivery_status import follow
from app.web.errors import or_404

RECENT_EVENTS = 25
RECENT_HISTORY = 20
SIMILAR = 3
UNKNOWN = "no issue has this id; it may have been deleted since"


@dataclass(frozen=True)
class ShownEvent:
    """The event that the page of an issue shows."""

    row: Row[Any]
    view: EventView
    trail: TrailView
    around: Neighbours


@bp.get("/issues/<int:issue_id>")
@access.admin
def show_issue(issue_id: int) -> ResponseReturnValue:
    """Show an issue with its latest event, or with the event that ``?event=`` names.

    :raise 404: no issue has this id.
    """
    with current_store().read() as conn:
        issue = or_404(find_issue(conn, issue_id), UNKNOWN)
        issue_id = issue.id  # The requested issue may have been merged into this one.
        events = _events(conn, issue_id)
        history = transitions_of(
            conn, issue_id, before=row_number("history"), limit=RECENT_HISTORY + 1
        )
        similar = similar_to(conn, issue, min_score=WORTH_SHOWING, limit=SIMILAR)
        context = {
            "event": _shown(conn, issue, events),
            "sparkline": sparkline(hours_of(conn, [issue_id], utc_now())[issue_id]),
            "tags": tags_of(conn, issue_id),
            "groupings": groupings_of(conn, issue_id),
            "types": types_of(conn, issue_id) if issue.is_other else [],
            "all_compared": bool(similar) or is_complete(conn),
            "is_compared": is_read(conn, issue_id),
            "similar": similar,
            "days": user_bars(users_of_days(conn, Subject(ISSUE, issue_id), utc_now())),
            "feedback": page_of_feedback(
                conn, FeedbackFilter(issue_id=issue_id), limit=SHOWN_BESIDE + 1
            ).rows,
            "projects": project_names(conn),
            "users": user_names(conn),
        }
    return render_template(
        "issue.html",
        issue=issue,
        rows=events[:RECENT_EVENTS],
        is_first=row_number("before") is None,
        older=events[RECENT_EVENTS - 1].id if len(events) > RECENT_EVENTS else None,
        history=history[:RECENT_HISTORY],
        older_history=history[RECENT_HISTORY - 1].id if len(history) > RECENT_HISTORY else None,
        counts_more=issue.times_seen > issue.stored_event_count,
        is_chosen="event" in request.args,
        max_note=MAX_NOTE,
        shown_feedback=SHOWN_BESIDE,
        **context,
    )


def _events(conn: Connection, issue_id: int) -> list[Row[Any]]:
    before = row_number("before")
    of_issue = EventFilter(issue_id=issue_id)
    return page_of_events(conn, of_issue, before=before, limit=RECENT_EVENTS + 1).rows


def _shown(conn: Connection, issue: Row[Any], events: list[Row[Any]]) -> ShownEvent | None:
    progress = follow(conn, request.args.get("event", ""))
    if progress is None or progress.stored.row.issue_id != issue.id:
        newest = events
        if row_number("before") is not None:
            newest = page_of_events(conn, EventFilter(issue_id=issue.id), limit=1).rows
        progress = follow(conn, newest[0].event_id) if newest else None
    if progress is None:
        return None
    row = progress.stored.row
    return ShownEvent(
        row,
        EventView(progress.stored),
        trail_of(row.event_id, progress),
        neighbours(conn, row, issue.stored_event_count),
    )
