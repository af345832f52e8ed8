"""Undo of a decision about issues: status, assignment and what ends the ignoring, as they were.

before and after a decision ── former values ── one fact per user ── undo: issues that nobody
                                                                     changed since get them back

A user can undo the last decision, for an hour. The issues keep their history: the undo is a row of
it. Longer lists than MAX_ISSUES cannot be undone.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, select, update

from app.accounts.tables import users
from app.issues.followers import follow_end
from app.issues.tables import STATUSES, IssueStatus, issues, transitions
from app.store import facts, replaced, upsert, utc_now
from app.store.paging import hidden

MAX_ISSUES = 1000
MAX_AGE = timedelta(hours=1)
NOTE = "undone"

_COLUMNS = issues.c
_KINDS = {
    IssueStatus.UNRESOLVED: "reopened",
    IssueStatus.RESOLVED: "resolved",
    IssueStatus.IGNORED: "ignored",
}
# What a decision changes.
NAMES = (
    *("status", "regressed", "assigned_to", "resolved_after", "resolved_in", "resolved_at"),
    *("ignored_by", "ignored_at", "ignore_until"),
    *("ignored_from", "ignored_events", "ignored_users", "ignored_release"),
)
_TIMES = ("resolved_at", "ignored_at", "ignored_from")

Values = dict[str, Any]


class Decision(NamedTuple):
    """A decision that can be undone.

    :param words: what was done, as a sentence without its full stop.
    :param former: the values of each changed issue before, by id.
    :param now: the same after the decision.
    """

    token: str
    words: str
    former: dict[int, Values]
    now: dict[int, Values]


class Undone(NamedTuple):
    """How many issues got their former values, and how many were changed since and did not."""

    restored: int
    left: int


def values_of(conn: Connection, issue_ids: Sequence[int]) -> dict[int, Values]:
    """Return what a decision changes, of each issue that exists."""
    query = select(_COLUMNS.id, *(_COLUMNS[name] for name in NAMES))
    rows = conn.execute(query.where(_COLUMNS.id.in_(issue_ids)))
    return {row.id: {name: getattr(row, name) for name in NAMES} for row in rows}


def remember(conn: Connection, actor: str, decision: Decision) -> None:
    """Keep a decision in place of the user's last one."""
    value = json.dumps(
        {
            "token": decision.token,
            "at": utc_now().isoformat(),
            "words": decision.words,
            "former": {str(id): _stored(values) for id, values in decision.former.items()},
            "now": {str(id): _stored(values) for id, values in decision.now.items()},
        }
    )
    row = {"name": _name_of(actor), "value": value}
    conn.execute(upsert(conn, facts, value=replaced), [row])


def find_decision(conn: Connection, actor: str, token: str) -> Decision | None:
    """Return the last decision of a user if it has this token, and is not too old."""
    text = conn.scalar(select(facts.c.value).where(facts.c.name == _name_of(actor)))
    if not text or not token:
        return None
    read = json.loads(text)
    is_old = utc_now() - datetime.fromisoformat(read["at"]) > MAX_AGE
    if is_old or not secrets.compare_digest(read["token"].encode(), token.encode()):
        return None
    former, now = (
        {int(id): _read(values) for id, values in read[name].items()} for name in ("former", "now")
    )
    return Decision(token, read["words"], former, now)


def undo(conn: Connection, actor: str, decision: Decision) -> Undone:
    """Give the issues of a decision their former values, if nobody changed them since.

    An issue that was assigned to a user who was removed since is assigned to nobody.
    """
    decision = _without_removed_users(conn, decision)
    current = values_of(conn, list(decision.former))
    restored = [id for id in decision.former if current.get(id) == decision.now[id]]
    at = utc_now()
    for issue_id in restored:
        former = decision.former[issue_id]
        is_it = _COLUMNS.id == issue_id, hidden(_COLUMNS.status).in_(STATUSES)
        conn.execute(update(issues).where(*is_it).values(**former))
        row = _transition(former, current[issue_id])
        conn.execute(
            transitions.insert(), [{"issue_id": issue_id, "at": at, "actor": actor, **row}]
        )
    resolved = IssueStatus.RESOLVED
    ended = [id for id in restored if decision.former[id]["status"] == resolved]
    follow_end(conn, ended, actor, at)
    conn.execute(delete(facts).where(facts.c.name == _name_of(actor)))
    return Undone(len(restored), len(decision.former) - len(restored))


def _without_removed_users(conn: Connection, decision: Decision) -> Decision:
    named = {values["assigned_to"] for values in decision.former.values()} - {None}
    known = set(conn.scalars(select(users.c.username).where(users.c.username.in_(named))))
    former = {
        id: values if values["assigned_to"] in known else values | {"assigned_to": None}
        for id, values in decision.former.items()
    }
    return decision._replace(former=former)


def new_token() -> str:
    """Return a token for a decision."""
    return secrets.token_urlsafe(12)


def _transition(former: Values, current: Values) -> Values:
    if former["status"] == current["status"] and former["assigned_to"] != current["assigned_to"]:
        return {"kind": "assigned", "note": f"to {former['assigned_to'] or 'nobody'} ({NOTE})"}
    return {"kind": _KINDS[former["status"]], "note": NOTE}


def _name_of(actor: str) -> str:
    # A name of a user is as long as the column.
    return f"undo:{hashlib.sha256(actor.encode()).hexdigest()}"


def _stored(values: Values) -> Values:
    return {
        name: value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value
        for name, value in values.items()
    }


def _read(values: Values) -> Values:
    return {
        name: datetime.fromisoformat(value) if name in _TIMES and value else value
        for name, value in values.items()
    }
