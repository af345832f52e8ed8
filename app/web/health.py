"""The health of the service: the results of its checks, which one run finds out for all callers."""

from __future__ import annotations

import threading
import time

from flask import current_app

from app.store import StoreError
from app.web import checks
from app.web.checks import Result, Verdict, passed
from app.web.current import (
    current_config,
    current_destinations,
    current_intake,
    current_store,
    registered,
)

# Several callers send a probe every second. One run of the checks answers all of them.
CACHE_S = 2.0
# The check of the accounting compares counters with rows. It takes longer the more rows there are.
ACCOUNTING_EVERY_S = 30.0
# The check of the accounting takes at most a hundredth of the time.
ACCOUNTING_SHARE = 100


class Kept:
    """The last results of the checks in this process, and how long they are valid."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._checks: dict[str, Verdict] = {}
        self._accounting = passed()
        self._sends_on = False
        self._until = self._accounting_until = float("-inf")

    def checks(self) -> dict[str, Verdict]:
        """Return the result of every check by name, at most :data:`CACHE_S` seconds old."""
        with self._lock:
            if time.monotonic() > self._until:
                self._checks = run_checks() | {"books": self._balance()}
                self._sends_on = _sends_on()
                self._until = time.monotonic() + CACHE_S
            return self._checks

    def sends_on(self) -> bool:
        """Return whether any project had a DSN to forward to at the last checks."""
        return self._sends_on

    def _balance(self) -> Verdict:
        began = time.monotonic()
        if began > self._accounting_until:
            self._accounting = checks.totals(current_store())
            took = time.monotonic() - began
            self._accounting_until = began + max(ACCOUNTING_EVERY_S, took * ACCOUNTING_SHARE)
        return self._accounting


def kept_health() -> Kept:
    """Return the last results of the checks in this process."""
    kept: Kept = current_app.extensions.setdefault("health", Kept())
    return kept


def run_checks() -> dict[str, Verdict]:
    """Return the result of every check except the accounting, by name."""
    store, config = current_store(), current_config()
    found = {
        "store": checks.store(store, current_intake()),
        "emergency": checks.emergency(current_intake()),
        "disk": checks.disk(config),
        "delivery": checks.UNKNOWN,
        "alerts": checks.UNKNOWN,
    }
    if found["store"].result != Result.FAIL:
        found["delivery"] = checks.delivery(store, current_destinations())
        found["alerts"] = checks.alerts(store)
    return found | {name: check() for name, check in registered("checks").items()}


def _sends_on() -> bool:
    try:
        with current_store().read() as conn:
            return any(destination.dsn for destination in current_destinations().list(conn))
    except StoreError:
        return current_config().SENTRY_DSN is not None
