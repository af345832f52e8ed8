"""Health: for probes and for the public, hence little more than a word."""

from __future__ import annotations

import threading
import time

from flask import current_app
from flask.typing import ResponseReturnValue

from app import access
from app.api import bp
from app.api.openapi import Operation, answer, describe
from app.api.schemas import Check, Health, Liveness, SentryState
from app.db import StoreError
from app.services import Services, services

# Probes come every second from several callers; the store is asked once for all of them.
CACHE_S = 2.0
_cache: dict[int, tuple[float, dict[str, Check]]] = {}
_cache_lock = threading.Lock()


@bp.get("/health/live")
@access.anyone
@describe(Operation("The process answers; touches nothing", {200: Liveness}, tag="health"))
def health_live() -> ResponseReturnValue:
    """Answer without touching anything."""
    return answer(Liveness(status="pass"))


@bp.get("/health/ready")
@access.anyone
@describe(Operation("Whether to send requests here", {200: Health, 503: Health}, tag="health"))
def health_ready() -> ResponseReturnValue:
    """Answer 503 while the store cannot be used, or while the process is on its way out."""
    draining = current_app.extensions.get("is_draining", bool)()
    return _answer({"process": "fail"} if draining else {})


@bp.get("/health")
@access.anyone
@describe(Operation("How the service is", {200: Health, 503: Health}, tag="health"))
def health() -> ResponseReturnValue:
    """Answer with every check's word."""
    return _answer()


def _answer(more: dict[str, Check] | None = None) -> ResponseReturnValue:
    parts = services()
    checks = _checks(parts) | (more or {})
    worst: Check = max(checks.values(), key=("pass", "warn", "fail").index)
    report = Health(
        status=worst,
        environment=parts.config.ENVIRONMENT,
        release=parts.release,
        sentry=SentryState(enabled=parts.config.SENTRY_DSN is not None),
        checks=checks,
    )
    return answer(report, 503 if worst == "fail" else 200)


def _checks(parts: Services) -> dict[str, Check]:
    key = id(parts)
    with _cache_lock:
        known = _cache.get(key)
        if known is None or time.monotonic() - known[0] > CACHE_S:
            known = _cache[key] = (time.monotonic(), run_checks(parts))
    return known[1]


def run_checks(parts: Services) -> dict[str, Check]:
    """Ask every part how it is, now."""
    return {"store": _store(parts), "emergency": _emergency(parts)}


def _store(parts: Services) -> Check:
    try:
        parts.store.check()
    except StoreError:
        return "fail"
    return "warn" if parts.store.damaged_files() else "pass"


def _emergency(parts: Services) -> Check:
    return "warn" if parts.intake.emergency.count() else "pass"
