"""A login attempt, from the form to the user.

    is it locked?      a read, without the writer
    get a free check   at most two at once, one more for known browsers; few wait for them
    count the attempt  before the password is checked
    check the hash     one scrypt, for every name
    undo the count     if the password was right

A check takes some 100 ms of CPU and 32 MiB. A flood of attempts must not use every core or every
thread of the server.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from itsdangerous import BadData, URLSafeTimedSerializer

from app.accounts.service import Accounts
from app.accounts.sessions import User
from app.accounts.throttle import Attempt, LoginThrottle
from app.store import Store

CHECKS_AT_ONCE = 2
# At most this many of the eight threads of a process wait for the checks of other threads.
WAITING_CHECKS = 2
CHECK_WAIT_S = 5.0
BUSY_RETRY = timedelta(seconds=5)
KNOWN_BROWSER_AGE = timedelta(days=365)


class LoginRefused(Exception):
    """The password was not checked; the client may try again later.

    :param wait: how long to wait before the next attempt.
    """

    def __init__(self, wait: timedelta) -> None:
        super().__init__(f"too many tries: wait {wait}")
        self.wait = wait


class LoginLocked(LoginRefused):
    """There were too many wrong attempts."""


class LoginBusy(LoginRefused):
    """Too many attempts are being checked at this moment."""


class HashChecks:
    """Limits how many hashes this process checks at once.

    :param at_once: the number of checks at once.
    :param waiting: the number of attempts that may wait for a check; more are refused.
    """

    def __init__(self, at_once: int, waiting: int) -> None:
        self._entered = threading.BoundedSemaphore(at_once + waiting)
        self._running = threading.BoundedSemaphore(at_once)

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Hold a slot for one check.

        :raise LoginBusy: too many attempts wait, or no slot was free within ``CHECK_WAIT_S``.
        """
        if not self._entered.acquire(blocking=False):
            raise LoginBusy(BUSY_RETRY)
        try:
            if not self._running.acquire(timeout=CHECK_WAIT_S):
                raise LoginBusy(BUSY_RETRY)
            try:
                yield
            finally:
                self._running.release()
        finally:
            self._entered.release()


class Logins:
    """Logs users in. Every login goes through this class.

    :param accounts: the names and passwords.
    """

    def __init__(self, store: Store, accounts: Accounts) -> None:
        self.throttle = LoginThrottle(store)
        self._accounts = accounts
        self._strangers = HashChecks(CHECKS_AT_ONCE, WAITING_CHECKS)
        self._known = HashChecks(1, 1)

    def log_in(self, attempt: Attempt, password: str) -> User | None:
        """Return the user with a new session; ``None`` if the name or the password is wrong.

        :raise LoginLocked: there were too many wrong attempts.
        :raise LoginBusy: too many other attempts are being checked.
        """
        user = self._checked(attempt, password)
        if user is None:
            return None
        return self._accounts.open_session(user.username, attempt.address, attempt.agent)

    def is_right(self, attempt: Attempt, password: str) -> bool:
        """Return whether a password is right, for somebody who is logged in already.

        :raise LoginLocked: there were too many wrong attempts.
        :raise LoginBusy: too many other attempts are being checked.
        """
        return self._checked(attempt, password) is not None

    def _checked(self, attempt: Attempt, password: str) -> User | None:
        _refuse_locked(self.throttle.wait(attempt))
        checks = self._known if attempt.browser else self._strangers
        with checks.slot():
            _refuse_locked(self.throttle.claim(attempt))
            user = self._accounts.authenticate(attempt.name, password)
        if user is None:
            self._accounts.note_wrong_password(attempt.name, attempt.address)
            return None
        self.throttle.succeeded(attempt)
        return user

    def unlock(self, username: str) -> int:
        """Let a user log in at once, and return how many locks were removed."""
        count = self.throttle.unlock(username)
        self._accounts.note_unlocked(username)
        return count


class KnownBrowsers:
    """Signs and reads the cookie of a browser that has logged in.

    The cookie has the user name, the id of the browser and a signature. The signature also depends
    on the user's password, so a new password makes old cookies invalid.
    """

    def __init__(self, accounts: Accounts, secret: str | bytes) -> None:
        self._accounts = accounts
        self._secret = secret

    def sign(self, username: str, browser: str) -> str:
        """Return the value of the cookie.

        :param browser: a unique id of the browser.
        """
        return self._serializer(username).dumps([username, browser])

    def read(self, cookie: str | None, username: str) -> str | None:
        """Return the id of a browser that has logged in as this user before, or ``None``."""
        if not cookie or len(cookie) > 1000:
            return None
        age = int(KNOWN_BROWSER_AGE.total_seconds())
        try:
            name, browser = self._serializer(username).loads(cookie, max_age=age)
        except (BadData, TypeError, ValueError):
            return None
        return str(browser) if name == username else None

    def _serializer(self, username: str) -> URLSafeTimedSerializer:
        # A user without a password cannot log in, so no cookie was ever signed with "none".
        mark = self._accounts.password_mark(username) or "none"
        return URLSafeTimedSerializer(self._secret, salt=f"known-browser:{mark}")


def _refuse_locked(wait: timedelta) -> None:
    if wait > timedelta():
        raise LoginLocked(wait)
