"""Health: the routes for probes. They are public, so they show only the result of each check."""

from __future__ import annotations

import threading
import time

from flask import current_app

from app.api.routes import Routes
from app.api.schemas import Health, Liveness, SentryState
from app.store import StoreError
from app.web import access, checks
from app.web.checks import Result, Verdict, combined, failed, passed
from app.web.current import (
    current_config,
    current_destinations,
    current_intake,
    current_release,
    current_store,
    registered,
)

# Several callers send a probe every second. One run of the checks answers all of them.
CACHE_S = 2.0
# The check of the accounting compares counters with rows. It takes longer the more rows there are.
ACCOUNTING_EVERY_S = 30.0
# The check of the accounting takes at most a hundredth of the time.
ACCOUNTING_SHARE = 100

route = Routes("health")


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


@route("GET /health/live", access.anyone)
def health_live() -> Liveness:
    """Report that the process answers, without using the store."""
    return Liveness(status="pass")


@route("GET /health/ready", access.anyone, also=503)
def health_ready() -> tuple[Health, int]:
    """Report whether this process can serve requests.

    It answers 503 while a check fails, or while the process shuts down.
    """
    if current_app.extensions.get("is_draining", bool)():
        return _answer({"process": failed("this process ends", "ask another one")})
    return _answer({})


@route("GET /health", access.anyone, also=503)
def health() -> tuple[Health, int]:
    """Report the health of the service."""
    return _answer({})


def _answer(more: dict[str, Verdict]) -> tuple[Health, int]:
    kept: Kept = current_app.extensions.setdefault("health", Kept())
    found = kept.checks() | more
    worst = combined(*found.values()).result
    report = Health(
        status=worst.value,
        environment=current_config().ENVIRONMENT,
        release=current_release(),
        sentry=SentryState(enabled=kept.sends_on()),
        checks={name: verdict.result.value for name, verdict in found.items()},
    )
    return report, 503 if worst == Result.FAIL else 200


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
