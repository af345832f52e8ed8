"""The accounts of a store: its users and tokens, and the credentials of a first start."""

from __future__ import annotations

import secrets

from app.accounts.people import People
from app.accounts.tokens import USUAL_SCOPES, Tokens
from app.store import Store
from config import Config


class Accounts(People, Tokens):
    """The users and the tokens of a store."""

    def __init__(self, store: Store, config: Config) -> None:
        People.__init__(self, store, config)

    def first_credentials(self) -> dict[str, str]:
        """Create an admin password and an API token if they do not exist yet.

        When several processes start at once, one of them creates the credentials. The others get an
        empty dictionary.

        :return: the new credentials, to be printed once: ``password`` and ``token``.
        """
        made: dict[str, str] = {}
        admin = self._config.ADMIN_USERNAME
        if self._config.ADMIN_PASSWORD is None and self._row(admin) is None:
            password = secrets.token_urlsafe(12)
            if self._create_admin(admin, password):
                made["password"] = password
        if not self.has_tokens():
            try:
                made["token"] = self.create_token("first", USUAL_SCOPES)
            except ValueError:
                pass  # Another process created it, or a person revoked it.
        return made
