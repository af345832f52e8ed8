"""The values of a notification that templates of channels name, and examples for previews."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from app.alerts.messages import (
    MAX_LINES,
    MAX_TEXT,
    MAX_TITLE,
    RESOLVED,
    TEST,
    Notification,
    cut,
)
from app.output import one_line

# What the names mean, in the order of the list below a template.
NAMES = {
    "title": "the title, one line",
    "text": "the text, several lines",
    "url": "the page of the issue; of the notification if there are several issues, or none",
    "project": "the name of the project",
    "project_id": "its number",
    "environment": "the environment of the event",
    "release": "the release of the event",
    "level": "fatal, error, warning, info or debug",
    "culprit": "where in the code the issue is",
    "events": "how many events the issue has",
    "users": "how many users it affects",
    "issue_id": "the number of the issue",
    "event_id": "the id of the event",
    "issues": "a list of the issues, at most ten, each with title, place, events, users, url",
    "total": "how many issues the notification is about",
    "rule": "the name of the rule",
    "kind": "the kind of the rule, or test, or resolved",
    "action": "trigger, or resolve once the issue is resolved",
    "incident": "the same text in trigger and resolve",
    "severity": "critical, error, warning or info",
    "priority": "the same as a number from 5 to 2",
    "color": "the same as a colour, a number",
    "at": "when the notification was made, RFC 3339",
    "id": "the id of the notification; the same where it is sent twice",
}
# The values in which text of events may stand. Receivers that format text get them escaped.
TEXTS = frozenset(
    {"title", "text", "project", "environment", "release", "culprit", "rule", "level", "issues"}
)

_SEVERITIES = {"fatal": "critical", "error": "error", "warning": "warning"}
_PRIORITIES = {"critical": 5, "error": 4, "warning": 3, "info": 2}
_COLORS = {"critical": 0xB3261E, "error": 0xD9534F, "warning": 0xE0A100, "info": 0x3B82C4}
_RESOLVED_COLOR = 0x2E8B57
# The most characters of each text of a named issue.
_MAX_OF_ISSUE = 200
_AT = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)


def values_of(notification: Notification) -> dict[str, Any]:
    """Return the values of a notification by the names of :data:`NAMES`."""
    row, about = notification.sending, notification.about
    issue, event = about.get("issue") or {}, about.get("event") or {}
    project, rule = about.get("project") or {}, about.get("rule") or {}
    level = event.get("level") or issue.get("level")
    severity = "info" if row.kind in (TEST, RESOLVED) else _SEVERITIES.get(level or "error", "info")
    values = {
        "title": notification.title,
        "text": "\n".join(notification.lines),
        "url": _url(notification),
        "project": one_line(project.get("name") or "DevEnviro"),
        "project_id": project.get("id"),
        "environment": event.get("environment"),
        "release": event.get("release"),
        "level": level,
        "culprit": one_line(issue.get("culprit") or ""),
        "events": issue.get("times_seen"),
        "users": issue.get("users"),
        "issue_id": issue.get("id"),
        "event_id": event.get("event_id"),
        "issues": [_issue(one) for one in notification.issues[:MAX_LINES]],
        "total": row.total,
        "rule": rule.get("name") or row.kind,
        "kind": row.kind,
        "action": "resolve" if row.kind == RESOLVED else "trigger",
        "incident": row.incident or row.uid,
        "severity": severity,
        "priority": _PRIORITIES[severity],
        "color": _RESOLVED_COLOR if row.kind == RESOLVED else _COLORS[severity],
        "at": row.at.isoformat(),
        "id": row.uid,
    }
    return {name: values[name] for name in NAMES}


def _url(notification: Notification) -> str:
    links = notification.links
    if "issue" in links and not notification.is_of_many:
        return links["issue"]
    # A notification that the store could not take has no page of its own.
    return links.get("notice") or next(iter(links.values()))


def _issue(named: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": named["id"],
        "title": cut(named["title"] or "", _MAX_OF_ISSUE),
        "place": cut(named["place"] or "", _MAX_OF_ISSUE),
        "events": named["times_seen"],
        "users": named["users"],
        "url": named["url"],
    }


# ---- examples -----------------------------------------------------------------------------------


def example() -> Notification:
    """Return the notification that previews show."""
    title = 'PaymentError: card "4242" declined'
    issue = {
        "id": 17,
        "title": title,
        "culprit": "shop.checkout in charge",
        "type": "PaymentError",
        "level": "error",
        "times_seen": 45,
        "users": 16,
        "place": "charge, shop/checkout.py:22",
        "url": "https://errors.example.org/admin/issues/17",
    }
    text = (
        "shop.checkout in charge · charge, shop/checkout.py:22\n"
        "Environment production · release shop@2.4.0 · 45 events, 16 users\n"
        "Rule New errors. Next message not before 12:01 UTC."
    )
    return _notification(f"New issue: {title}", text, issue)


def largest() -> Notification:
    """Return a notification that is as large as one can be, for the check of a template."""
    letter = "\N{GRINNING FACE}"
    issue = {
        "id": 2**63,
        **dict.fromkeys(("title", "culprit", "place"), letter * 500),
        "level": "warning",
        "times_seen": 2**63,
        "users": 2**31,
        "url": f"https://{'x' * 300}",
    }
    return _notification(letter * MAX_TITLE, letter * MAX_TEXT, issue, MAX_LINES)


def _notification(title: str, text: str, issue: dict[str, Any], issues: int = 1) -> Notification:
    uid = "9c1f4e0b7d3a4c5e8f6a2b1d0c9e8f7a"
    row: Any = SimpleNamespace(
        uid=uid, kind="new_issue", at=_AT, title=title, text=text, total=issues, incident=None
    )
    event = {"event_id": uid[::-1], "environment": "production", "release": "shop@2.4.0"}
    about = {
        "rule": {"id": 1, "name": "New errors"},
        "project": {"id": 2, "name": "Shop backend"},
        "issue": issue,
        "event": event | {"level": issue["level"]},
    }
    links = {"notice": "https://errors.example.org/admin/alerts/4", "issue": issue["url"]}
    return Notification(row, about, links, (issue,) * issues)
