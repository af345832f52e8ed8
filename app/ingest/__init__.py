"""The ingest routes: any program that speaks Sentry's protocol reports here.

    door      the routes: check the key, parse the envelope, store it
    security  the routes for browsers, which report violations of a page's policy, network errors
    cron      the route for check-ins by curl
    minidump  the route for crash reporters
    unreal    the route for the crash reporter of Unreal Engine
    body      reads and inflates the request body, within bounds
    quota     429 for a project that exceeds its quota
    answers   errors for clients, and the headers of every answer

Source: https://develop.sentry.dev/sdk/overview/ and /sdk/data-model/envelopes/, 2026-11-23.
"""

from __future__ import annotations

from flask import Blueprint, Flask
from flask_wtf.csrf import CSRFProtect

bp = Blueprint("ingest", __name__)

from app.ingest import answers, cron, door, minidump, security, unreal  # noqa: E402, F401 -- they add themselves to bp


def init_app(app: Flask, csrf: CSRFProtect) -> None:
    """Register the blueprint. It is exempt from CSRF checks: its callers send keys, not cookies."""
    csrf.exempt(bp)
    app.register_blueprint(bp)
    app.before_request(door.try_tunnel)
