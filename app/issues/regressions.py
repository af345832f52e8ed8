"""Regressions: which events bring a resolved issue back, and what its history says then.

The history of new issues is written here too, because both are for the same alert rules.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import Connection, update

from app.issues.fixed_in import Resolution, is_reached
from app.issues.groupings import Known
from app.issues.occurrence import Occurrence, earliest, ignored_by, is_own
from app.issues.tables import IssueStatus, issues, transitions
from app.protocol.event import Event
from app.stats.tables import VERSION_LENGTH
from app.store import DriverStatement


class Change(NamedTuple):
    """What a batch changes in an issue.

    :param has_alerts: whether alert rules for new issues and regressions process it.
    :param regressed_by: the event that reopens the resolved issue, if there is such an event.
    :param ignored_by: the rule that ignores the new issue, if there is such a rule.
    """

    id: int
    is_new: bool
    has_alerts: bool
    regressed_by: Event | None
    ignored_by: str | None
    group: list[Occurrence]


def change_of(conn: Connection, known: Known, group: list[Occurrence]) -> Change:
    """Return what events of an issue change in it.

    :param known: the grouping of the first event.
    """
    by_rule = ignored_by(group)
    is_over = known.status == IssueStatus.RESOLVED and not by_rule
    regressed_by = _event_that_reopens(conn, group, known) if is_over else None
    # A separate notification says that the limit was reached. `<other>` itself is not a new kind
    # of error, and a rule that ignores its first event must not hide it.
    is_other = not is_own(group[0].key)
    hidden_by = by_rule if known.is_new and not is_other else None
    has_alerts = not is_other and not hidden_by
    return Change(known.issue_id, known.is_new, has_alerts, regressed_by, hidden_by, group)


def _event_that_reopens(conn: Connection, group: list[Occurrence], known: Known) -> Event | None:
    """Return the first event that reopens the issue, ``None`` if there is no such event.

    It happened after the issue was resolved, and its release should have the fix. An event without
    a release does not reopen an issue that was resolved in a release.
    """
    checked: dict[str, bool] = {}
    for occurrence in group:
        if known.resolved_at is not None and occurrence.event.timestamp < known.resolved_at:
            continue  # A late event, from a device that was offline.
        if known.resolved_after is None:
            return occurrence.event
        if occurrence.release_id is None or not occurrence.event.release:
            continue
        version = occurrence.event.release[:VERSION_LENGTH]
        if version not in checked:
            fix = Resolution(occurrence.project_id, known.resolved_after, known.resolved_in)
            checked[version] = is_reached(conn, fix, occurrence.release_id, version)
        if checked[version]:
            return occurrence.event
    return None


def write_history(conn: Connection, changes: list[Change]) -> None:
    """Write history rows for new and regressed issues, and reopen the regressed ones."""
    rows = [
        _transition(change, change.regressed_by or earliest(change.group), kind)
        for change in changes
        for kind in ["first_seen" if change.is_new else "regressed"]
        if change.is_new or change.regressed_by
    ]
    rows += [
        _transition(change, change.group[0].event, "ignored", f"rule: {change.ignored_by}")
        for change in changes
        if change.ignored_by
    ]
    _TRANSITION_INSERT.run(conn, rows)
    # No condition is needed: Store.write makes this the only writer until the commit.
    back = [change.id for change in changes if change.regressed_by]
    if back:
        is_open = {"status": IssueStatus.UNRESOLVED, "resolved_after": None, "resolved_in": None}
        is_open |= {"resolved_at": None}
        conn.execute(update(issues).where(issues.c.id.in_(back)).values(**is_open, regressed=True))


def _transition(issue: Change, event: Event, kind: str, actor: str | None = None) -> dict[str, Any]:
    return {
        "issue_id": issue.id,
        # The event's time, like the times of the issue. Alerts use the column `alerts_due` instead.
        "at": event.timestamp,
        "kind": kind,
        "actor": actor and actor[:200],
        "event_id": event.event_id,
        "release": event.release and event.release[:250],
        "alerts_due": True if issue.has_alerts else None,
    }


_TRANSITION_INSERT = DriverStatement(lambda dialect: transitions.insert())
