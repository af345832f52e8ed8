"""One try to log in, from the form to the user.

    is it locked?      a read, without the writer
    a free check       at most two at once, one more for known browsers; no queue behind them
    count it           before the password is looked at
    check the hash     one scrypt, whatever the name
    take it back       where the password was right

A check takes some 100 ms of CPU and 32 MiB, so a flood of them must neither take every core nor
every thread of the server.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from itsdangerous import BadData, URLSafeTimedSerializer

from app.accounts.service import Accounts
from app.accounts.throttle import Attempt, LoginThrottle
from app.accounts.users import User
from app.store import Store

CHECKS_AT_ONCE = 2
# Of a process's eight threads no more than this many wait for the others' checks.
WAITING_CHECKS = 2
CHECK_WAIT_S = 5.0
BUSY_RETRY = timedelta(seconds=5)
KNOWN_BROWSER_AGE = timedelta(days=365)


class LoginRefused(Exception):
    """The password was not looked at; another try may come later.

    :param wait: when.
    """

    def __init__(self, wait: timedelta) -> None:
        super().__init__(f"too many tries: wait {wait}")
        self.wait = wait


class LoginLocked(LoginRefused):
    """There were too many wrong tries."""


class LoginBusy(LoginRefused):
    """Too many people try to log in at this moment."""


class HashChecks:
    """How many hashes are checked at once in this process.

    :param at_once: of them; more than ``waiting`` beyond that are refused.
    """

    def __init__(self, at_once: int, waiting: int) -> None:
        self._entered = threading.BoundedSemaphore(at_once + waiting)
        self._running = threading.BoundedSemaphore(at_once)

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Hold a place for one check.

        :raise LoginBusy: all places are taken.
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
    """The one way to log in to the accounts of a store.

    :param accounts: whose names and passwords.
    """

    def __init__(self, store: Store, accounts: Accounts) -> None:
        self.throttle = LoginThrottle(store)
        self._accounts = accounts
        self._strangers = HashChecks(CHECKS_AT_ONCE, WAITING_CHECKS)
        self._known = HashChecks(1, 1)

    def log_in(self, attempt: Attempt, password: str) -> User | None:
        """Return the user, ``None`` when name or password is wrong.

        :raise LoginLocked: there were too many wrong tries.
        :raise LoginBusy: too many others are being checked.
        """
        _refuse_locked(self.throttle.wait(attempt))
        checks = self._known if attempt.browser else self._strangers
        with checks.slot():
            _refuse_locked(self.throttle.claim(attempt))
            user = self._accounts.authenticate(attempt.name, password)
        if user is not None:
            self.throttle.succeeded(attempt)
        return user


class KnownBrowsers:
    """What a browser keeps that has logged in: the name, an id of its own, and a signature.

    The signature is made with the user's password, too: a new password makes it worthless.
    """

    def __init__(self, accounts: Accounts, secret: str | bytes) -> None:
        self._accounts = accounts
        self._secret = secret

    def sign(self, username: str, browser: str) -> str:
        """Return the value of the cookie.

        :param browser: an id that no other browser has.
        """
        return self._serializer(username).dumps([username, browser])

    def read(self, cookie: str | None, username: str) -> str | None:
        """Return the browser's id, ``None`` unless it has logged in as this very user before."""
        if not cookie or len(cookie) > 1000:
            return None
        age = int(KNOWN_BROWSER_AGE.total_seconds())
        try:
            name, browser = self._serializer(username).loads(cookie, max_age=age)
        except (BadData, TypeError, ValueError):
            return None
        return str(browser) if name == username else None

    def _serializer(self, username: str) -> URLSafeTimedSerializer:
        # Nobody logs in without a password, so nothing was ever signed with "none".
        mark = self._accounts.password_mark(username) or "none"
        return URLSafeTimedSerializer(self._secret, salt=f"known-browser:{mark}")


def _refuse_locked(wait: timedelta) -> None:
    if wait > timedelta():
        raise LoginLocked(wait)
