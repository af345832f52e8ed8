"""Health: the routes for probes. They are public, so they show only the result of each check."""

from __future__ import annotations

from flask import current_app

from app.api.routes import Routes
from app.api.schemas import Health, Liveness, SentryState
from app.web import access
from app.web.checks import Result, Verdict, combined, failed
from app.web.current import current_config, current_release
from app.web.health import kept_health

route = Routes("health")


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
    kept = kept_health()
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
