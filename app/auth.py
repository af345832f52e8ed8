"""Who may call what: users, API tokens, the login throttle.

Which rule guards a route stands at the route (`app.access`); this module answers whether a name
and a password, or a token, are right.

The password in ``ADMIN_PASSWORD``, if set, is the admin's; without one the account in the store
has its own, made on the first start in development. Passwords are kept as scrypt hashes, tokens as
SHA-256 (they are random, so there is nothing to guess).
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from flask_login import UserMixin
from sqlalchemy import Column, Integer, String, Table, Text, delete, select, update
from werkzeug.security import check_password_hash, generate_password_hash

from app.db import Store, UtcDateTime, insert, inserted, metadata, utc_now
from config import Config

SCOPES = ("read", "write", "diagnostics", "memories")
TOKEN_PREFIX = "dev_"  # noqa: S105 -- what every token begins with
# Five tries are what a person needs; from then on the wait doubles, up to a quarter of an hour.
FREE_FAILURES = 5
MAX_LOCK = timedelta(minutes=15)

users = Table(
    "users",
    metadata,
    Column("username", String(100), primary_key=True),
    Column("password_hash", Text),
    # Part of every session; a new one ends them all.
    Column("session_key", String(64), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

api_tokens = Table(
    "api_tokens",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(100), nullable=False, unique=True),
    Column("prefix", String(16), nullable=False),
    Column("token_hash", String(64), nullable=False, unique=True),
    Column("scopes", String(200), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("revoked_at", UtcDateTime),
)

login_attempts = Table(
    "login_attempts",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("last_at", UtcDateTime, nullable=False),
    Column("locked_until", UtcDateTime),
)


@dataclass(frozen=True)
class User(UserMixin):  # type: ignore[misc]  # Flask-Login has no types
    """A person who is logged in. ``id`` changes with the password and at every logout."""

    username: str
    id: str


class Accounts:
    """Users and tokens of one store.

    :param config: whose admin and token, if set, stand above the store's.
    """

    def __init__(self, store: Store, config: Config) -> None:
        self._store = store
        self._config = config

    # ---- users ----------------------------------------------------------------------------------

    def authenticate(self, username: str, password: str) -> User | None:
        """Return the user, ``None`` when name or password is wrong; takes as long for both."""
        row = self._row(username)
        configured = self._configured(username)
        if configured is not None:
            right = hmac.compare_digest(configured.encode(), password.encode())
        else:
            known = row[0] if row else None
            right = check_password_hash(known or _dummy_hash(), password) and known is not None
        if not right:
            return None
        if row is None:
            self.set_session_key(username)
        return self.user(username)

    def user(self, username: str) -> User | None:
        """Return a user by name, with the id that a valid session has now."""
        row = self._row(username)
        if row is None:
            return None
        secret = self._configured(username) or row[0] or ""
        digest = hashlib.sha256(f"{row[1]}:{secret}".encode()).hexdigest()[:32]
        return User(username, f"{username}:{digest}")

    def user_of_session(self, session_id: str) -> User | None:
        """Return the user whom a session belongs to, ``None`` once it has ended."""
        user = self.user(session_id.rpartition(":")[0])
        valid = user is not None and hmac.compare_digest(user.id.encode(), session_id.encode())
        return user if valid else None

    def set_session_key(self, username: str) -> None:
        """End every session of a user; the account is made where it is new."""
        self._upsert(username, {"session_key": secrets.token_hex(16)})

    def set_password(self, username: str, password: str) -> None:
        """Set a password and end every session that was opened with the old one."""
        values = {
            "password_hash": generate_password_hash(password),
            "session_key": secrets.token_hex(16),
        }
        self._upsert(username, values)

    def _upsert(self, username: str, values: dict[str, str]) -> None:
        with self._store.write() as conn:
            statement = insert(conn, users).values(
                username=username, created_at=utc_now(), **values
            )
            conn.execute(statement.on_conflict_do_update(index_elements=["username"], set_=values))

    def _configured(self, username: str) -> str | None:
        return self._config.ADMIN_PASSWORD if username == self._config.ADMIN_USERNAME else None

    def _row(self, username: str) -> tuple[str | None, str] | None:
        with self._store.read() as conn:
            query = select(users.c.password_hash, users.c.session_key)
            row = conn.execute(query.where(users.c.username == username)).first()
        return (row.password_hash, row.session_key) if row else None

    # ---- tokens ---------------------------------------------------------------------------------

    def token_scopes(self, token: str) -> frozenset[str] | None:
        """Return what a token may do, ``None`` when it is none of ours or revoked."""
        configured = self._config.API_TOKEN
        if configured and hmac.compare_digest(configured.encode(), token.encode()):
            return frozenset(SCOPES)
        with self._store.read() as conn:
            query = select(api_tokens.c.scopes).where(
                api_tokens.c.token_hash == _digest(token), api_tokens.c.revoked_at.is_(None)
            )
            scopes = conn.execute(query).scalar()
        return None if scopes is None else frozenset(scopes.split(","))

    def token_name(self, token: str) -> str | None:
        """Return what a token that works is called, ``None`` when it is none of ours."""
        configured = self._config.API_TOKEN
        if configured and hmac.compare_digest(configured.encode(), token.encode()):
            return "API_TOKEN"
        with self._store.read() as conn:
            query = select(api_tokens.c.name).where(
                api_tokens.c.token_hash == _digest(token), api_tokens.c.revoked_at.is_(None)
            )
            return conn.execute(query).scalar()

    def has_tokens(self) -> bool:
        """Return whether any token works at all."""
        if self._config.API_TOKEN:
            return True
        with self._store.read() as conn:
            query = select(api_tokens.c.id).where(api_tokens.c.revoked_at.is_(None)).limit(1)
            return conn.execute(query).first() is not None

    def create_token(self, name: str, scopes: tuple[str, ...]) -> str:
        """Make a token and return it; only its hash is kept.

        :raise ValueError: the name is taken, or a scope is none of :data:`SCOPES`.
        """
        if unknown := set(scopes) - set(SCOPES):
            raise ValueError(f"unknown scope {min(unknown)!r}: expected {', '.join(SCOPES)}")
        token = TOKEN_PREFIX + secrets.token_urlsafe(32)
        row = {
            "name": name,
            "prefix": token[:8],
            "token_hash": _digest(token),
            "scopes": ",".join(scopes),
            "created_at": utc_now(),
        }
        with self._store.write() as conn:
            if not inserted(conn, insert(conn, api_tokens).values(row)):
                raise ValueError(f"a token named {name!r} exists already")
        return token

    def revoke_token(self, name: str) -> bool:
        """Revoke a token by name; ``False`` when there is none that works."""
        with self._store.write() as conn:
            statement = update(api_tokens).values(revoked_at=utc_now())
            result = conn.execute(
                statement.where(api_tokens.c.name == name, api_tokens.c.revoked_at.is_(None))
            )
        return result.rowcount == 1

    # ---- first start ----------------------------------------------------------------------------

    def first_credentials(self) -> dict[str, str]:
        """Make an admin password and an API token where there are none yet.

        Of several processes that start at once one makes them; the others get an empty answer.

        :return: what was made, to be printed once: ``password`` and ``token``.
        """
        made: dict[str, str] = {}
        admin = self._config.ADMIN_USERNAME
        if self._config.ADMIN_PASSWORD is None and self._row(admin) is None:
            password = secrets.token_urlsafe(12)
            if self._create_user(admin, password):
                made["password"] = password
        if not self.has_tokens():
            try:
                made["token"] = self.create_token("first", SCOPES)
            except ValueError:
                pass  # Another process made it, or a person revoked it.
        return made

    def _create_user(self, username: str, password: str) -> bool:
        row = {
            "username": username,
            "password_hash": generate_password_hash(password),
            "session_key": secrets.token_hex(16),
            "created_at": utc_now(),
        }
        with self._store.write() as conn:
            return inserted(conn, insert(conn, users).values(row))


class LoginThrottle:
    """Slows down who guesses passwords: a row for each address and each user name."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def locked_for(self, *keys: str) -> timedelta:
        """Return how long the next try has to wait; zero when it may come now."""
        now = utc_now()
        with self._store.read() as conn:
            query = select(login_attempts.c.locked_until)
            found = conn.execute(query.where(login_attempts.c.key.in_(map(_digest, keys))))
            until = [row.locked_until for row in found if row.locked_until]
        return max([moment - now for moment in until], default=timedelta())

    def failed(self, *keys: str) -> None:
        """Count a failure for each key and lock those that have too many."""
        now = utc_now()
        with self._store.write() as conn:
            for key in map(_digest, keys):
                query = select(login_attempts).where(login_attempts.c.key == key)
                known = conn.execute(query).first()
                stale = known is None or now - known.last_at > 2 * MAX_LOCK
                failures = 1 if stale or known is None else known.failures + 1
                values = {
                    "failures": failures,
                    "last_at": now,
                    "locked_until": _lock(now, failures),
                }
                statement = insert(conn, login_attempts).values(key=key, **values)
                conn.execute(statement.on_conflict_do_update(index_elements=["key"], set_=values))

    def succeeded(self, *keys: str) -> None:
        """Forget the failures."""
        with self._store.write() as conn:
            conn.execute(delete(login_attempts).where(login_attempts.c.key.in_(map(_digest, keys))))


def _lock(now: datetime, failures: int) -> datetime | None:
    if failures < FREE_FAILURES:
        return None
    return now + min(MAX_LOCK, timedelta(seconds=2 ** min(failures - FREE_FAILURES + 1, 20)))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


@functools.cache
def _dummy_hash() -> str:
    # Checked where there is no account, so that the time of the answer does not tell.
    return generate_password_hash(secrets.token_urlsafe(12))
