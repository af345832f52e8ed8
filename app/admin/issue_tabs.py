"""What the tabs of an issue show instead of an event: all events, the history, the groupings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Row

from app.admin.charts import user_bars
from app.admin.filter_bar import row_number
from app.events.filter import EventFilter
from app.events.queries import page_of_events
from app.insights.releases import users_of_days
from app.issues.groupings import groupings_of
from app.issues.queries import transitions_of
from app.stats.users import ISSUE, Subject
from app.store import utc_now

EVENTS_SHOWN = 25
HISTORY_SHOWN = 20

Fields = dict[str, Any]


def events_tab(conn: Connection, issue: Row[Any]) -> Fields:
    """Return a page of the events of an issue, and its users by day."""
    before = row_number("before")
    found = page_of_events(
        conn, EventFilter(issue_id=issue.id), before=before, limit=EVENTS_SHOWN + 1
    ).rows
    return {
        "rows": found[:EVENTS_SHOWN],
        "is_first": before is None,
        "older": found[EVENTS_SHOWN - 1].id if len(found) > EVENTS_SHOWN else None,
        "days": user_bars(users_of_days(conn, Subject(ISSUE, issue.id), utc_now())),
    }


def history_tab(conn: Connection, issue: Row[Any]) -> Fields:
    """Return a page of the history of an issue."""
    before = row_number("history")
    found = transitions_of(conn, issue.id, before=before, limit=HISTORY_SHOWN + 1)
    is_cut = len(found) > HISTORY_SHOWN
    return {
        "history": found[:HISTORY_SHOWN],
        "older_history": found[HISTORY_SHOWN - 1].id if is_cut else None,
    }


def groupings_tab(conn: Connection, issue: Row[Any]) -> Fields:
    """Return the groupings of an issue, and the rule that ignored its latest event."""
    latest = page_of_events(conn, EventFilter(issue_id=issue.id), limit=1).rows
    return {
        "groupings": groupings_of(conn, issue.id),
        "counts_more": issue.times_seen > issue.stored_event_count,
        "ignored_by": latest[0].ignored_by if latest else None,
    }


# The value of the address parameter "tab", with what makes its fields.
TABS: dict[str, Callable[[Connection, Row[Any]], Fields]] = {
    "events": events_tab,
    "history": history_tab,
    "groups": groupings_tab,
}


def chosen_tab(tab: str, arguments: Any) -> str:
    """Return the tab that an address asks for; empty for the event."""
    if tab in TABS:
        return tab
    # Addresses from before there were tabs.
    return "events" if "before" in arguments else "history" if "history" in arguments else ""
