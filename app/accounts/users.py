"""Users, their passwords and their sessions.

If ``ADMIN_PASSWORD`` is set, it is the password of the admin. Otherwise the admin's account in the
store has a password, which the first start in development creates. Passwords are stored as scrypt
hashes.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Any

from flask_login import UserMixin
from sqlalchemy import Select, bindparam, select
from werkzeug.security import check_password_hash, generate_password_hash

from app.accounts.tables import users
from app.store import DriverStatement, Store, insert, inserted, replaced, upsert, utc_now
from config import Config

PASSWORD_METHOD = "scrypt:32768:8:1"  # noqa: S105 -- the name of a method
# This hash is checked for accounts without a hash; no password is known to match it.
UNMATCHED_HASH = f"{PASSWORD_METHOD}$n0b0dysAccount00${'5a' * 64}"


@dataclass(frozen=True)
class User(UserMixin):  # type: ignore[misc]  # Flask-Login has no types
    """A user who is logged in. ``id`` changes with the password and at every logout."""

    username: str
    id: str


class Users:
    """The users of one store.

    :param config: its ``ADMIN_PASSWORD``, if set, wins over the password in the store.
    """

    def __init__(self, store: Store, config: Config) -> None:
        self._store = store
        self._config = config

    def authenticate(self, username: str, password: str) -> User | None:
        """Return the user, or ``None`` if the name or the password is wrong.

        Every call checks exactly one scrypt hash, whether the name is known, unknown or has its
        password in ``ADMIN_PASSWORD``. So the time of a call does not show whether a name exists.
        """
        row = self._row(username)
        configured = self._configured(username)
        known = row[0] if row else None
        right = check_password_hash(known or UNMATCHED_HASH, password) and known is not None
        if configured is not None:
            right = hmac.compare_digest(_bytes(configured), _bytes(password))
        if not right:
            return None
        if row is None:
            self.set_session_key(username)
        return self.user(username)

    def password_mark(self, username: str) -> str | None:
        """Return a hash that changes only with the user's password. Use it only to sign.

        :return: never send this hash: a guess of the password could be checked against it.
        """
        row = self._row(username)
        secret = self._configured(username) or (row[0] if row else None)
        if secret is None:
            return None
        return hashlib.sha256(_bytes(f"{username}:{secret}")).hexdigest()

    def user(self, username: str) -> User | None:
        """Return a user by name, with the current id of valid sessions."""
        row = self._row(username)
        if row is None:
            return None
        secret = self._configured(username) or row[0] or ""
        digest = hashlib.sha256(f"{row[1]}:{secret}".encode()).hexdigest()[:32]
        return User(username, f"{username}:{digest}")

    def user_of_session(self, session_id: str) -> User | None:
        """Return the user of a session, or ``None`` if the session has ended."""
        user = self.user(session_id.rpartition(":")[0])
        valid = user is not None and hmac.compare_digest(user.id.encode(), session_id.encode())
        return user if valid else None

    def is_user(self, username: str) -> bool:
        """Return whether a user exists. The user of ``ADMIN_USERNAME`` gets an account here."""
        if self._row(username) is not None:
            return True
        if self._configured(username) is None:
            return False
        self.set_session_key(username)
        return True

    def set_session_key(self, username: str) -> None:
        """End every session of a user, and create the account if it does not exist."""
        self._upsert(username, {"session_key": secrets.token_hex(16)})

    def set_password(self, username: str, password: str) -> None:
        """Set a password and end every session that was opened with the old one."""
        values = {
            "password_hash": _hash_of(password),
            "session_key": secrets.token_hex(16),
        }
        self._upsert(username, values)

    def _upsert(self, username: str, values: dict[str, str]) -> None:
        with self._store.write() as conn:
            row = {"username": username, "created_at": utc_now(), **values}
            conn.execute(upsert(conn, users, row, **dict.fromkeys(values, replaced)))

    def _configured(self, username: str) -> str | None:
        return self._config.ADMIN_PASSWORD if username == self._config.ADMIN_USERNAME else None

    def _row(self, username: str) -> tuple[str | None, str] | None:
        rows = self._store.ask(_SECRETS, {"username": username})
        return (rows[0][0], rows[0][1]) if rows else None

    def _create_user(self, username: str, password: str) -> bool:
        row = {
            "username": username,
            "password_hash": _hash_of(password),
            "session_key": secrets.token_hex(16),
            "created_at": utc_now(),
        }
        with self._store.write() as conn:
            return inserted(conn, insert(conn, users).values(row))


def _secrets(dialect: str) -> Select[Any]:
    columns = users.c
    query = select(columns.password_hash, columns.session_key)
    return query.where(columns.username == bindparam("username"))


# Every request of a person asks this.
_SECRETS = DriverStatement(_secrets)


def _hash_of(password: str) -> str:
    return generate_password_hash(password, method=PASSWORD_METHOD)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")
