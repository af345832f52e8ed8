"""The API: problem details, JSON shapes and the routes that programs call."""

from __future__ import annotations

from flask import Blueprint, Flask
from flask_wtf.csrf import CSRFProtect

bp = Blueprint("api", __name__)

from app.api import (  # noqa: E402 -- they add their routes to bp
    ai_calls,  # noqa: F401
    alert_channels,  # noqa: F401
    alert_rules,  # noqa: F401
    alerts,  # noqa: F401
    custom_metrics,  # noqa: F401
    deliveries,  # noqa: F401
    delivery_actions,  # noqa: F401
    diagnostics,  # noqa: F401
    events,  # noqa: F401
    feedback,  # noqa: F401
    health,  # noqa: F401
    issues,  # noqa: F401
    memories,  # noqa: F401
    merging,  # noqa: F401
    metrics,  # noqa: F401
    openapi,  # noqa: F401
    performance,  # noqa: F401
    projects,  # noqa: F401
    releases,  # noqa: F401
    rules,  # noqa: F401
    similar,  # noqa: F401
    system,  # noqa: F401
    triage,  # noqa: F401
)


def init_app(app: Flask, csrf: CSRFProtect) -> None:
    """Register the blueprint. Its callers send tokens, not cookies, hence no CSRF."""
    csrf.exempt(bp)
    app.register_blueprint(bp)
