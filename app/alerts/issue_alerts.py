"""Alerts about new issues and issues that are back, from the queue that their changes write.

For a new issue or a regression, the transaction that stores the event also writes a row in
``transitions`` and marks it as due. So does the transaction that ends the ignoring of an issue. One
transaction here removes the marks. The same transaction raises the notifications, or holds the
issues for a rule that is in its cool-down. So even after a crash no issue is missed and no
notification is raised twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, func, literal, select, text, update

from app.alerts.channels.stored import list_channels
from app.alerts.naming import BACK, Match, name_issues
from app.alerts.notifications import Draft
from app.alerts.rules.cooldown import notify, write_state
from app.alerts.rules.stored import Watch, watches
from app.alerts.seen_before import seen_before
from app.alerts.tables import alert_rule_states, held_issues
from app.alerts.wording import text_of, title_of
from app.events.tables import events
from app.issues.followers import when_merged
from app.issues.tables import ALERTS_DUE, DELETED, issues, transitions
from app.projects import projects
from app.store import Store
from app.store import insert as insert_or_not

# Rows of one transaction. A batch holds the store's only writer for about 20 ms.
BATCH_SIZE = 500
# The most issues that a rule holds during its cool-down, which lasts a week at most.
MAX_HELD = 10_000
# There are no notifications about issues with these states.
_QUIET = ("ignored", DELETED)
# The values that a rule for transitions compares. They come from the event that caused the
# transition, or from the issue if the event was removed.
_DUE = (
    select(
        transitions.c.id,
        transitions.c.at,
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
    .limit(BATCH_SIZE)
)


def dispatch_issue_alerts(store: Store, now: datetime, gather: timedelta = timedelta()) -> int:
    """Raise the notifications for due transitions, in batches. Return the number of rows.

    :param gather: how long the first transition waits for others, so that one notification names
        all that a deploy brings.
    """
    told = 0
    while True:
        with store.read() as conn:  # Usually there is nothing to do, so read before writing.
            due = conn.execute(_DUE.limit(1)).first()
            waits = due is None or now - gather < due.at <= now
            held = any(rule.held and rule.may_notify(now) for rule in watches(conn))
        if waits and not held:
            return told
        with store.write() as conn:
            count = _batch(conn, now)
        told += count
        if count < BATCH_SIZE:
            return told


def _batch(conn: Connection, now: datetime) -> int:
    rules = [rule for rule in watches(conn) if rule.about.transitions]
    rows: list[Row[Any]] = list(conn.execute(_DUE))
    wanted = [row for row in rows if row.status not in _QUIET]
    is_last = len(rows) < BATCH_SIZE
    for rule in rules:
        held = _hold(conn, rule, [row for row in wanted if _is_for(rule, row)])
        # Only after the last batch, so that one notification names all issues of this run.
        if held and is_last and rule.may_notify(now):
            _tell(conn, rule, now)
    ids = [row.id for row in rows]
    if ids:
        conn.execute(update(transitions).where(transitions.c.id.in_(ids)).values(alerts_due=None))
    return len(rows)


def _is_for(rule: Watch, row: Row[Any]) -> bool:
    return (
        rule.project_id == row.project_id
        and row.kind in rule.about.transitions
        and rule.is_about(row.level or row.issue_level, row.type, row.title)
        and rule.filters.get("environment") in (None, row.environment)
        and rule.matches("release", row.release)
    )


def _hold(conn: Connection, rule: Watch, found: list[Row[Any]]) -> int:
    """Add issues to those that a rule holds. Return how many issues it holds now."""
    if not found:
        return rule.held
    columns = held_issues.c
    of_rule = columns.rule_id == rule.id, columns.project_id == rule.project_id
    rows = [
        {"rule_id": rule.id, "project_id": rule.project_id}
        | {name: getattr(row, name) for name in Match._fields}
        for row in found
    ][: max(0, MAX_HELD - rule.held)]
    if rows:
        conn.execute(insert_or_not(conn, held_issues).on_conflict_do_nothing(), rows)
    held = int(conn.execute(select(func.count()).where(*of_rule)).scalar_one())
    write_state(conn, rule, held=held)
    return held


@when_merged
def _hold_as_one(conn: Connection, source_id: int, target_id: int) -> None:
    """Replace a merged issue by its target issue in what rules hold. A rule that holds both issues
    then holds only the target.
    """
    of = held_issues.c
    names = [name for name in of.keys() if name != "issue_id"]
    held = select(literal(target_id), *(of[name] for name in names)).where(of.issue_id == source_id)
    holding = conn.execute(held).all()
    if not holding:
        return
    into = insert_or_not(conn, held_issues).from_select(["issue_id", *names], held)
    conn.execute(into.on_conflict_do_nothing())
    conn.execute(delete(held_issues).where(of.issue_id == source_id))
    for row in holding:
        states = alert_rule_states.c
        of_rule = states.rule_id == row.rule_id, states.project_id == row.project_id
        count = select(func.count()).where(
            of.rule_id == row.rule_id, of.project_id == row.project_id
        )
        counted = update(alert_rule_states).where(*of_rule)
        conn.execute(counted.values(held=count.scalar_subquery()))


def _tell(conn: Connection, rule: Watch, now: datetime) -> None:
    """Raise a notification about the issues that a rule holds."""
    columns = held_issues.c
    of_rule = columns.rule_id == rule.id, columns.project_id == rule.project_id
    query = select(*(columns[name] for name in Match._fields))
    held = [Match(*row) for row in conn.execute(query.where(*of_rule))]
    if draft := draft_of_issues(conn, rule, held, now):
        notify(conn, rule, draft, list_channels(conn), now)
    conn.execute(delete(held_issues).where(*of_rule))
    write_state(conn, rule, held=0)


def draft_of_issues(
    conn: Connection, rule: Watch, matches: Iterable[Match], now: datetime
) -> Draft | None:
    """Return a notification that names issues, ``None`` if no issue is left to name."""
    named, total = name_issues(conn, matches, now, came_back=rule.about.transitions == BACK)
    if not named:
        return None
    is_new = "first_seen" in rule.about.transitions
    seen = seen_before(conn, rule.project_id, named) if is_new else {}
    of_it = select(projects.c.name).where(projects.c.id == rule.project_id)
    project = conn.execute(of_it).scalar_one()
    return Draft(
        kind=rule.kind,
        title=title_of(rule, project, named, total),
        text=text_of(rule, named, total, now, seen),
        project_id=rule.project_id,
        issue_id=named[0].issue_id,
        event_id=named[0].event_id,
        issues=tuple(named),
        total=total,
    )
