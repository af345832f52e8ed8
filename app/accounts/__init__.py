"""Accounts: users, sessions, API tokens, the login throttle.

    users      names, passwords, and the sessions that were opened with them
    tokens     the API tokens of programs, and their scopes
    service    :class:`Accounts`: users and tokens together, and the credentials of a first start
    login      :class:`Logins`: one login attempt; :class:`KnownBrowsers`: browsers that logged in
    throttle   how often a password may be tried
    tables     the tables of this package

Each route declares its access rule itself (:mod:`app.web.access`). This package checks whether a
name and a password, or a token, are right.
"""

from app.accounts.login import KnownBrowsers, LoginRefused, Logins
from app.accounts.service import Accounts
from app.accounts.throttle import Attempt
from app.accounts.tokens import SCOPES
from app.accounts.users import User

__all__ = ["SCOPES", "Accounts", "Attempt", "KnownBrowsers", "LoginRefused", "Logins", "User"]
