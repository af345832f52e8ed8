"""Incidents: what a notification opens at a receiver, and what closes it.

notification ──▶ open_incident: a row for each issue that it names, for channels that can close it
resolved or deleted issue ──▶ its rows go; a notification closes each incident that has none left

A notification about one issue belongs to the incident of the issue, so further ones about it open
no other. A notification about several issues is an incident of its own: it is closed when all of
them are resolved. Other notifications of a rule share an incident, which a person closes.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, literal, select, text, update

from app.alerts.channels.stored import Channel, find_channel
from app.alerts.messages import RESOLVED
from app.alerts.notifications import Draft, add_notification
from app.alerts.tables import UNSENT, notice_sendings, notices, open_incidents
from app.issues.followers import when_ended, when_merged
from app.issues.tables import issues
from app.store import facts, replaced, upsert
from app.store import insert as insert_or_not

_COLUMNS = open_incidents.c
_NOT_SENT = "the issue was resolved before this was sent"


def open_incident(
    conn: Connection, rule_id: int, draft: Draft, channels: Sequence[Channel], now: datetime
) -> int:
    """Write a notification of a rule with the incident that it belongs to, and return its id."""
    draft = replace(draft, incident=_incident_of(conn, rule_id, draft))
    notice_id = add_notification(conn, draft, channels, now, rule_id=rule_id)
    rows = [
        {
            "channel_id": channel.id,
            "incident": draft.incident,
            "issue_id": issue.issue_id,
            "notice_id": notice_id,
        }
        for channel in channels
        if draft.issues and channel.closes_incidents
        for issue in draft.issues
    ]
    if rows:
        conn.execute(upsert(conn, open_incidents, notice_id=replaced), rows)
    return notice_id


def _incident_of(conn: Connection, rule_id: int, draft: Draft) -> str:
    """Return the name of an incident. Several installations may share a receiver."""
    if draft.total > 1:
        name = f"notice-{uuid.uuid4().hex}"
    elif draft.issues:
        name = f"issue-{draft.issues[0].issue_id}"
    else:
        name = f"rule-{rule_id}-project-{draft.project_id}"
    instance = conn.scalar(select(facts.c.value).where(facts.c.name == "instance_id"))
    return f"devenviro-{str(instance)[:12]}-{name}"


@when_ended
def _close_incidents(
    conn: Connection, issue_ids: Sequence[int], actor: str | None, now: datetime
) -> None:
    """Close the incidents in which no other issue is open."""
    of_issues = delete(open_incidents).where(_COLUMNS.issue_id.in_(issue_ids))
    gone = conn.execute(of_issues.returning(*_COLUMNS)).all()
    for row in {(row.channel_id, row.incident): row for row in gone}.values():
        of_it = _COLUMNS.channel_id == row.channel_id, _COLUMNS.incident == row.incident
        if conn.execute(select(_COLUMNS.issue_id).where(*of_it).limit(1)).first() is None:
            _close(conn, row, actor, now)


def _close(conn: Connection, incident: Row[Any], actor: str | None, now: datetime) -> None:
    channel = find_channel(conn, incident.channel_id)
    opened = conn.execute(select(notices).where(notices.c.id == incident.notice_id)).first()
    if channel is None or opened is None:
        return
    _discard_unsent(conn, incident, now)
    if not channel.enabled:
        return
    title = opened.title
    if opened.total == 1:
        title = conn.scalar(select(issues.c.title).where(issues.c.id == incident.issue_id)) or title
    draft = Draft(
        kind=RESOLVED,
        title=f"Resolved: {title}",
        text=f"Resolved{f' by {actor}' if actor else ''}.",
        project_id=opened.project_id,
        issue_id=opened.issue_id,
        total=opened.total,
        incident=incident.incident,
    )
    add_notification(conn, draft, [channel], now)


def _discard_unsent(conn: Connection, incident: Row[Any], now: datetime) -> None:
    """Discard what would open an incident again after it was closed.

    A sending that a worker has claimed is discarded, too: its outcome counts only if it was sent.
    """
    sending = notice_sendings.c
    of_it = select(notices.c.id).where(notices.c.incident == incident.incident)
    unsent = sending.channel_id == incident.channel_id, text(UNSENT), sending.notice_id.in_(of_it)
    values = {"state": "discarded", "reason": _NOT_SENT, "next_at": None, "settled_at": now}
    conn.execute(update(notice_sendings).where(*unsent).values(values))


@when_merged
def _move_incidents(conn: Connection, source_id: int, target_id: int) -> None:
    """Let the incidents of a merged issue wait for its target issue."""
    names = [name for name in _COLUMNS.keys() if name != "issue_id"]
    moved = select(literal(target_id), *(_COLUMNS[name] for name in names))
    moved = moved.where(_COLUMNS.issue_id == source_id)
    into = insert_or_not(conn, open_incidents).from_select(["issue_id", *names], moved)
    conn.execute(into.on_conflict_do_nothing())
    conn.execute(delete(open_incidents).where(_COLUMNS.issue_id == source_id))
