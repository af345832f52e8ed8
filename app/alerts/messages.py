"""What a notification says: as JSON for a webhook, in Slack's words, as a mail.

Notification ──▶ webhook   JSON, signed        X-DevEnviro-Timestamp, X-DevEnviro-Signature
       ──▶ slack     {"text": …}, and blocks where titles of issues are in it
       ──▶ mail      subject, text
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Table, select

from app.alerts import queries
from app.alerts.channels import Channel, find_channel
from app.alerts.tables import alert_rules, notice_sendings, notices
from app.alerts.wording import MAX_LINES, more_of, open_all
from app.events.tables import events
from app.issues.queries import find_issue
from app.output import one_line
from app.projects import projects

NOTIFICATION_HEADER = "X-DevEnviro-Notice"
TIMESTAMP_HEADER = "X-DevEnviro-Timestamp"
SIGNATURE_HEADER = "X-DevEnviro-Signature"
# A space without width.
_MARK = "\u200b"

_OF_RULE = ("id", "name", "kind", "threshold", "minimum", "window_minutes", "filters")
_OF_ISSUE = (
    *("id", "title", "culprit", "type", "level", "status", "times_seen", "users"),
    *("first_seen", "last_seen", "first_release", "last_release"),
)
_WHERE = ("environment", "release")
_OF_EVENT = ("event_id", "title", "level", "environment", "release", "transaction", "timestamp")


@dataclass(frozen=True)
class Notification:
    """A notification on its way out by one channel.

    :param sending: the row, with its notification's.
    :param about: ``rule``, ``project``, ``issue``, ``event``: what is known of each, or ``None``.
    :param issues: those the notification names, the worst first, as they are now; of one that is
        gone what was known of it then.
    :param links: to pages, by what they show.
    """

    sending: Row[Any]
    channel: Channel | None
    about: Mapping[str, Mapping[str, Any] | None]
    links: Mapping[str, str]
    issues: tuple[Mapping[str, Any], ...] = ()

    @property
    def is_of_many(self) -> bool:
        """Whether it is about more than one issue."""
        return bool(self.sending.total > 1)


def read_notification(conn: Connection, sending_id: int, public_url: str) -> Notification:
    """Return what is to be sent."""
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
    channel = find_channel(conn, row.channel_id or 0)
    named = tuple(_named(conn, one, public_url) for one in queries.issues_of(conn, row.notice_id))
    return Notification(row, channel, about, _links(row, about, public_url), named)


def _named(conn: Connection, row: Row[Any], public_url: str) -> dict[str, Any]:
    """Return one of many issues, with what the notification knows of it."""
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


def webhook(notification: Notification, now: datetime) -> tuple[bytes, dict[str, str]]:
    """Return body and headers of a signed request.

    The signature is ``sha256=`` and the hex HMAC-SHA256, by the channel's secret, of the timestamp
    (seconds since 1970, as the header has it) followed by the body.
    """
    row = notification.sending
    content = {
        "id": row.uid,
        "kind": row.kind,
        "at": row.at,
        "title": row.title,
        "text": row.text,
        **notification.about,
        "issues": notification.issues,
        "total": row.total,
        "links": notification.links,
    }
    body = json.dumps(content, default=_plain).encode()
    timestamp = str(int(now.timestamp()))
    secret = (notification.channel and notification.channel.secret) or ""
    return body, {
        "Content-Type": "application/json",
        NOTIFICATION_HEADER: row.uid,
        TIMESTAMP_HEADER: timestamp,
        SIGNATURE_HEADER: signature(secret, timestamp, body),
    }


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Return how a request is signed."""
    signed = hmac.new(secret.encode(), timestamp.encode() + body, hashlib.sha256)
    return f"sha256={signed.hexdigest()}"


def slack(notification: Notification) -> tuple[bytes, dict[str, str]]:
    """Return body and headers of a request to an incoming webhook of Slack's.

    The text is what other programs read that take such requests, and what Slack shows where it has
    no room. Where titles of issues are in it Slack shows the block instead, in which nothing is
    formatting, a mention or an emoji.

    Source: https://docs.slack.dev/messaging/formatting-message-text and
    https://docs.slack.dev/reference/block-kit/blocks/rich-text-block, 2026-11-25.
    """
    content: dict[str, Any] = {"text": _slack_text(notification)}
    if notification.sending.total:
        elements = [{"type": "rich_text_section", "elements": _rich_text(notification)}]
        content["blocks"] = [{"type": "rich_text", "elements": elements}]
    return json.dumps(content).encode(), {"Content-Type": "application/json"}


def mail(notification: Notification) -> tuple[str, str]:
    """Return subject and text of a mail."""
    row, project = notification.sending, notification.about["project"]
    links = "\n".join(f"{name}: {url}" for name, url in _labelled(notification, "").items())
    where = f"Project: {one_line(project['name'])}" if project else ""
    title = one_line(row.title)
    paragraphs = [title, "\n".join(_lines(notification)), where, links]
    return f"[DevEnviro] {title}", "\n\n".join(filter(None, paragraphs)) + "\n"


def _lines(notification: Notification) -> list[str]:
    return [line for line in map(one_line, notification.sending.text.splitlines()) if line.strip()]


def _where(notification: Notification) -> str:
    """Return the project's name, where the title has it not."""
    project = notification.about["project"]
    return one_line(project["name"]) if project and not notification.is_of_many else ""


def _labelled(notification: Notification, verb: str = "Open the ") -> dict[str, str]:
    """Return links by what they are called; that of the notification leads to all of its issues."""
    links = {
        f"{verb}{name}" if verb else name.capitalize(): url for name, url in _own(notification)
    }
    if notification.is_of_many:
        return {open_all(notification.sending.total): notification.links["notice"]} | links
    return links


def _own(notification: Notification) -> list[tuple[str, str]]:
    # Of many issues one of them is not what the notification is about.
    left_out = ("notice", "issue", "event") if notification.is_of_many else ()
    return [(name, url) for name, url in notification.links.items() if name not in left_out]


def _slack_text(notification: Notification) -> str:
    row, where = notification.sending, _where(notification)
    title = f"*{_as_text(row.title)}*{f' in {_as_text(where)}' if where else ''}"
    links = " · ".join(f"<{url}|{name}>" for name, url in _labelled(notification).items())
    return "\n".join(
        [title, *(_linked(notification, line) for line in _lines(notification)), links]
    )


def _linked(notification: Notification, line: str) -> str:
    """Return a line as text; in the one that leads to further issues the link is one."""
    total = notification.sending.total
    if total > MAX_LINES and line == more_of(total):
        words = open_all(total)
        return line.replace(words, f"<{notification.links['notice']}|{words}>")
    return _as_text(line)


def _rich_text(notification: Notification) -> list[dict[str, Any]]:
    """Return the same as elements of a block, in which text is text."""
    where = _where(notification)
    found: list[dict[str, Any]] = [
        {"type": "text", "text": one_line(notification.sending.title), "style": {"bold": True}},
        {
            "type": "text",
            "text": "\n".join([f" in {where}" if where else "", *_lines(notification), ""]),
        },
    ]
    for name, url in _labelled(notification).items():
        found += [{"type": "link", "url": url, "text": name}, {"type": "text", "text": " · "}]
    return found[:-1]


# What formats text where it stands at the edge of a word, and words that are emoji.
_FORMATS = re.compile(r"`|(?<![^\W_])[*_~]|[*_~](?![^\W_])")
_EMOJI = re.compile(r":[\w+'-]{1,100}:")


def _as_text(value: str) -> str:
    """Return text of an event so that Slack shows it as it is.

    With the three escapes nothing of it can be a link, a mention or a call to a whole channel.
    There are none for formatting, so an invisible mark stands on either side of what would format.
    """
    line = one_line(value)
    if line.startswith(">"):
        line = f"{_MARK}{line}"  # A quotation, even when it is escaped.
    line = _EMOJI.sub(lambda found: f":{_MARK}{found[0][1:-1]}{_MARK}:", line)
    line = _FORMATS.sub(lambda found: f"{_MARK}{found[0]}{_MARK}", line)
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
