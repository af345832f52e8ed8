"""News: new issues and regressions, told from the queue that recording writes.

The transaction that stores an event writes, for a new issue or one that comes back, a row in
``transitions`` that is marked as due. One transaction here takes marks away and raises the notices
they cause, or counts them on a rule that is in its cool-down: whatever is killed, nothing is missed
and nothing told twice.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, select, text, update

from app.alerts.channels import list_channels
from app.alerts.kinds import NEWS
from app.alerts.notices import Draft
from app.alerts.rules import AlertRule, list_rules, speak
from app.alerts.tables import alert_rules
from app.db import Store
from app.events.tables import events
from app.issues.tables import ALERTS_DUE, DELETED, issues, transitions

# Rows of one transaction: some 20 ms of the store's only writer.
BITE = 500
_WORDS = {"new_issue": ("New issue", "new issues"), "regression": ("Regression", "regressions")}
# No notices of these.
_QUIET = ("ignored", DELETED)
# What a news rule looks at: of the event that caused it, or where that is gone of the issue.
_DUE = (
    select(
        transitions.c.id,
        transitions.c.kind,
        transitions.c.issue_id,
        transitions.c.event_id,
        transitions.c.release,
        issues.c.project_id,
        issues.c.status,
        issues.c.type,
        issues.c.title,
        issues.c.culprit,
        issues.c.level.label("issue_level"),
        events.c.level,
        events.c.environment,
    )
    .join(issues, issues.c.id == transitions.c.issue_id)
    .outerjoin(
        events,
        and_(
            events.c.project_id == issues.c.project_id, events.c.event_id == transitions.c.event_id
        ),
    )
    .where(text(ALERTS_DUE))
    .order_by(transitions.c.id)
    .limit(BITE)
)


def tell_news(store: Store, now: datetime) -> int:
    """Take what is due, in bites, tell it, and return how many rows that were."""
    told = 0
    while True:
        with store.read() as conn:  # Nothing to do is the usual case.
            due = conn.execute(_DUE.limit(1)).first()
            held = any(rule.held and rule.may_speak(now) for rule in list_rules(conn, enabled=True))
        if due is None and not held:
            return told
        with store.write() as conn:
            count = _bite(conn, now)
        told += count
        if count < BITE:
            return told


def _bite(conn: Connection, now: datetime) -> int:
    rules = [rule for rule in list_rules(conn, enabled=True) if rule.kind in NEWS.values()]
    rows: list[Row[Any]] = list(conn.execute(_DUE))
    wanted = [row for row in rows if row.status not in _QUIET]
    channels, is_last = list_channels(conn), len(rows) < BITE
    for rule in rules:
        found = [row for row in wanted if _is_for(rule, row)]
        holding = _with(rule, found)
        # After the last bite, so that one notice tells of all that came together.
        if holding.held and is_last and rule.may_speak(now):
            speak(conn, rule, _draft(conn, holding), channels, now)
        elif found:
            _hold(conn, holding)
    ids = [row.id for row in rows]
    if ids:
        conn.execute(update(transitions).where(transitions.c.id.in_(ids)).values(alerts_due=None))
    return len(rows)


def _is_for(rule: AlertRule, row: Row[Any]) -> bool:
    wanted = rule.filters
    return (
        rule.project_id == row.project_id
        and rule.kind == NEWS.get(row.kind)
        and (row.level or row.issue_level) in rule.levels
        and wanted.get("environment") in (None, row.environment)
        and rule.matches("release", row.release)
        and rule.matches("type", row.type)
        and rule.matches("message", row.title, row.title.removeprefix(f"{row.type}: "))
    )


def _with(rule: AlertRule, found: list[Row[Any]]) -> AlertRule:
    """Return the rule holding what was found besides what it holds."""
    if rule.held or not found:
        return replace(rule, held=rule.held + len(found))
    first = found[0]
    return replace(
        rule, held=len(found), held_issue_id=first.issue_id, held_event_id=first.event_id
    )


def _hold(conn: Connection, rule: AlertRule) -> None:
    values = {name: getattr(rule, name) for name in ("held", "held_issue_id", "held_event_id")}
    conn.execute(update(alert_rules).where(alert_rules.c.id == rule.id).values(values))


def _draft(conn: Connection, rule: AlertRule) -> Draft:
    """Return a notice of what a rule holds."""
    count, issue_id = rule.held, rule.held_issue_id
    query = select(issues.c.title, issues.c.culprit).where(issues.c.id == issue_id)
    issue = conn.execute(query).first()
    title = issue.title if issue else "an issue that was deleted since"
    word, many = _WORDS[rule.kind]
    where = f"\nat {issue.culprit}" if issue and issue.culprit else ""
    return Draft(
        kind=rule.kind,
        title=f"{word}: {title}" if count == 1 else f"{count} {many}, the first: {title}",
        text=f"{rule.title}: {rule.about.says}{where}",
        project_id=rule.project_id,
        issue_id=issue_id,
        event_id=rule.held_event_id,
    )
