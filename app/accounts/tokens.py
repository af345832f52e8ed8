"""API tokens. They are stored as SHA-256: they are random, so a slow hash is not needed."""

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

    :param config: its ``API_TOKEN``, if set, is valid besides the tokens in the store.
    """

    def __init__(self, store: Store, config: Config) -> None:
        self._store = store
        self._config = config

    def token_scopes(self, token: str) -> frozenset[str] | None:
        """Return the scopes of a token, or ``None`` if it is unknown or revoked."""
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
        """Return the name of a valid token, or ``None`` if it is unknown or revoked."""
        configured = self._config.API_TOKEN
        if configured and hmac.compare_digest(configured.encode(), token.encode()):
            return "API_TOKEN"
        with self._store.read() as conn:
            query = select(api_tokens.c.name).where(
                api_tokens.c.token_hash == _digest(token), api_tokens.c.revoked_at.is_(None)
            )
            return conn.execute(query).scalar()

    def has_tokens(self) -> bool:
        """Return whether there is any valid token."""
        if self._config.API_TOKEN:
            return True
        with self._store.read() as conn:
            query = select(api_tokens.c.id).where(api_tokens.c.revoked_at.is_(None)).limit(1)
            return conn.execute(query).first() is not None

    def create_token(self, name: str, scopes: tuple[str, ...]) -> str:
        """Create a token and return it; the store keeps only its hash.

        :raise ValueError: the name is taken, or a scope is not in :data:`SCOPES`.
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
        """Revoke a token by name; return ``False`` if there is no such valid token."""
        with self._store.write() as conn:
            statement = update(api_tokens).values(revoked_at=utc_now())
            result = conn.execute(
                statement.where(api_tokens.c.name == name, api_tokens.c.revoked_at.is_(None))
            )
        return result.rowcount == 1


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
