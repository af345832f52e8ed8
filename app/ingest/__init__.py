"""The second door: any program that speaks Sentry's protocol reports here.

    door      the routes: whose key, which envelope, into the store
    security  the route of browsers, which report what a policy blocked
    body      the bytes: read, inflated, bounded
    quota     429 for a project that sends more than it may
    answers   what a client is told, and the headers of every answer

Source: https://develop.sentry.dev/sdk/overview/ and /sdk/data-model/envelopes/, 2026-11-23.
"""

from __future__ import annotations

from flask import Blueprint, Flask
from flask_wtf.csrf import CSRFProtect

bp = Blueprint("ingest", __name__)

from app.ingest import answers, door, security  # noqa: E402, F401 -- they add themselves to bp


def init_app(app: Flask, csrf: CSRFProtect) -> None:
    """Register the blueprint. Its callers send keys, not cookies, hence no CSRF."""
    csrf.exempt(bp)
    app.register_blueprint(bp)
    app.before_request(door.try_tunnel)
