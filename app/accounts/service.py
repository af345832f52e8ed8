"""Users and tokens of one store together, and the credentials of a first start."""

from __future__ import annotations

import secrets

from app.accounts.tokens import SCOPES, Tokens
from app.accounts.users import Users


class Accounts(Users, Tokens):
    """Whether a name and a password, or a token, are right."""

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
