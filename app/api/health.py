"""Health: for probes and for the public, hence little more than a word."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

from flask import current_app

from app.alerts.notifications import is_stuck
from app.api.routes import Routes
from app.api.schemas import Check, Health, Liveness, SentryState
from app.delivery.accounting import accounting
from app.delivery.ledger import oldest_waiting
from app.delivery.upstreams import held_up
from app.store import StoreError, utc_now
from app.store.disks import fullest
from app.web import access
from app.web.current import (
    current_config,
    current_destinations,
    current_intake,
    current_memories,
    current_release,
    current_store,
)

# Probes come every second from several callers; the store is asked once for all of them.
CACHE_S = 2.0
# The counters hold counters against rows, which takes the longer the more there are.
ACCOUNTING_EVERY_S = 30.0
# At most a hundredth of the time.
ACCOUNTING_SHARE = 100
# What waits for so long is no hiccup of Sentry's.
OLDEST = timedelta(minutes=15)

route = Routes("health")


class Kept:
    """What a process found last, and until when it holds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._checks: dict[str, Check] = {}
        self._accounting: Check = "pass"
        self._sends_on = False
        self._until = self._accounting_until = float("-inf")

    def checks(self) -> dict[str, Check]:
        """Return every check's word, at most :data:`CACHE_S` seconds old."""
        with self._lock:
            if time.monotonic() > self._until:
                self._checks = run_checks() | {"books": self._balance()}
                self._sends_on = _sends_on()
                self._until = time.monotonic() + CACHE_S
            return self._checks

    def sends_on(self) -> bool:
        """Return whether any project is sent on to Sentry, as of the last checks."""
        return self._sends_on

    def _balance(self) -> Check:
        began = time.monotonic()
        if began > self._accounting_until:
            self._accounting = _accounting()
            took = time.monotonic() - began
            self._accounting_until = began + max(ACCOUNTING_EVERY_S, took * ACCOUNTING_SHARE)
        return self._accounting


@route("GET /health/live", access.anyone)
def health_live() -> Liveness:
    """The process answers; touches nothing."""
    return Liveness(status="pass")


@route("GET /health/ready", access.anyone, also=503)
def health_ready() -> tuple[Health, int]:
    """Whether to send requests here.

    503 while the store cannot be used, or while the process is on its way out.
    """
    draining = current_app.extensions.get("is_draining", bool)()
    return _answer({"process": "fail"} if draining else {})


@route("GET /health", access.anyone, also=503)
def health() -> tuple[Health, int]:
    """How the service is."""
    return _answer()


def _answer(more: dict[str, Check] | None = None) -> tuple[Health, int]:
    kept: Kept = current_app.extensions.setdefault("health", Kept())
    checks = kept.checks() | (more or {})
    worst: Check = max(checks.values(), key=("pass", "warn", "fail").index)
    report = Health(
        status=worst,
        environment=current_config().ENVIRONMENT,
        release=current_release(),
        sentry=SentryState(enabled=kept.sends_on()),
        checks=checks,
    )
    return report, 503 if worst == "fail" else 200


def run_checks() -> dict[str, Check]:
    """Ask every part but the counters how it is, now."""
    store = _store()
    # Neither is known while the store does not answer.
    delivery = "warn" if store == "fail" else _delivery()
    alerts = "warn" if store == "fail" else _alerts()
    checks: dict[str, Check] = {
        "store": store,
        "emergency": _emergency(),
        "disk": _disk(),
        "delivery": delivery,
        "alerts": alerts,
    }
    if current_config().QDRANT_URL is not None:
        checks["vectors"] = _vectors()
    return checks


def _store() -> Check:
    """Fail while the store cannot be read or written, or takes nothing because it is full."""
    try:
        current_store().check()
        if current_store().write_failed:
            current_store().probe()
    except StoreError:
        return "fail"
    if current_intake().bound.state().is_full():
        return "fail"
    return "warn" if current_store().damaged_files() else "pass"


def _emergency() -> Check:
    return "warn" if current_intake().emergency.count() else "pass"


def _disk() -> Check:
    """Warn while a disk that the service writes to is nearly full."""
    return (
        "warn"
        if fullest((current_config().DATA_DIR, current_config().emergency_dir)).is_low
        else "pass"
    )


def _delivery() -> Check:
    """Warn while envelopes do not go on as they should; they are safe here, so it never fails."""
    now = utc_now()
    try:
        with current_store().read() as conn:
            stands = held_up(conn, current_destinations().list(conn), now)
            oldest = oldest_waiting(conn)
    except StoreError:
        return "warn"
    is_late = oldest is not None and now - oldest > OLDEST
    return "warn" if is_late or stands else "pass"


def _sends_on() -> bool:
    try:
        with current_store().read() as conn:
            return any(destination.dsn for destination in current_destinations().list(conn))
    except StoreError:
        return current_config().SENTRY_DSN is not None


def _alerts() -> Check:
    """Warn while notices do not go out, or some were given up within the last day."""
    try:
        with current_store().read() as conn:
            return "warn" if is_stuck(conn, utc_now()) else "pass"
    except StoreError:
        return "warn"


def _vectors() -> Check:
    """Warn while searches of memories find no Qdrant, or one that may not understand us."""
    return "pass" if current_memories().watch.see().problem is None else "warn"


def _accounting() -> Check:
    try:
        with current_store().read() as conn:
            return "pass" if accounting(conn)["balanced"] else "warn"
    except StoreError:
        return "warn"
