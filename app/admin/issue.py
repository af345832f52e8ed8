"""The page of an issue: its figures and actions, then an event of it
(``issue_event``), or a tab (``issue_tabs``).

Each view reads only what it shows: the list of events, the history and the groupings cost the first
view nothing.
"""

from __future__ import annotations

from typing import Any

from flask import render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection, Row

from app.admin import bp
from app.admin.feedback import SHOWN_BESIDE
from app.admin.header import header_from
from app.admin.issue_event import shown_event
from app.admin.issue_facts import IssueFacts, read_facts
from app.admin.issue_range import read_met
from app.admin.issue_sentry import at_sentry
from app.admin.issue_tabs import TABS, chosen_tab
from app.admin.issue_tags import issue_tags
from app.admin.last_project import remember
from app.admin.lookups import issue_with_project
from app.events.queries import count_deliveries
from app.issues.feedback import FeedbackFilter, page_of_feedback
from app.issues.overflow import types_of
from app.issues.queries import tags_of
from app.issues.similar import WORTH_SHOWING, similar_to, with_fix
from app.issues.triage import MAX_NOTE
from app.store import utc_now
from app.web import access
from app.web.current import current_store
from app.web.errors import or_404

SIMILAR = 3
# Of so many, the first one with a remembered fix is shown.
WITH_FIX = 10
COMMENTS = 3
UNKNOWN = "no issue has this id; it may have been deleted since"


@bp.get("/issues/<int:issue_id>")
@access.views
def show_issue(issue_id: int) -> ResponseReturnValue:
    """Show an issue with its latest event, with the event that ``?event=`` names, with the newest
    one that fulfils ``?query=``, or a ``?tab=``.

    :raise 404: no issue has this id.
    """
    tab = chosen_tab(request.args.get("tab", ""), request.args)
    with current_store().read() as conn:
        # The requested issue may have been merged into this one.
        issue = or_404(issue_with_project(conn, issue_id), UNKNOWN)
        remember(issue.project_id)
        header = header_from(conn)
        destination = header.destination_of(conn, issue.project_id)
        facts = read_facts(conn, issue.id, COMMENTS)
        fields = {
            "met": read_met(conn, issue),
            "sentry": at_sentry(count_deliveries(conn, issue.id), destination, utc_now()),
            "users": facts.users,
            "event": None if tab else shown_event(conn, issue, destination, facts.groupings),
            **(TABS[tab](conn, issue) if tab else _side(conn, issue, facts)),
        }
    return render_template(
        "issue.html", issue=issue, tab=tab, max_note=MAX_NOTE, header=lambda: header, **fields
    )


def _side(conn: Connection, issue: Row[Any], facts: IssueFacts) -> dict[str, Any]:
    similar = similar_to(conn, issue, min_score=WORTH_SHOWING, limit=WITH_FIX)
    said = FeedbackFilter(issue_id=issue.id)
    types = types_of(conn, issue.id) if issue.is_other else []
    return {
        "tags": issue_tags(tags_of(conn, issue.id), has_types=bool(types)),
        "types": types,
        "all_compared": bool(similar) or facts.all_compared,
        "is_compared": issue.own_terms is not None,
        "similar": similar[:SIMILAR],
        "seen_before": with_fix(similar),
        "feedback": page_of_feedback(conn, said, limit=SHOWN_BESIDE + 1).rows
        if issue.has_feedback
        else [],
        "shown_feedback": SHOWN_BESIDE,
        "comments": facts.comments,
    }
