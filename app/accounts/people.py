"""Managing users: list and add them, change their roles and choices, remove them.

There is always an admin: the last one can be neither removed nor given another role.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, delete, func, select, update

from app.accounts import audit
from app.accounts.roles import ROLES
from app.accounts.sessions import UNUSED_FOR
from app.accounts.tables import user_sessions, users
from app.accounts.users import UserError, Users, is_storable
from app.inputs import Conflict, Missing
from app.store import insert, inserted, utc_now

MAX_NAME_LENGTH = 100
MAX_USERS = 1000


class NoSuchUser(UserError, Missing):
    """The user does not exist."""


class LastAdmin(UserError, Conflict):
    """The user is the last admin, or the one that ADMIN_PASSWORD is for."""


class Person(NamedTuple):
    """A user, as the list of users shows it.

    :param is_configured: whether ``ADMIN_PASSWORD`` is the password.
    """

    username: str
    role: str
    created_at: datetime
    sessions: int
    seen_at: datetime | None
    is_configured: bool


class People(Users):
    """The users of a store, as admins manage them."""

    def list_users(self, conn: Connection) -> list[Person]:
        """Return every user, by name."""
        sessions = (
            select(
                user_sessions.c.username,
                func.count().label("number"),
                func.max(user_sessions.c.seen_at).label("seen_at"),
            )
            .where(user_sessions.c.seen_at > utc_now() - UNUSED_FOR)
            .group_by(user_sessions.c.username)
            .subquery()
        )
        query = select(users.c.username, users.c.role, users.c.created_at, sessions).outerjoin(
            sessions, sessions.c.username == users.c.username
        )
        return [
            Person(
                row[0],
                self._role(row[0], row[1]),
                row[2],
                row.number or 0,
                row.seen_at,
                self.is_configured(row[0]),
            )
            for row in conn.execute(query.order_by(users.c.username).limit(MAX_USERS))
        ]

    def add_user(self, username: str, password: str, role: str) -> None:
        """Add a user.

        :raise UserError: the name is taken or not valid, the password is too short or too long, or
            there is no such role.
        """
        username = _checked_name(username)
        self.check_password(username, password)
        _check_role(role)
        with self._store.write() as conn:
            if (conn.scalar(select(func.count()).select_from(users)) or 0) >= MAX_USERS:
                raise UserError(f"there are {MAX_USERS} users, which is the maximum", "username")
            row = self._new_row(username, password, role)
            if not inserted(conn, insert(conn, users).values(row)):
                raise UserError("there is a user of this name already", "username")
            audit.note(conn, "user_added", username, f"as {role}")

    def change_password(self, username: str, password: str) -> None:
        """Give a user another password and end every session.

        Nobody is added: a user who was removed a moment ago must not come back.

        :raise UserError: see :meth:`check_password`. :raise NoSuchUser: there is no such user.
        """
        self.check_password(username, password)
        row = self._new_row(username, password, "member")
        values = {name: row[name] for name in ("password_hash", "session_key")}
        with self._store.write() as conn:
            self._found_role(conn, username)
            conn.execute(update(users).where(users.c.username == username).values(values))
            conn.execute(delete(user_sessions).where(user_sessions.c.username == username))
            audit.note(conn, "password_changed", username)

    def change_role(self, username: str, role: str) -> None:
        """Give a user another role; it counts from the next request on.

        :raise UserError: there is no such role. :raise NoSuchUser: there is no such user.
        :raise LastAdmin: the user has to stay an admin.
        """
        _check_role(role)
        with self._store.write() as conn:
            before = self._found_role(conn, username)
            if before == role:
                return
            self._keep_an_admin(conn, username, before)
            conn.execute(update(users).where(users.c.username == username).values(role=role))
            audit.note(conn, "role_changed", username, f"from {before} to {role}")

    def remove_user(self, username: str) -> None:
        """Remove a user and end the sessions. What the user wrote and decided stays.

        :raise NoSuchUser: there is no such user.
        :raise LastAdmin: the user is the last admin.
        """
        with self._store.write() as conn:
            self._keep_an_admin(conn, username, self._found_role(conn, username))
            conn.execute(delete(user_sessions).where(user_sessions.c.username == username))
            conn.execute(delete(users).where(users.c.username == username))
            audit.note(conn, "user_removed", username)

    def note_unlocked(self, username: str) -> None:
        """Note that somebody ended the wait of a user after wrong passwords."""
        with self._store.write() as conn:
            audit.note(conn, "user_unlocked", username)

    def choose(self, username: str, *, time_zone: str | None, theme: str | None) -> None:
        """Store what a user chose for pages; ``None`` for the default."""
        values = {"time_zone": time_zone, "theme": theme}
        with self._store.write() as conn:
            conn.execute(update(users).where(users.c.username == username).values(values))

    def _found_role(self, conn: Connection, username: str) -> str:
        query = select(users.c.role).where(users.c.username == username)
        role = conn.scalar(query) if is_storable(username) else None
        if role is None:
            raise NoSuchUser("there is no such user", "username")
        return self._role(username, str(role))

    def _keep_an_admin(self, conn: Connection, username: str, role: str) -> None:
        if self.is_configured(username):
            raise LastAdmin(
                "the password of this user is ADMIN_PASSWORD: the user stays an admin", "role"
            )
        if role == "admin" and not self._admins(conn) - {username}:
            raise LastAdmin("the last admin stays one: make another user an admin first", "role")


def _checked_name(username: str) -> str:
    name = username.strip()
    if not 0 < len(name) <= MAX_NAME_LENGTH or not name.isprintable():
        raise UserError(f"1 to {MAX_NAME_LENGTH} characters are expected", "username")
    if name.startswith("token:") or name in audit.NOT_USERS:
        raise UserError("the audit log calls others than users so: choose another name", "username")
    return name


def _check_role(role: str) -> None:
    if role not in ROLES:
        raise UserError(f"one of {', '.join(ROLES)} is expected", "role")
