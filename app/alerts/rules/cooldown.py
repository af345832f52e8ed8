"""Cool-downs: a rule raises one notification, and then none until its cool-down is over."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, literal, or_, select, update

from app.alerts.channels.stored import Channel, chosen
from app.alerts.incidents import open_incident
from app.alerts.messages import RESOLVED
from app.alerts.notifications import Draft, add_notification
from app.alerts.rules.stored import STATE_FIELDS, AlertRule, Watch
from app.alerts.tables import alert_rule_states, noticed_issues, notices
from app.issues.followers import when_merged, when_taken_out
from app.issues.tables import issues
from app.store import insert as insert_or_not
from app.store import larger, replaced, upsert


def notify(
    conn: Connection, rule: Watch, draft: Draft, channels: Iterable[Channel], now: datetime
) -> bool:
    """Raise a rule's notification unless the rule is in its cool-down. Return whether it did."""
    columns = alert_rule_states.c
    is_free = or_(columns.noticed_at.is_(None), columns.noticed_at <= now - rule.cooldown)
    write_state(conn, rule)
    notified = (
        update(alert_rule_states)
        .where(columns.rule_id == rule.id, columns.project_id == rule.project_id, is_free)
        .values(noticed_at=now)
        .returning(columns.rule_id)
    )
    if conn.execute(notified).first() is None:
        return False
    open_incident(conn, rule.id, draft, chosen(channels, rule.channel_ids), now)
    return True


def notify_recovered(
    conn: Connection, rule: Watch, draft: Draft, channels: Iterable[Channel], now: datetime
) -> bool:
    """Raise the notification that a rule's threshold is not crossed any more.

    It is raised once for each notification of the rule, and belongs to the same incident.
    """
    of = notices.c
    latest = select(of.kind, of.incident).order_by(of.id.desc()).limit(1)
    found = conn.execute(
        latest.where(of.rule_id == rule.id, of.project_id == rule.project_id)
    ).first()
    if found is None or found.kind == RESOLVED:
        return False
    draft = replace(draft, incident=found.incident)
    add_notification(conn, draft, chosen(channels, rule.channel_ids), now, rule_id=rule.id)
    return True


def notify_of_issues(
    conn: Connection, rule: Watch, draft: Draft, channels: Iterable[Channel], now: datetime
) -> None:
    """Raise a notification of a rule that has a cool-down for each issue.

    The time of the rule's last notification does not matter. The caller leaves out issues that are
    in their cool-down.
    """
    write_state(conn, rule, noticed_at=now)
    noticed = noticed_issues.c
    ended = noticed.rule_id == rule.id, noticed.at <= now - rule.cooldown
    conn.execute(delete(noticed_issues).where(*ended))
    rows = [{"rule_id": rule.id, "issue_id": issue.issue_id, "at": now} for issue in draft.issues]
    conn.execute(insert_or_not(conn, noticed_issues).on_conflict_do_nothing(), rows)
    open_incident(conn, rule.id, draft, chosen(channels, rule.channel_ids), now)


def cooling_issues(conn: Connection, rule: AlertRule, now: datetime) -> set[int]:
    """Return the issues that a rule named within its cool-down, with those merged into them.

    A caller may have read an issue before it was merged.
    """
    noticed = noticed_issues.c
    is_cooling = noticed.rule_id == rule.id, noticed.at > now - rule.cooldown
    named = select(noticed.issue_id).where(*is_cooling)
    merged = select(issues.c.id).join(noticed_issues, issues.c.merged_into == noticed.issue_id)
    return {*conn.scalars(named), *conn.scalars(merged.where(*is_cooling))}


@when_merged
def _add_batch_notification(conn: Connection, source_id: int, target_id: int) -> None:
    """Move the cool-down of a merged issue to its target issue, for every rule that named it."""
    _add_notification(conn, source_id, target_id)
    conn.execute(delete(noticed_issues).where(noticed_issues.c.issue_id == source_id))


@when_taken_out
def _add_notification(conn: Connection, source_id: int, other_id: int) -> None:
    """Copy an issue's cool-downs to another issue. If both have one, the later moment counts."""
    of = noticed_issues.c
    rows = select(of.rule_id, literal(other_id), of.at).where(of.issue_id == source_id)
    conn.execute(upsert(conn, noticed_issues, rows, at=larger))


def write_state(conn: Connection, rule: Watch, **values: Any) -> None:
    """Write the state of a rule in a project.

    :param values: any fields of :class:`~app.alerts.rules.stored.LastEvaluation`.
    """
    key = {"rule_id": rule.id, "project_id": rule.project_id}
    first = key | {name: getattr(rule, name) for name in STATE_FIELDS} | values
    conn.execute(upsert(conn, alert_rule_states, first, **dict.fromkeys(values, replaced)))
