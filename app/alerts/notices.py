"""Notices as rows: raised, read, settled.

A notice is one row, and one more for each channel it goes out by, all written by the transaction
that raises it. Settling holds for what was read: whoever was faster wins, but "it was sent" wins
over anything.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, func, or_, select, text, update

from app.alerts.channels import Channel
from app.alerts.outcomes import Outcome
from app.alerts.tables import UNSENT, notice_attempts, notice_sendings, notices
from app.delivery import books
from app.delivery.policy import Backoff
from app.leases import is_dead
from app.projects import projects
from app.protocol.event import clean_text

MAX_TITLE = 300
MAX_TEXT = 2000
MAX_NOTE = 300
# Attempts of one sending that are shown.
MAX_ATTEMPTS = 50
# A webhook that is down for a weekend still gets them; what is older nobody wants to be told.
MAX_AGE = timedelta(days=3)
BACKOFF = Backoff(5.0, 600.0)
# Shown for a quarter, as counts are.
KEPT = timedelta(days=90)
# For how long who takes a sending has it alone: longer than any exchange lasts. Whoever finds it
# after that sends it again, since the one who took it has gone.
TAKEN_FOR = timedelta(minutes=3)
WAITING = ("pending", "retry")
STATES = (*WAITING, "delivered", "parked", "expired", "discarded")
TEST = "test"


@dataclass(frozen=True)
class Draft:
    """What a notice is to say."""

    kind: str
    title: str
    text: str
    project_id: int | None = None
    issue_id: int | None = None
    event_id: str | None = None


def raise_notice(
    conn: Connection,
    draft: Draft,
    channels: Iterable[Channel],
    now: datetime,
    *,
    rule_id: int | None = None,
    taken_by: str | None = None,
) -> int:
    """Write a notice, to be sent by these channels, and return its id.

    :param taken_by: who sends it at once; by default whoever comes first.
    """
    values = {
        "uid": uuid.uuid4().hex,
        "project_id": draft.project_id,
        "rule_id": rule_id,
        "kind": draft.kind,
        "at": now,
        "title": one_line(draft.title, MAX_TITLE),
        "text": clean_text(draft.text)[:MAX_TEXT],
        "issue_id": draft.issue_id,
        "event_id": draft.event_id,
    }
    notice_id = conn.execute(notices.insert().values(values).returning(notices.c.id)).scalar_one()
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


def settle(
    conn: Connection, sending: Row[Any], outcome: Outcome, began: datetime, now: datetime
) -> str:
    """Write what became of a try and return the sending's state.

    :param sending: with its notice's ``kind`` and ``at``, as it was read before the try.
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
    books.add(conn, {books.noticed(state): 1})
    return state


def _state_after(sending: Row[Any], outcome: Outcome, now: datetime) -> str:
    if outcome.is_sent:
        return "delivered"
    if outcome.is_final or sending.kind == TEST:
        return "parked"  # Who tests a channel waits for the answer, and tries again himself.
    return "expired" if now - sending.at > MAX_AGE else "retry"


def take(conn: Connection, sending_id: int, owner: str, now: datetime) -> bool:
    """Take a sending that is free for :data:`TAKEN_FOR`; ``False`` where another one has it.

    :param owner: of :func:`app.leases.new_owner`.
    """
    free = _free(now).where(notice_sendings.c.id == sending_id)
    if not any(_is_free(row, now) for row in conn.execute(free)):
        return False
    taken = update(notice_sendings).where(notice_sendings.c.id == sending_id)
    conn.execute(taken.values(next_at=now + TAKEN_FOR, taken_by=owner))
    return True


def due(conn: Connection, now: datetime, limit: int) -> list[Row[Any]]:
    """Return ``id`` and ``channel_id`` of what is to be sent now, the longest waiting first."""
    rows = conn.execute(_free(now).order_by(notice_sendings.c.next_at).limit(limit))
    return [row for row in rows if _is_free(row, now)]


def _free(now: datetime) -> Any:
    columns = notice_sendings.c
    query = select(columns.id, columns.channel_id, columns.next_at, columns.taken_by)
    return query.where(text(UNSENT), or_(columns.next_at <= now, columns.taken_by.is_not(None)))


def _is_free(row: Row[Any], now: datetime) -> bool:
    # On the same machine it is seen at once that whoever took it has gone.
    return bool(row.next_at <= now) or is_dead(row.taken_by or "")


def forget_before(conn: Connection, moment: datetime) -> None:
    """Remove notices from before a moment, and how they were sent."""
    conn.execute(delete(notices).where(notices.c.at < moment))


# ---- reading ------------------------------------------------------------------------------------


def count_by_state(conn: Connection) -> dict[str, int]:
    """Return how many sendings of notices, one for each channel, are in each of :data:`STATES`."""
    states = notice_sendings.c.state
    rows = conn.execute(select(states, func.count()).group_by(states))
    return dict.fromkeys(STATES, 0) | {str(state): int(count) for state, count in rows}


def list_notices(
    conn: Connection,
    *,
    project_id: int | None = None,
    rule_id: int | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[Row[Any]]:
    """Return notices with the names of their projects, the newest first.

    :param before: an id; only those older than it.
    """
    query = _notices()
    if project_id is not None:
        query = query.where(notices.c.project_id == project_id)
    if rule_id is not None:
        query = query.where(notices.c.rule_id == rule_id)
    if before is not None:
        query = query.where(notices.c.id < before)
    return list(conn.execute(query.order_by(notices.c.id.desc()).limit(limit)))


def find_notice(conn: Connection, notice_id: int) -> Row[Any] | None:
    """Return one notice, ``None`` when it is not there."""
    if not 0 < notice_id < 2**63:
        return None
    return conn.execute(_notices().where(notices.c.id == notice_id)).first()


def sendings_of(conn: Connection, notice_ids: Iterable[int]) -> dict[int, list[Row[Any]]]:
    """Return how notices went out, by notice."""
    query = select(notice_sendings).where(notice_sendings.c.notice_id.in_(list(notice_ids)))
    found: dict[int, list[Row[Any]]] = {}
    for row in conn.execute(query.order_by(notice_sendings.c.id)):
        found.setdefault(row.notice_id, []).append(row)
    return found


def attempts_of(conn: Connection, sending_ids: Iterable[int]) -> dict[int, list[Row[Any]]]:
    """Return the newest attempts of sendings, by sending, the newest first."""
    query = select(notice_attempts).where(notice_attempts.c.sending_id.in_(list(sending_ids)))
    found: dict[int, list[Row[Any]]] = {}
    for row in conn.execute(query.order_by(notice_attempts.c.id.desc())):
        of_one = found.setdefault(row.sending_id, [])
        if len(of_one) < MAX_ATTEMPTS:
            of_one.append(row)
    return found


def one_line(value: str, limit: int) -> str:
    """Return text as one line of printable characters, for a title or a mail's subject."""
    line = " ".join(clean_text(value).split())
    line = "".join(letter for letter in line if letter.isprintable())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _notices() -> Any:
    return select(*notices.c, projects.c.name.label("project_name")).outerjoin(
        projects, projects.c.id == notices.c.project_id
    )
