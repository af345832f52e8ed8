"""The sessions of users: each log-in opens one, and each can be ended alone.

The id of a session is in the signed cookie of its browser: the user's name, a random token, and a
digest of the token with the user's password. So a session ends in every process at once when its
row is deleted, when the user's password or key changes, or when the setting ADMIN_PASSWORD does.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from flask_login import UserMixin
from sqlalchemy import Connection, Select, bindparam, delete, select, update

from app.accounts.tables import user_sessions, users
from app.store import DriverStatement, Store, StoreError, utc_now

# The oldest sessions of a user end beyond this number.
MAX_SESSIONS = 20
# As long as a cookie without a request is valid (PERMANENT_SESSION_LIFETIME), and a reserve because
# `seen_at` is not written at every request.
UNUSED_FOR = timedelta(hours=13)
SEEN_EVERY = timedelta(minutes=5)
# How many sessions a process remembers the last note of.
REMEMBERED = 1000

log = logging.getLogger("app.tracker")


@dataclass(frozen=True)
class User(UserMixin):  # type: ignore[misc]  # Flask-Login has no types
    """A user.

    :param id: of the session, for Flask-Login; empty without a session.
    :param session: the row of the session.
    :param theme: what the user chose, ``None`` for the theme of the browser.
    """

    username: str
    role: str
    id: str = ""
    session: int = 0
    time_zone: str | None = None
    theme: str | None = None


class OpenSession(NamedTuple):
    """A session that is open."""

    id: int
    username: str
    started_at: datetime
    seen_at: datetime
    address: str | None
    browser: str | None


class UserSessions:
    """Notes when the sessions of a store were last used, at most every :data:`SEEN_EVERY`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._noted: OrderedDict[int, float] = OrderedDict()

    def note(self, session_id: int, seen_at: datetime) -> None:
        """Note that a session is used now. Without the store nothing is noted."""
        now = utc_now()
        if abs(now - seen_at) < SEEN_EVERY or not self._is_due(session_id):
            return
        try:
            with self._store.write(timeout_s=0.5, durable=False) as conn:
                row = update(user_sessions).where(user_sessions.c.id == session_id)
                conn.execute(row.values(seen_at=now))
        except StoreError as error:
            log.warning("the last use of a session is not noted: %s", error)

    def _is_due(self, session_id: int) -> bool:
        # Otherwise each request would wait for a store that cannot be written.
        now = time.monotonic()
        if now - self._noted.get(session_id, -1e9) < SEEN_EVERY.total_seconds():
            return False
        self._noted[session_id] = now
        self._noted.move_to_end(session_id)
        while len(self._noted) > REMEMBERED:
            self._noted.popitem(last=False)
        return True


def add_session(
    conn: Connection, username: str, mark: str, address: str | None, browser: str | None
) -> str:
    """Open a session and return its id. Sessions that are over or too many are removed.

    :param mark: changes with the user's password and key, see :func:`digest_of`.
    """
    now, token = utc_now(), secrets.token_hex(16)
    row = {
        "username": username,
        "token_hash": hash_of(token),
        "started_at": now,
        "seen_at": now,
        "address": (address or "")[:45] or None,
        "browser": browser_name(browser or "") or None,
    }
    conn.execute(user_sessions.insert().values(row))
    _remove_old(conn, username, now)
    return f"{username}:{token}:{digest_of(token, mark)}"


def parts_of_id(session_id: str) -> tuple[str, str, str]:
    """Return the user name, the token and the digest of a session's id; empty where there is none.

    A name may have colons.
    """
    rest, _, digest = session_id.rpartition(":")
    username, _, token = rest.rpartition(":")
    return username, token, digest


def is_digest(digest: str, token: str, mark: str) -> bool:
    """Return whether a session was opened with the password and key that the user has now."""
    return hmac.compare_digest(digest_of(token, mark).encode(), digest.encode())


def digest_of(token: str, mark: str) -> str:
    """Return a digest of a session's token, and of what ends all sessions when it changes."""
    return hashlib.sha256(f"{token}:{mark}".encode("utf-8", "replace")).hexdigest()[:32]


def hash_of(token: str) -> str:
    """Return the hash that is stored of a session's token."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def open_sessions(conn: Connection, username: str) -> list[OpenSession]:
    """Return the sessions of a user, those used last first."""
    columns = [user_sessions.c[name] for name in OpenSession._fields]
    query = select(*columns).where(
        user_sessions.c.username == username, user_sessions.c.seen_at > utc_now() - UNUSED_FOR
    )
    rows = conn.execute(query.order_by(user_sessions.c.seen_at.desc(), user_sessions.c.id.desc()))
    return [OpenSession(*row) for row in rows]


def browser_name(agent: str) -> str:
    """Return a browser and its system, in the words of its ``User-Agent``: ``Firefox, Linux``."""
    named = next((name for mark, name in _BROWSERS if mark in agent), agent[:40])
    system = next((name for mark, name in _SYSTEMS if mark in agent), "")
    return ", ".join(filter(None, (named, system)))


# The first that is found counts: Edge calls itself Chrome, too, and Chrome calls itself Safari.
_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS", "macOS"),
    ("Linux", "Linux"),
)


def _remove_old(conn: Connection, username: str, now: datetime) -> None:
    of_user = user_sessions.c.username == username
    conn.execute(delete(user_sessions).where(of_user, user_sessions.c.seen_at < now - UNUSED_FOR))
    newest = select(user_sessions.c.id).where(of_user).order_by(user_sessions.c.id.desc())
    beyond = conn.scalars(newest.offset(MAX_SESSIONS)).all()
    if beyond:
        conn.execute(delete(user_sessions).where(user_sessions.c.id.in_(beyond)))


def _of_session(dialect: str) -> Select[Any]:
    columns = (
        users.c.password_hash,
        users.c.session_key,
        users.c.role,
        users.c.time_zone,
        users.c.theme,
        user_sessions.c.id,
        user_sessions.c.seen_at,
    )
    joined = select(*columns).join(user_sessions, user_sessions.c.username == users.c.username)
    return joined.where(
        users.c.username == bindparam("username"),
        user_sessions.c.token_hash == bindparam("token_hash"),
    )


# Every request of a person asks this.
OF_SESSION = DriverStatement(_of_session)
