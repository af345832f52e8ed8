"""Accounts: users with roles, sessions, API tokens, the login throttle, the audit log.

    users      names, passwords, and the sessions that were opened with them
    people     managing users: list, add, change and remove them
    roles      what a user may do
    sessions   the open sessions, one for each log-in
    tokens     the API tokens of programs, their scopes, projects and expiry
    audit      who did what, when and from where
    service    :class:`Accounts`: users and tokens together, and the credentials of a first start
    login      :class:`Logins`: one login attempt; :class:`KnownBrowsers`: browsers that logged in
    throttle   how often a password may be tried
    tables     the tables of this package

Each route declares its access rule itself (:mod:`app.web.access`). This package checks whether a
name and a password, or a token, are right.
"""

from app.accounts.login import KnownBrowsers, LoginRefused, Logins
from app.accounts.service import Accounts
from app.accounts.sessions import User
from app.accounts.throttle import Attempt
from app.accounts.tokens import SCOPES

__all__ = ["SCOPES", "Accounts", "Attempt", "KnownBrowsers", "LoginRefused", "Logins", "User"]
