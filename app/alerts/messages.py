"""What a notice says: as JSON for a webhook, in Slack's words, as a mail.

Letter ──▶ webhook   JSON, signed        X-DevEnviro-Timestamp, X-DevEnviro-Signature
       ──▶ slack     {"text": …}
       ──▶ mail      subject, text
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Table, select

from app.alerts.channels import Channel, find_channel
from app.alerts.tables import alert_rules, notice_sendings, notices
from app.events.tables import events
from app.issues.queries import find_issue
from app.output import one_line
from app.projects import projects

NOTICE_HEADER = "X-DevEnviro-Notice"
TIMESTAMP_HEADER = "X-DevEnviro-Timestamp"
SIGNATURE_HEADER = "X-DevEnviro-Signature"

_OF_RULE = ("id", "name", "kind", "threshold", "minimum", "window_minutes", "filters")
_OF_ISSUE = (
    *("id", "title", "culprit", "type", "level", "status", "times_seen", "users"),
    *("first_seen", "last_seen", "first_release", "last_release"),
)
_OF_EVENT = ("event_id", "title", "level", "environment", "release", "transaction", "timestamp")


@dataclass(frozen=True)
class Letter:
    """A notice on its way out by one channel.

    :param sending: the row, with its notice's.
    :param about: ``rule``, ``project``, ``issue``, ``event``: what is known of each, or ``None``.
    :param links: to pages, by what they show.
    """

    sending: Row[Any]
    channel: Channel | None
    about: Mapping[str, Mapping[str, Any] | None]
    links: Mapping[str, str]


def read_letter(conn: Connection, sending_id: int, public_url: str) -> Letter:
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
    return Letter(row, channel, about, _links(row, about, public_url))


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


def webhook(letter: Letter, now: datetime) -> tuple[bytes, dict[str, str]]:
    """Return body and headers of a signed request.

    The signature is ``sha256=`` and the hex HMAC-SHA256, by the channel's secret, of the timestamp
    (seconds since 1970, as the header has it) followed by the body.
    """
    row = letter.sending
    content = {
        "id": row.uid,
        "kind": row.kind,
        "at": row.at,
        "title": row.title,
        "text": row.text,
        **letter.about,
        "links": letter.links,
    }
    body = json.dumps(content, default=_plain).encode()
    timestamp = str(int(now.timestamp()))
    secret = (letter.channel and letter.channel.secret) or ""
    return body, {
        "Content-Type": "application/json",
        NOTICE_HEADER: row.uid,
        TIMESTAMP_HEADER: timestamp,
        SIGNATURE_HEADER: signature(secret, timestamp, body),
    }


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Return how a request is signed."""
    signed = hmac.new(secret.encode(), timestamp.encode() + body, hashlib.sha256)
    return f"sha256={signed.hexdigest()}"


def slack(letter: Letter) -> tuple[bytes, dict[str, str]]:
    """Return body and headers of a request to an incoming webhook of Slack's.

    Source: https://docs.slack.dev/messaging/formatting-message-text, 2026-11-25.
    """
    row = letter.sending
    where = f" in {_escaped(letter.about['project']['name'])}" if letter.about["project"] else ""
    links = " · ".join(f"<{url}|Open the {name}>" for name, url in letter.links.items())
    lines = [f"*{_escaped(row.title)}*{where}", _escaped(row.text), links]
    text = "\n".join(filter(None, lines))
    return json.dumps({"text": text}).encode(), {"Content-Type": "application/json"}


def mail(letter: Letter) -> tuple[str, str]:
    """Return subject and text of a mail."""
    row, project = letter.sending, letter.about["project"]
    links = "\n".join(f"{name.capitalize()}: {url}" for name, url in letter.links.items())
    where = f"Project: {one_line(project['name'])}" if project else ""
    title = one_line(row.title)
    paragraphs = [title, one_line(row.text), where, links]
    return f"[DevEnviro] {title}", "\n\n".join(filter(None, paragraphs)) + "\n"


def _escaped(value: str) -> str:
    # With these three nothing of an event can be a link, a mention or a call to a whole channel.
    return one_line(value).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
