"""The page of an issue: its figures and actions, then an event of it, or a tab (``issue_tabs``).

Each view reads only what it shows: the list of events, the history and the groupings cost the first
view nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection, Row

from app.admin import bp
from app.admin.event_view import EventView
from app.admin.feedback import SHOWN_BESIDE
from app.admin.issue_sentry import at_sentry
from app.admin.issue_tabs import TABS, chosen_tab
from app.admin.lookups import (
    Neighbours,
    comments_of,
    issue_with_project,
    neighbours,
    user_names,
)
from app.admin.sparkline import sparkline
from app.admin.trails import sentence_of
from app.delivery.destinations import Destination
from app.events.queries import StoredEvent, count_deliveries, find_event, latest_event
from app.inputs.period import RangeFilter
from app.issues.feedback import FeedbackFilter, page_of_feedback
from app.issues.figures import hours_of
from app.issues.overflow import types_of
from app.issues.queries import tags_of
from app.issues.similar import WORTH_SHOWING, similar_to
from app.issues.similarity_index import is_complete
from app.issues.triage import MAX_NOTE
from app.search.errors import QueryError
from app.search.events import newest_matching
from app.search.grammar import parse
from app.store import utc_now
from app.web import access
from app.web.current import current_destinations, current_store
from app.web.delivery_status import stands_by
from app.web.errors import or_404

SIMILAR = 3
COMMENTS = 3
UNKNOWN = "no issue has this id; it may have been deleted since"


@dataclass(frozen=True)
class ShownEvent:
    """The event that the page of an issue shows.

    :param sentence: its delivery state in words.
    """

    row: Row[Any]
    view: EventView
    sentence: str
    around: Neighbours


@bp.get("/issues/<int:issue_id>")
@access.admin
def show_issue(issue_id: int) -> ResponseReturnValue:
    """Show an issue with its latest event, with the event that ``?event=`` names, or a ``?tab=``.

    :raise 404: no issue has this id.
    """
    tab = chosen_tab(request.args.get("tab", ""), request.args)
    with current_store().read() as conn:
        # The requested issue may have been merged into this one.
        issue = or_404(issue_with_project(conn, issue_id), UNKNOWN)
        destination = current_destinations().find(conn, issue.project_id)
        fields = {
            "sparkline": sparkline(hours_of(conn, [issue.id], utc_now())[issue.id]),
            "sentry": at_sentry(count_deliveries(conn, issue.id), destination, utc_now()),
            "users": user_names(conn),
            "event": None if tab else _shown(conn, issue, destination),
            **(TABS[tab](conn, issue) if tab else _side(conn, issue)),
        }
    return render_template("issue.html", issue=issue, tab=tab, max_note=MAX_NOTE, **fields)


def _side(conn: Connection, issue: Row[Any]) -> dict[str, Any]:
    similar = similar_to(conn, issue, min_score=WORTH_SHOWING, limit=SIMILAR)
    said = FeedbackFilter(issue_id=issue.id)
    return {
        "is_chosen": "event" in request.args,
        "tags": tags_of(conn, issue.id),
        "types": types_of(conn, issue.id) if issue.is_other else [],
        "all_compared": bool(similar) or is_complete(conn),
        "is_compared": issue.own_terms is not None,
        "similar": similar,
        "feedback": page_of_feedback(conn, said, limit=SHOWN_BESIDE + 1).rows
        if issue.has_feedback
        else [],
        "shown_feedback": SHOWN_BESIDE,
        "comments": comments_of(conn, issue.id, COMMENTS) if issue.has_comments else [],
    }


def _shown(conn: Connection, issue: Row[Any], destination: Destination) -> ShownEvent | None:
    stored = _asked_for(conn, issue) or _matching(conn, issue) or latest_event(conn, issue.id)
    if stored is None:
        return None
    row = stored.row
    return ShownEvent(
        row,
        EventView(stored, issue.source_url),
        sentence_of(row, stands_by(row, destination, utc_now())),
        neighbours(conn, row, issue.stored_event_count),
    )


def _asked_for(conn: Connection, issue: Row[Any]) -> StoredEvent | None:
    name = request.args.get("event")
    stored = find_event(conn, name) if name else None
    return stored if stored is not None and stored.row.issue_id == issue.id else None


def _matching(conn: Connection, issue: Row[Any]) -> StoredEvent | None:
    """Return the newest event that the query of the list found, if the address has one."""
    try:
        terms = parse(request.args.get("query", "")).of_event
        if not terms:
            return None
        chosen, _ = RangeFilter.read_leniently(_range_in_address())
        name = newest_matching(conn, issue.id, terms, chosen.range_of(utc_now()))
    except QueryError:
        return None
    return find_event(conn, name) if name else None


def _range_in_address() -> dict[str, str]:
    return {name: request.args[name] for name in RangeFilter.model_fields if name in request.args}
