"""API tokens. They are stored as SHA-256: they are random, so a slow hash is not needed."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, func, literal, or_, select, update

from app.accounts import audit
from app.accounts.tables import api_tokens
from app.inputs import InputError
from app.store import Store, StoreError, insert, inserted, utc_now
from config import Config

# The tools of MCP are off until somebody makes a token for them, so a token has these scopes only
# if they are named.
MCP, MCP_WRITE = "mcp", "mcp:write"
USUAL_SCOPES = ("read", "write", "diagnostics", "memories", "audit")
SCOPES = (*USUAL_SCOPES, MCP, MCP_WRITE)
# The scopes whose routes are about projects, so that a token may be limited to some of them.
PROJECT_SCOPES = ("read", "write", MCP, MCP_WRITE)
TOKEN_PREFIX = "dev_"  # noqa: S105 -- what every token begins with
# The name of the token that the setting API_TOKEN holds.
OF_SETTING = "API_TOKEN"
MAX_TOKENS, MAX_NAME_LENGTH, MAX_PROJECTS = 1000, 100, 50
MAX_MEMORY_USERS, MAX_MEMORY_USER_LENGTH = 20, 200
USED_EVERY = timedelta(minutes=5)


class TokenError(InputError):
    """A token cannot be made; ``field`` names the wrong field."""


@dataclass(frozen=True)
class Access:
    """What a valid token gives access to.

    :param projects: the projects it is limited to, ``None`` for all.
    :param memory_users: the users whose memories the tools of MCP read.
    """

    name: str
    scopes: frozenset[str]
    projects: frozenset[int] | None = None
    memory_users: tuple[str, ...] = ()


@dataclass(frozen=True)
class Token:
    """A token as pages show it: never the token itself."""

    id: int
    name: str
    prefix: str
    scopes: tuple[str, ...]
    projects: tuple[int, ...] | None
    created_at: datetime
    created_by: str | None
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None
    memory_users: tuple[str, ...]

    def works_at(self, now: datetime) -> bool:
        """Return whether the token is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)

    @property
    def words(self) -> str:
        """What it gives access to, in words."""
        return _described(self.scopes, self.projects, self.memory_users, self.expires_at)


class Tokens:
    """The tokens of one store.

    :param config: its ``API_TOKEN``, if set, is valid besides the tokens in the store.
    """

    def __init__(self, store: Store, config: Config) -> None:
        self._store = store
        self._config = config

    def access_of(self, token: str) -> Access | None:
        """Return what a token gives access to; ``None`` if it is unknown, revoked or expired."""
        configured = self._config.API_TOKEN
        if configured and hmac.compare_digest(configured.encode(), token.encode()):
            return Access(OF_SETTING, frozenset(USUAL_SCOPES))
        now = utc_now()
        with self._store.read() as conn:
            query = select(api_tokens).where(api_tokens.c.token_hash == _digest(token), _valid(now))
            row = conn.execute(query).first()
        if row is None:
            return None
        self._note_use(row, now)
        projects = _projects(row)
        limited = None if projects is None else frozenset(projects)
        return Access(row.name, frozenset(row.scopes.split(",")), limited, _memory_users(row))

    def token_scopes(self, token: str) -> frozenset[str] | None:
        """Return the scopes of a token; ``None`` if it is unknown, revoked or expired."""
        found = self.access_of(token)
        return None if found is None else found.scopes

    def has_tokens(self) -> bool:
        """Return whether there is any valid token."""
        if self._config.API_TOKEN:
            return True
        with self._store.read() as conn:
            query = select(api_tokens.c.id).where(_valid(utc_now())).limit(1)
            return conn.execute(query).first() is not None

    def has_mcp_token(self) -> bool:
        """Return whether there is a valid token with the scope ``mcp``."""
        has_scope = (literal(",") + api_tokens.c.scopes + literal(",")).contains(f",{MCP},")
        with self._store.read() as conn:
            query = select(api_tokens.c.id).where(_valid(utc_now()), has_scope).limit(1)
            return conn.execute(query).first() is not None

    def list_tokens(self, conn: Connection) -> list[Token]:
        """Return every token, the newest first; those that work before the others."""
        query = select(api_tokens).order_by(
            api_tokens.c.revoked_at.is_not(None), api_tokens.c.id.desc()
        )
        return [_shown(row) for row in conn.execute(query.limit(2 * MAX_TOKENS))]

    def count_made_by(self, conn: Connection, username: str) -> int:
        """Return how many tokens that a user made still work."""
        tokens = select(func.count()).select_from(api_tokens)
        made = api_tokens.c.created_by == username
        return conn.scalar(tokens.where(made, _valid(utc_now()))) or 0

    def create_token(
        self,
        name: str,
        scopes: Iterable[str],
        *,
        projects: Iterable[int] | None = None,
        memory_users: Iterable[str] = (),
        expires_at: datetime | None = None,
    ) -> str:
        """Create a token and return it; the store keeps only its hash.

        :param projects: the projects it is limited to, ``None`` for all.
        :param memory_users: the users whose memories the tools of MCP read.
        :raise TokenError: the name is taken or not valid, a scope is not in :data:`SCOPES`, the
            time is over, a token of some projects has another scope than :data:`PROJECT_SCOPES`,
            or a memory user is not valid.
        """
        chosen = tuple(dict.fromkeys(scopes))
        limited = None if projects is None else sorted(set(projects))
        readable = tuple(dict.fromkeys(memory_users))
        _check(name, chosen, limited, expires_at)
        _check_memory_users(chosen, readable)
        token = TOKEN_PREFIX + secrets.token_urlsafe(32)
        row = {
            "name": name,
            "prefix": token[:8],
            "token_hash": _digest(token),
            "scopes": ",".join(chosen),
            "project_ids": None if limited is None else ",".join(map(str, limited)),
            "memory_users": json.dumps(readable, ensure_ascii=False) if readable else None,
            "created_at": utc_now(),
            "expires_at": expires_at,
        }
        with self._store.write() as conn:
            valid = select(func.count()).select_from(api_tokens).where(_valid(utc_now()))
            if (conn.scalar(valid) or 0) >= MAX_TOKENS:
                raise TokenError(f"there are {MAX_TOKENS} tokens, which is the maximum", "name")
            row["created_by"] = audit.current_caller().actor[:200]
            if not inserted(conn, insert(conn, api_tokens).values(row)):
                raise TokenError(f"a token named {name!r} exists already", "name")
            about = _described(chosen, limited, readable, expires_at)
            audit.note(conn, "token_created", name, about)
        return token

    def revoke_token(self, name: str) -> bool:
        """Revoke a token by name; return ``False`` if there is no such valid token."""
        if "\0" in name:  # PostgreSQL answers an error.
            return False
        with self._store.write() as conn:
            statement = update(api_tokens).values(revoked_at=utc_now())
            result = conn.execute(
                statement.where(api_tokens.c.name == name, api_tokens.c.revoked_at.is_(None))
            )
            if result.rowcount == 1:
                audit.note(conn, "token_revoked", name)
        return result.rowcount == 1

    def _note_use(self, row: Row[Any], now: datetime) -> None:
        if row.last_used_at and abs(now - row.last_used_at) < USED_EVERY:
            return
        try:
            with self._store.write(timeout_s=0.5, durable=False) as conn:
                used = update(api_tokens).where(api_tokens.c.id == row.id)
                conn.execute(used.values(last_used_at=now))
        except StoreError:
            pass  # A request that only reads must be answered while nothing can be written.


def _valid(now: datetime) -> Any:
    expires_at = api_tokens.c.expires_at
    return api_tokens.c.revoked_at.is_(None) & or_(expires_at.is_(None), expires_at > now)


def _check(
    name: str, scopes: tuple[str, ...], projects: list[int] | None, expires_at: datetime | None
) -> None:
    if not 0 < len(name) <= MAX_NAME_LENGTH or not name.isprintable() or name != name.strip():
        raise TokenError(f"1 to {MAX_NAME_LENGTH} characters are expected", "name")
    if name == OF_SETTING:
        raise TokenError("the audit log calls the setting's token so: choose another", "name")
    if unknown := set(scopes) - set(SCOPES):
        text = f"unknown scope {min(unknown)!r}: expected {', '.join(SCOPES)}"
        raise TokenError(text, "scopes")
    if not scopes:
        raise TokenError(f"at least one of {', '.join(SCOPES)} is expected", "scopes")
    if projects is not None and not 0 < len(projects) <= MAX_PROJECTS:
        raise TokenError(f"1 to {MAX_PROJECTS} projects are expected", "projects")
    if projects is not None and not set(PROJECT_SCOPES).issuperset(scopes):
        text = f"a token of some projects has only the scopes {', '.join(PROJECT_SCOPES)}"
        raise TokenError(text, "scopes")
    if MCP_WRITE in scopes and MCP not in scopes:
        raise TokenError(f"the scope {MCP_WRITE} needs the scope {MCP}", "scopes")
    if expires_at is not None and expires_at <= utc_now():
        raise TokenError("a time in the future is expected", "expires_at")


def _check_memory_users(scopes: tuple[str, ...], names: tuple[str, ...]) -> None:
    if names and MCP not in scopes:
        raise TokenError(f"memory users are those of the scope {MCP}", "memory_users")
    if len(names) > MAX_MEMORY_USERS:
        raise TokenError(f"at most {MAX_MEMORY_USERS} users are expected", "memory_users")
    longest = MAX_MEMORY_USER_LENGTH
    if not all(0 < len(name.strip()) <= len(name) <= longest for name in names):
        raise TokenError(f"names of 1 to {longest} characters are expected", "memory_users")
    if not all(name.isprintable() for name in names):
        raise TokenError("names without control characters are expected", "memory_users")


def _described(
    scopes: Iterable[str],
    projects: Iterable[int] | None,
    memory_users: Iterable[str],
    expires_at: datetime | None,
) -> str:
    parts = [f"scopes {', '.join(scopes)}"]
    if projects is not None:
        parts.append(f"projects {', '.join(map(str, projects))}")
    if memory_users:
        parts.append(f"memories of {', '.join(memory_users)}")
    if expires_at is not None:
        parts.append(f"until {expires_at:%Y-%m-%d}")
    return "; ".join(parts)


def _projects(row: Row[Any]) -> tuple[int, ...] | None:
    if row.project_ids is None:
        return None
    return tuple(int(number) for number in str(row.project_ids).split(","))


def _memory_users(row: Row[Any]) -> tuple[str, ...]:
    return tuple(json.loads(row.memory_users)) if row.memory_users else ()


def _shown(row: Row[Any]) -> Token:
    return Token(
        row.id,
        row.name,
        row.prefix,
        tuple(row.scopes.split(",")),
        _projects(row),
        row.created_at,
        row.created_by,
        row.expires_at,
        row.last_used_at,
        row.revoked_at,
        _memory_users(row),
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
