"""Notifications as they are read: lists of them, and one with its ways out and its attempts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, func, select

from app.alerts.notifications import STATES
from app.alerts.tables import notice_attempts, notice_issues, notice_sendings, notices
from app.projects import projects

# Attempts of one sending that are shown.
MAX_ATTEMPTS = 50


class ChannelDelivery(NamedTuple):
    """How a notification went out by one channel; its newest attempts, the newest first."""

    sending: Row[Any]
    attempts: list[Row[Any]]


class NotificationDetail(NamedTuple):
    """A notification with everything that became of it."""

    notification: Row[Any]
    ways: list[ChannelDelivery]
    issues: list[Row[Any]]


def count_by_state(conn: Connection) -> dict[str, int]:
    """Return how many sendings, one for each channel, are in each of :data:`STATES`."""
    states = notice_sendings.c.state
    rows = conn.execute(select(states, func.count()).group_by(states))
    return dict.fromkeys(STATES, 0) | {str(state): int(count) for state, count in rows}


def list_notifications(
    conn: Connection,
    *,
    project_id: int | None = None,
    rule_id: int | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[Row[Any]]:
    """Return notifications with the names of their projects, the newest first.

    :param before: an id; only those older than it.
    """
    query = _select_notifications()
    if project_id is not None:
        query = query.where(notices.c.project_id == project_id)
    if rule_id is not None:
        query = query.where(notices.c.rule_id == rule_id)
    if before is not None:
        query = query.where(notices.c.id < before)
    return list(conn.execute(query.order_by(notices.c.id.desc()).limit(limit)))


def find_notification(conn: Connection, notice_id: int) -> Row[Any] | None:
    """Return one notification, ``None`` when it is not there."""
    if not 0 < notice_id < 2**63:
        return None
    return conn.execute(_select_notifications().where(notices.c.id == notice_id)).first()


def issues_of(conn: Connection, notice_id: int) -> list[Row[Any]]:
    """Return the issues that a notification names, as they were then, the worst first."""
    query = select(notice_issues).where(notice_issues.c.notice_id == notice_id)
    return list(conn.execute(query.order_by(notice_issues.c.position)))


def sendings_of(conn: Connection, notice_ids: Iterable[int]) -> dict[int, list[Row[Any]]]:
    """Return how notifications went out, by notification."""
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


def find_detail(conn: Connection, notice_id: int) -> NotificationDetail | None:
    """Return one notification with how it went out, ``None`` when it is not there."""
    row = find_notification(conn, notice_id)
    if row is None:
        return None
    sendings = sendings_of(conn, [notice_id]).get(notice_id, [])
    tries = attempts_of(conn, [sending.id for sending in sendings])
    ways = [ChannelDelivery(sending, tries.get(sending.id, [])) for sending in sendings]
    return NotificationDetail(row, ways, issues_of(conn, notice_id))


def _select_notifications() -> Any:
    return select(*notices.c, projects.c.name.label("project_name")).outerjoin(
        projects, projects.c.id == notices.c.project_id
    )
