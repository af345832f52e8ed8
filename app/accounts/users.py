"""Users, their passwords and their sessions.

If ``ADMIN_PASSWORD`` is set, it is the password of the admin. Otherwise the admin's account in the
store has a password, which the first start in development creates. Passwords are stored as scrypt
hashes.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Any

from sqlalchemy import Connection, Select, bindparam, delete, select
from werkzeug.security import check_password_hash, generate_password_hash

from app.accounts import audit
from app.accounts import sessions as user_sessions
from app.accounts.sessions import OF_SESSION, User, UserSessions
from app.accounts.tables import user_sessions as sessions_table
from app.accounts.tables import users
from app.inputs import InputError
from app.store import DriverStatement, Store, insert, inserted, replaced, upsert, utc_now
from config import Config

PASSWORD_METHOD = "scrypt:32768:8:1"  # noqa: S105 -- the name of a method
# This hash is checked for accounts without a hash; no password is known to match it.
UNMATCHED_HASH = f"{PASSWORD_METHOD}$n0b0dysAccount00${'5a' * 64}"
MIN_PASSWORD_LENGTH, MAX_PASSWORD_LENGTH = 8, 1000


class UserError(InputError):
    """A request about a user cannot be carried out; ``field`` names the wrong field."""


class Users:
    """The users of one store.

    :param config: its ``ADMIN_PASSWORD``, if set, wins over the password in the store.
    """

    def __init__(self, store: Store, config: Config) -> None:
        self._store = store
        self._config = config
        self._sessions = UserSessions(store)

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
        """Return a user by name, without a session."""
        row = self._row(username)
        return None if row is None else User(username, self._role(username, row[2]))

    def open_session(self, username: str, address: str | None, browser: str | None) -> User:
        """Open a session of a user whose password was right, and return the user with it.

        :param browser: the ``User-Agent`` of the browser.
        """
        with self._store.write() as conn:
            password_hash, key, _ = _SECRETS.fetch(conn, {"username": username})[0]
            mark = self._mark(username, password_hash, key)
            session_id = user_sessions.add_session(conn, username, mark, address, browser)
            audit.note(conn, "login", username, caller=audit.Caller(username, address))
        user = self.user_of_session(session_id)
        assert user is not None, "a session that was just opened is valid"  # noqa: S101 -- ours
        return user

    def user_of_session(self, session_id: str) -> User | None:
        """Return the user of a session, or ``None`` if the session has ended."""
        username, token, digest = user_sessions.parts_of_id(session_id)
        values = {"username": username, "token_hash": user_sessions.hash_of(token)}
        with self._store.read() as conn:
            rows = OF_SESSION.fetch(conn, values)
        if not rows:
            return None
        password_hash, key, role, time_zone, theme, session, seen_at = rows[0]
        if not user_sessions.is_digest(digest, token, self._mark(username, password_hash, key)):
            return None
        self._sessions.note(session, seen_at)
        return User(username, self._role(username, role), session_id, session, time_zone, theme)

    def is_user(self, username: str) -> bool:
        """Return whether a user exists. The user of ``ADMIN_USERNAME`` gets an account here."""
        if self._row(username) is not None:
            return True
        if self._configured(username) is None:
            return False
        self.set_session_key(username)
        return True

    def note_wrong_password(self, username: str, address: str | None) -> None:
        """Note a wrong password of a user. The throttle bounds how many there can be.

        Names that no user has are not noted: anybody could fill the log with them.
        """
        with self._store.write(durable=False) as conn:
            if _SECRETS.fetch(conn, {"username": username}) or self.is_configured(username):
                audit.note(conn, "login_failed", username, caller=audit.Caller(username, address))

    def end_session(self, username: str, session: int) -> bool:
        """End a session of a user; return ``False`` if there is no such session."""
        of_user = sessions_table.c.username == username
        with self._store.write() as conn:
            chosen = delete(sessions_table).where(of_user, sessions_table.c.id == session)
            ended = conn.execute(chosen).rowcount == 1
            if ended:
                audit.note(conn, "session_ended", username)
        return ended

    def end_sessions(self, username: str, but: int | None = None) -> int:
        """End every session of a user but one, and return how many ended."""
        chosen = sessions_table.c.username == username
        if but is not None:
            chosen = chosen & (sessions_table.c.id != but)
        with self._store.write() as conn:
            count = conn.execute(delete(sessions_table).where(chosen)).rowcount
            if count:
                audit.note(conn, "session_ended", username, f"sessions: {count}")
        return count

    def log_out(self, username: str) -> None:
        """End every session of a user, as the button of the user's own does."""
        with self._store.write() as conn:
            conn.execute(delete(sessions_table).where(sessions_table.c.username == username))
            audit.note(conn, "logout", username)

    def set_session_key(self, username: str) -> None:
        """End every session of a user, and create the account if it does not exist."""
        with self._store.write() as conn:
            self._upsert(conn, username, {"session_key": secrets.token_hex(16)})

    def set_password(self, username: str, password: str) -> None:
        """Set a password and end every session that was opened with the old one.

        A new user becomes a member, or an admin if there is none.

        While ADMIN_PASSWORD is set, that one is valid for its user, see :meth:`check_password`.

        :raise UserError: the password is too short or too long.
        """
        _check_length(password)
        values = {"password_hash": _hash_of(password), "session_key": secrets.token_hex(16)}
        with self._store.write() as conn:
            self._upsert(conn, username, values)
            conn.execute(delete(sessions_table).where(sessions_table.c.username == username))
            audit.note(conn, "password_changed", username)

    def is_configured(self, username: str) -> bool:
        """Return whether ``ADMIN_PASSWORD`` is the password of a user."""
        return self._configured(username) is not None

    def role_of_new_user(self, conn: Connection) -> str:
        """Return the role of a user for whom none was given: the first one is an admin."""
        return "member" if self._admins(conn) else "admin"

    def _upsert(self, conn: Connection, username: str, values: dict[str, str]) -> None:
        role = "admin" if self.is_configured(username) else self.role_of_new_user(conn)
        row = {"username": username, "created_at": utc_now(), "role": role, **values}
        conn.execute(upsert(conn, users, row, **dict.fromkeys(values, replaced)))

    def _configured(self, username: str) -> str | None:
        return self._config.ADMIN_PASSWORD if username == self._config.ADMIN_USERNAME else None

    def _role(self, username: str, role: str) -> str:
        return "admin" if self.is_configured(username) else role

    def _mark(self, username: str, password_hash: str | None, key: str) -> str:
        return f"{key}:{self._configured(username) or password_hash or ''}"

    def _row(self, username: str) -> tuple[str | None, str, str] | None:
        rows = self._store.ask(_SECRETS, {"username": username}) if is_storable(username) else ()
        return (rows[0][0], rows[0][1], rows[0][2]) if rows else None

    def _admins(self, conn: Connection) -> set[str]:
        """Return the admins who can log in."""
        query = select(users.c.username).where(
            users.c.role == "admin", users.c.password_hash.is_not(None)
        )
        configured = {self._config.ADMIN_USERNAME} if self._config.ADMIN_PASSWORD else set()
        return set(conn.scalars(query)) | configured

    def check_password(self, username: str, password: str) -> None:
        """Check a new password.

        :raise UserError: it is too short or too long, or ADMIN_PASSWORD is set.
        """
        if self.is_configured(username):
            raise UserError(
                f"the password of {username} is set by ADMIN_PASSWORD: change it there", "password"
            )
        _check_length(password)

    def _create_admin(self, username: str, password: str) -> bool:
        row = self._new_row(username, password, "admin")
        with self._store.write() as conn:
            return inserted(conn, insert(conn, users).values(row))

    def _new_row(self, username: str, password: str, role: str) -> dict[str, Any]:
        return {
            "username": username,
            "password_hash": _hash_of(password),
            "session_key": secrets.token_hex(16),
            "created_at": utc_now(),
            "role": role,
        }


def _secrets(dialect: str) -> Select[Any]:
    columns = users.c
    query = select(columns.password_hash, columns.session_key, columns.role)
    return query.where(columns.username == bindparam("username"))


_SECRETS = DriverStatement(_secrets)


def is_storable(name: str) -> bool:
    """Return whether a name can be one of the store: PostgreSQL answers an error to NUL."""
    return "\0" not in name


def _check_length(password: str) -> None:
    if len(password) < MIN_PASSWORD_LENGTH:
        text = f"the password is too short: at least {MIN_PASSWORD_LENGTH} characters are expected"
        raise UserError(text, "password")
    if len(password) > MAX_PASSWORD_LENGTH:
        raise UserError(f"at most {MAX_PASSWORD_LENGTH} characters are expected", "password")


def _hash_of(password: str) -> str:
    return generate_password_hash(password, method=PASSWORD_METHOD)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")
