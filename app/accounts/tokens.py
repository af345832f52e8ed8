"""API tokens: kept as SHA-256, since they are random and there is nothing to guess."""

from __future__ import annotations

import hashlib
import hmac
import secrets

from sqlalchemy import select, update

from app.accounts.tables import api_tokens
from app.store import Store, insert, inserted, utc_now
from config import Config

SCOPES = ("read", "write", "diagnostics", "memories")
TOKEN_PREFIX = "dev_"  # noqa: S105 -- what every token begins with


class Tokens:
    """The tokens of one store.

    :param config: whose token, if set, works beside the store's.
    """

    def __init__(self, store: Store, config: Config) -> None:
        self._store = store
        self._config = config

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


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
