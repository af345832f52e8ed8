"""The API: problem details, JSON shapes and the routes that programs call."""

from __future__ import annotations

from flask import Blueprint, Flask
from flask_wtf.csrf import CSRFProtect

bp = Blueprint("api", __name__)

from app.api import diagnostics, events, health, issues, openapi, system  # noqa: E402, F401 -- they add their routes to bp


def init_app(app: Flask, csrf: CSRFProtect) -> None:
    """Register the blueprint. Its callers send tokens, not cookies, hence no CSRF."""
    csrf.exempt(bp)
    app.register_blueprint(bp)
