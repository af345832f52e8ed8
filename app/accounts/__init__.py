"""Who may call what: users, sessions, API tokens, the login throttle.

    users      names, passwords, and the sessions that were opened with them
    tokens     what programs authenticate with, and their scopes
    service    :class:`Accounts`: both together, and the credentials of a first start
    login      :class:`Logins`: one try to log in; :class:`KnownBrowsers`: who did so before
    throttle   how often a password may be tried
    tables     what of it is kept

Which rule guards a route stands at the route (:mod:`app.web.access`); this package answers
whether a name and a password, or a token, are right.
"""

from app.accounts.login import KnownBrowsers, LoginRefused, Logins
from app.accounts.service import Accounts
from app.accounts.throttle import Attempt
from app.accounts.tokens import SCOPES
from app.accounts.users import User

__all__ = ["SCOPES", "Accounts", "Attempt", "KnownBrowsers", "LoginRefused", "Logins", "User"]
