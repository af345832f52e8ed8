"""The audit log: who did what, when and from where. Rows are added, and removed by age and number.

    with store.write() as conn:
        ...                                                  the change
        audit.note(conn, "key_revoked", "project 2", "the key ends with 3f9a")

The entry is in the transaction of the change: either both are stored or none. Who acts is known
where a request or a command begins (:func:`acting`), so the code of a change does not pass it on.
An entry has no secrets: of keys and tokens only what pages show of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime, timedelta
from typing import NamedTuple

import click
from sqlalchemy import ColumnElement, Connection, func, insert, not_, or_, select

from app.accounts.tables import audit_log
from app.store import Store, delete_in_batches, utc_now
from app.store.paging import Listing, Page, read_page

# What may happen, and how pages say it.
ACTIONS = {
    "login": "logged in",
    "login_failed": "wrong password",
    "logout": "logged out",
    "session_ended": "ended a session",
    "user_added": "added a user",
    "user_removed": "removed a user",
    "user_unlocked": "unlocked a user",
    "role_changed": "changed a role",
    "password_changed": "changed a password",
    "token_created": "made a token",
    "token_revoked": "revoked a token",
    "key_added": "added a key",
    "key_revoked": "revoked a key",
    "project_added": "made a project",
    "project_changed": "changed a project",
    "project_archived": "archived a project",
    "project_restored": "restored a project",
    "project_deleted": "deleted a project",
    "issues_deleted": "deleted issues",
    "issues_merged": "merged issues",
    "issue_unmerged": "unmerged an issue",
    "memories_deleted": "deleted memories",
    "deliveries_replayed": "replayed deliveries",
    "deliveries_discarded": "discarded deliveries",
    "delivery_paused": "paused delivery",
    "delivery_resumed": "resumed delivery",
    "channel_added": "added a channel",
    "channel_changed": "changed a channel",
    "channel_deleted": "deleted a channel",
    "alert_rule_added": "added an alert rule",
    "alert_rule_changed": "changed an alert rule",
    "alert_rule_deleted": "deleted an alert rule",
    "grouping_rule_added": "added a grouping rule",
    "grouping_rule_changed": "changed a grouping rule",
    "grouping_rule_deleted": "deleted a grouping rule",
    "monitor_added": "added a monitor",
    "monitor_changed": "changed a monitor",
    "monitor_deleted": "deleted a monitor",
    "monitor_environment_deleted": "deleted an environment of a monitor",
    "exported": "exported data",
    "tool_read": "read with a tool",
    "tool_changed": "changed with a tool",
    "tool_refused": "was refused a tool",
    "erased": "erased a person",
    "backed_up": "made a backup",
    "restored": "restored a backup",
}
# What people and programs without the rights of an admin can do as often as they like.
EVERYDAY = (
    *("login", "login_failed", "logout", "session_ended", "password_changed"),
    *("issues_merged", "issue_unmerged", "exported"),
    *("tool_read", "tool_changed", "tool_refused"),
)
# A flood of requests must not fill the disk: beyond this number the oldest entries are removed. It
# counts everyday entries and the others apart, so that a flood removes no entry of an admin.
MAX_ENTRIES = 200_000
# Actors beside users and tokens; no user may have such a name.
NOT_USERS = ("loopback", "command line", "service")


class Caller(NamedTuple):
    """Who acts.

    :param actor: a user, ``token:NAME``, ``loopback``, ``command line`` or ``service``.
    :param address: of the peer, ``None`` for commands.
    """

    actor: str
    address: str | None = None


class Entry(NamedTuple):
    """An entry of the log."""

    id: int
    at: datetime
    actor: str
    address: str | None
    action: str
    target: str
    detail: str

    @property
    def words(self) -> str:
        """What was done, in words."""
        return ACTIONS.get(self.action, self.action)


_find_caller: ContextVar[Callable[[], Caller | None]] = ContextVar("audit_caller")


def set_caller(find: Callable[[], Caller | None]) -> None:
    """Set who acts from now on in this context, where a request begins.

    :param find: called for each entry, because most requests write none; it returns ``None`` after
        the request.
    """
    _find_caller.set(find)


@contextmanager
def acting(caller: Caller) -> Iterator[None]:
    """Let somebody act within this block."""
    before = _find_caller.set(lambda: caller)
    try:
        yield
    finally:
        _find_caller.reset(before)


def current_caller() -> Caller:
    """Return who acts in this context."""
    found = _find_caller.get(lambda: None)()
    if found is not None:
        return found
    # Click's context belongs to the thread of a command; tasks in the background have none.
    is_command = click.get_current_context(silent=True) is not None
    return Caller("command line" if is_command else "service")


def note(
    conn: Connection, action: str, target: str, detail: str = "", *, caller: Caller | None = None
) -> None:
    """Add an entry in the caller's write transaction. Long texts are cut.

    :param action: one of :data:`ACTIONS`.
    :param target: what it was done to, such as ``project 2``.
    :param caller: by default who acts in this context.
    """
    if action not in ACTIONS:
        raise ValueError(f"unknown action {action!r}")
    found = caller or current_caller()
    row = {
        "at": utc_now(),
        "actor": _cut(found.actor, 200),
        "address": _cut(found.address or "", 45) or None,
        "action": action,
        "target": _cut(target, 200),
        "detail": _cut(detail, 1000),
    }
    conn.execute(insert(audit_log).values(row))


def note_once_a_minute(conn: Connection, action: str, target: str, detail: str = "") -> None:
    """Add an entry of what a program may do many times a second, unless a young one says it."""
    if not was_noted(conn, action, target):
        note(conn, action, target, detail)


def was_noted(conn: Connection, action: str, target: str) -> bool:
    """Return whether who acts has an entry of the last minute with this action and target."""
    noted = select(audit_log.c.id).where(
        audit_log.c.at > utc_now() - timedelta(minutes=1),
        audit_log.c.actor == _cut(current_caller().actor, 200),
        audit_log.c.action == action,
        audit_log.c.target == _cut(target, 200),
    )
    return conn.execute(noted.limit(1)).first() is not None


def page_of_entries(
    conn: Connection,
    *,
    actor: str = "",
    action: str = "",
    before: int | None = None,
    limit: int = 50,
) -> Page:
    """Return a page of entries, the newest first; its rows have the fields of :class:`Entry`.

    :param actor: only of this one; empty for all.
    """
    conditions = [(audit_log.c.actor, actor), (audit_log.c.action, action)]
    others = [column == value for column, value in conditions if value]
    listing = Listing([audit_log.c.id], others=others)
    query = select(*(audit_log.c[name] for name in Entry._fields))
    return read_page(conn, query, listing, after=listing.after(before), limit=limit)


def entries_of(page: Page) -> list[Entry]:
    """Return the entries of a page."""
    return [Entry(**row._mapping) for row in page.rows]


def prune(store: Store, days: int, now: datetime) -> None:
    """Remove entries that are too old or too many.

    :param days: how long entries are kept; 0 for no limit but :data:`MAX_ENTRIES`.
    """
    is_everyday = or_(*(audit_log.c.action == action for action in EVERYDAY))
    for kind in (is_everyday, not_(is_everyday)):
        with store.read() as conn:
            surplus = _newest_surplus(conn, kind)
        if surplus is not None:
            delete_in_batches(store, audit_log, kind & (audit_log.c.id <= surplus))
    if days:
        delete_in_batches(store, audit_log, audit_log.c.at < now - timedelta(days=days))


def _newest_surplus(conn: Connection, kind: ColumnElement[bool]) -> int | None:
    """Return the id of the newest entry of a kind that is beyond :data:`MAX_ENTRIES`."""
    oldest, newest = conn.execute(select(func.min(audit_log.c.id), func.max(audit_log.c.id))).one()
    if newest is None or newest - oldest < MAX_ENTRIES:  # Usually, and found without counting.
        return None
    entries = select(audit_log.c.id).where(kind).order_by(audit_log.c.id.desc())
    found: int | None = conn.scalar(entries.offset(MAX_ENTRIES).limit(1))
    return found


def _cut(text: str, length: int) -> str:
    # PostgreSQL takes no NUL, and a line break would look like a second entry.
    plain = "".join(letter if letter.isprintable() else " " for letter in text)
    return plain if len(plain) <= length else plain[: length - 1] + "…"
