"""Notifications as rows: raise and claim them, and record their outcomes.

A notification is one row, plus one row (a sending) for each channel. The transaction that raises
the notification writes all of them. An outcome is recorded only if the sending is still as it was
read: the worker that was faster wins. But the outcome "delivered" replaces every other state.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, or_, select, text, update

from app.alerts.channels.stored import Channel, note_outcome
from app.alerts.messages import MAX_TEXT, MAX_TITLE, TEST, cut
from app.alerts.naming import NamedIssue
from app.alerts.outcomes import Outcome
from app.alerts.tables import UNSENT, notice_attempts, notice_issues, notice_sendings, notices
from app.delivery import accounting
from app.delivery.policy import Backoff
from app.protocol.event import clean_text
from app.store.leases import is_dead

MAX_NOTE = 300
# A webhook that is down for a weekend still gets its notifications. Older ones are of no use.
MAX_AGE = timedelta(days=3)
BACKOFF = Backoff(5.0, 600.0)
# A year and a month: for so long the link in a mail leads to its list of issues.
KEPT = timedelta(days=400)
# For how long a worker that claims a sending has it alone. This is longer than any exchange. After
# that time the worker is gone, and another worker sends it again.
TAKEN_FOR = timedelta(minutes=3)
WAITING = ("pending", "retry")
STATES = (*WAITING, "delivered", "parked", "expired", "discarded")
# The columns that are stored for each issue that a notification names.
ISSUE_COLUMNS = tuple(
    column.name for column in notice_issues.c if column.name not in ("notice_id", "position")
)
# Health warns if a notification waits longer than LATE, and for LATELY after one was given up.
LATE = timedelta(minutes=15)
LATELY = timedelta(days=1)


@dataclass(frozen=True)
class Draft:
    """The content of a new notification.

    :param issues: the issues that it names, the worst first.
    :param total: the number of issues that it is about.
    :param incident: the incident that it opens or closes.
    """

    kind: str
    title: str
    text: str
    project_id: int | None = None
    issue_id: int | None = None
    event_id: str | None = None
    issues: tuple[NamedIssue, ...] = ()
    total: int = 0
    incident: str | None = None


def add_notification(
    conn: Connection,
    draft: Draft,
    channels: Iterable[Channel],
    now: datetime,
    *,
    rule_id: int | None = None,
    taken_by: str | None = None,
) -> int:
    """Write a notification to be sent by these channels, and return its id.

    :param taken_by: the worker that sends it at once. By default any worker may claim it.
    """
    names = ("kind", "project_id", "issue_id", "event_id", "total", "incident")
    values = {name: getattr(draft, name) for name in names} | {
        "uid": uuid.uuid4().hex,
        "rule_id": rule_id,
        "at": now,
        "title": cut(clean_text(draft.title), MAX_TITLE),
        "text": clean_text(draft.text)[:MAX_TEXT],
    }
    notice_id = conn.execute(notices.insert().values(values).returning(notices.c.id)).scalar_one()
    if named := [_issue_row(notice_id, *issue) for issue in enumerate(draft.issues, 1)]:
        conn.execute(notice_issues.insert(), named)
    rows = [
        {
            "notice_id": notice_id,
            "channel_id": channel.id,
            "channel_kind": channel.kind,
            "channel_name": channel.name,
            "state": "pending",
            "attempts": 0,
            "next_at": now + TAKEN_FOR if taken_by else now,
            "taken_by": taken_by,
        }
        for channel in channels
    ]
    if rows:
        conn.execute(notice_sendings.insert(), rows)
    return int(notice_id)


def _issue_row(notice_id: int, position: int, named_issue: NamedIssue) -> dict[str, Any]:
    row: dict[str, Any] = {"notice_id": notice_id, "position": position}
    return row | {name: getattr(named_issue, name) for name in ISSUE_COLUMNS}


def record_outcomes(
    conn: Connection, sending: Row[Any], outcome: Outcome, began: datetime, now: datetime
) -> str:
    """Write the outcome of an attempt and return the sending's new state.

    :param sending: the row as it was read before the attempt, with its notification's ``kind`` and
        ``at``.
    :param began: when the attempt began.
    """
    state = _state_after(sending, outcome, now)
    next_at = now + BACKOFF.wait(sending.attempts + 1) if state == "retry" else None
    note = clean_text(outcome.note)[:MAX_NOTE] or None
    held = notice_sendings.c.attempts == sending.attempts
    if not outcome.is_sent:
        held &= text(UNSENT)
    conn.execute(
        update(notice_sendings)
        .where(notice_sendings.c.id == sending.id, held)
        .values(
            state=state,
            reason=None if outcome.is_sent else note,
            attempts=sending.attempts + 1,
            next_at=next_at,
            taken_by=None,
            settled_at=now,
        )
    )
    attempt = {"sending_id": sending.id, "at": began, "status": outcome.status, "error": note}
    attempt |= {"ms": (now - began).total_seconds() * 1000, "state": state, "next_at": next_at}
    conn.execute(notice_attempts.insert().values(attempt))
    note_outcome(conn, sending.channel_id, outcome, now)
    accounting.add(conn, {accounting.noticed(state): 1})
    return state


def _state_after(sending: Row[Any], outcome: Outcome, now: datetime) -> str:
    if outcome.is_sent:
        return "delivered"
    if outcome.is_final or sending.kind == TEST:
        return "parked"  # A person who tests a channel sees the answer and can test it again.
    return "expired" if now - sending.at > MAX_AGE else "retry"


def take(conn: Connection, sending_id: int, owner: str, now: datetime) -> bool:
    """Claim a sending for :data:`TAKEN_FOR`. Return ``False`` if it is not free.

    :param owner: the result of :func:`app.store.leases.new_owner`.
    """
    free = _free(now).where(notice_sendings.c.id == sending_id)
    if not any(_is_free(row, now) for row in conn.execute(free)):
        return False
    taken = update(notice_sendings).where(notice_sendings.c.id == sending_id)
    conn.execute(taken.values(next_at=now + TAKEN_FOR, taken_by=owner))
    return True


def due(conn: Connection, now: datetime, limit: int) -> list[Row[Any]]:
    """Return ``id`` and ``channel_id`` of sendings that are due, the longest waiting first."""
    rows = conn.execute(_free(now).order_by(notice_sendings.c.next_at).limit(limit))
    return [row for row in rows if _is_free(row, now)]


def _free(now: datetime) -> Any:
    columns = notice_sendings.c
    query = select(columns.id, columns.channel_id, columns.next_at, columns.taken_by)
    return query.where(text(UNSENT), or_(columns.next_at <= now, columns.taken_by.is_not(None)))


def _is_free(row: Row[Any], now: datetime) -> bool:
    # If the worker that claimed it ran on this machine, its end is noticed at once.
    return bool(row.next_at <= now) or is_dead(row.taken_by or "")


def send_again(conn: Connection, notice_id: int, now: datetime) -> int:
    """Mark the failed and waiting sendings of a notification as due now. Return their number.

    Delivered sendings and sendings of removed channels are not changed.
    """
    columns = notice_sendings.c
    stays = columns.state.in_((*WAITING, "parked", "expired")), columns.channel_id.is_not(None)
    again = update(notice_sendings).where(columns.notice_id == notice_id, *stays)
    again = again.where(columns.taken_by.is_(None))
    values = {"state": "pending", "reason": None, "next_at": now, "settled_at": None}
    return int(conn.execute(again.values(values)).rowcount)


def is_stuck(conn: Connection, now: datetime) -> bool:
    """Return whether a notification is overdue or was given up recently."""
    late = notices.c.at < now - LATE
    waits = select(1).select_from(notice_sendings.join(notices)).where(text(UNSENT), late)
    lost = select(1).select_from(notice_sendings.join(notices))
    # The first condition can use an index.
    lost = lost.where(notices.c.at > now - MAX_AGE - LATELY, notices.c.kind != TEST)
    lost = lost.where(notice_sendings.c.settled_at > now - LATELY)
    lost = lost.where(notice_sendings.c.state.in_(("parked", "expired")))
    return any(conn.execute(query.limit(1)).first() for query in (waits, lost))


def forget_before(conn: Connection, moment: datetime) -> None:
    """Remove notifications that are older than a moment, with their sendings and attempts."""
    conn.execute(delete(notices).where(notices.c.at < moment))
