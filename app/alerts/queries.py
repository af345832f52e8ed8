"""Read notifications: lists of them, and single ones with their sendings and attempts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, Table, func, select

from app.alerts.messages import Notification
from app.alerts.notifications import STATES
from app.alerts.tables import (
    alert_rules,
    notice_attempts,
    notice_issues,
    notice_sendings,
    notices,
)
from app.events.tables import events
from app.issues.queries import find_issue
from app.projects import projects

# The most attempts of one sending that are shown.
MAX_ATTEMPTS = 50
# The columns of the rule, the issues and the event that a notification sends.
_OF_RULE = ("id", "name", "kind", "threshold", "minimum", "window_minutes", "filters")
_OF_ISSUE = (
    *("id", "title", "culprit", "type", "level", "status", "times_seen", "users"),
    *("first_seen", "last_seen", "first_release", "last_release"),
)
_WHERE = ("environment", "release")
_OF_EVENT = ("event_id", "title", "level", "environment", "release", "transaction", "timestamp")


class ChannelDelivery(NamedTuple):
    """The delivery of a notification by one channel, with its newest attempts, newest first."""

    sending: Row[Any]
    attempts: list[Row[Any]]


class NotificationDetail(NamedTuple):
    """A notification with its deliveries and the issues that it names."""

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
    """Return notifications with the names of their projects, newest first.

    :param before: return only notifications with a smaller id than this.
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
    """Return one notification, ``None`` if there is no such notification."""
    if not 0 < notice_id < 2**63:
        return None
    return conn.execute(_select_notifications().where(notices.c.id == notice_id)).first()


def issues_of(conn: Connection, notice_id: int) -> list[Row[Any]]:
    """Return the issues that a notification names, with their data of that time, worst first."""
    query = select(notice_issues).where(notice_issues.c.notice_id == notice_id)
    return list(conn.execute(query.order_by(notice_issues.c.position)))


def sendings_of(conn: Connection, notice_ids: Iterable[int]) -> dict[int, list[Row[Any]]]:
    """Return the sendings of notifications, by notification id."""
    query = select(notice_sendings).where(notice_sendings.c.notice_id.in_(list(notice_ids)))
    return _grouped(conn.execute(query.order_by(notice_sendings.c.id)), "notice_id")


def attempts_of(conn: Connection, sending_ids: Iterable[int]) -> dict[int, list[Row[Any]]]:
    """Return the newest attempts of sendings, by sending id, newest first."""
    query = select(notice_attempts).where(notice_attempts.c.sending_id.in_(list(sending_ids)))
    found = _grouped(conn.execute(query.order_by(notice_attempts.c.id.desc())), "sending_id")
    return {sending_id: rows[:MAX_ATTEMPTS] for sending_id, rows in found.items()}


def find_detail(conn: Connection, notice_id: int) -> NotificationDetail | None:
    """Return one notification with its deliveries, ``None`` if there is no such notification."""
    row = find_notification(conn, notice_id)
    if row is None:
        return None
    sendings = sendings_of(conn, [notice_id]).get(notice_id, [])
    tries = attempts_of(conn, [sending.id for sending in sendings])
    ways = [ChannelDelivery(sending, tries.get(sending.id, [])) for sending in sendings]
    return NotificationDetail(row, ways, issues_of(conn, notice_id))


def _grouped(rows: Iterable[Row[Any]], name: str) -> dict[int, list[Row[Any]]]:
    found: dict[int, list[Row[Any]]] = {}
    for row in rows:
        found.setdefault(getattr(row, name), []).append(row)
    return found


def _select_notifications() -> Any:
    return select(*notices.c, projects.c.name.label("project_name")).outerjoin(
        projects, projects.c.id == notices.c.project_id
    )


def read_notification(conn: Connection, sending_id: int, public_url: str) -> Notification:
    """Return the notification of one sending, with all data that a channel needs.

    :param public_url: base URL of links, without a slash at the end.
    """
    query = select(
        *(column for column in notices.c if column.name != "id"), *notice_sendings.c
    ).join(notices, notices.c.id == notice_sendings.c.notice_id)
    row = conn.execute(query.where(notice_sendings.c.id == sending_id)).one()
    of_event = (events.c.project_id == row.project_id) & (events.c.event_id == row.event_id)
    issue = find_issue(conn, row.issue_id) if row.issue_id else None
    about = {
        "rule": _one(conn, alert_rules, _OF_RULE, alert_rules.c.id == row.rule_id),
        "project": _one(conn, projects, ("id", "name"), projects.c.id == row.project_id),
        "issue": {name: getattr(issue, name) for name in _OF_ISSUE} if issue else None,
        "event": _one(conn, events, _OF_EVENT, of_event) if row.event_id else None,
    }
    named = tuple(_named(conn, issue, public_url) for issue in issues_of(conn, row.notice_id))
    return Notification(row, about, _links(row, about, public_url), named)


def _named(conn: Connection, row: Row[Any], public_url: str) -> dict[str, Any]:
    """Return the data of one named issue: its present data and the data of the notification."""
    issue = find_issue(conn, row.issue_id)
    then = {"title": row.title, "times_seen": row.events, "users": row.users}
    of_issue = {name: getattr(issue, name, then.get(name)) for name in _OF_ISSUE}
    of_event = {name: getattr(row, name) for name in ("event_id", "place", *_WHERE)}
    issue_id = issue.id if issue else row.issue_id
    url = f"{public_url}/admin/issues/{issue_id}" if issue else None
    return of_issue | {"id": issue_id} | of_event | {"url": url}


def _one(
    conn: Connection, table: Table, names: tuple[str, ...], condition: Any
) -> dict[str, Any] | None:
    row = conn.execute(select(*(table.c[name] for name in names)).where(condition)).first()
    return dict(row._mapping) if row else None


def _links(row: Row[Any], about: Mapping[str, Any], public_url: str) -> dict[str, str]:
    links = {"notice": f"{public_url}/admin/alerts/{row.notice_id}"}
    if about["rule"]:
        links["rule"] = f"{public_url}/admin/alerts/rules/{row.rule_id}"
    if about["issue"]:
        links["issue"] = f"{public_url}/admin/issues/{about['issue']['id']}"
    if about["event"]:
        links["event"] = f"{public_url}/admin/events/{row.event_id}"
    return links
