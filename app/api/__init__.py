"""The API: the routes that programs call, their JSON, and the OpenAPI document about them.

Every module with a :class:`.routes.Routes` adds its views to the blueprint. :mod:`.rules` is a
good example of such a module. :mod:`.openapi` makes the document from all of them.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from flask import Blueprint, Flask
from flask_wtf.csrf import CSRFProtect

bp = Blueprint("api", __name__)

for module in iter_modules(__path__, f"{__name__}."):
    import_module(module.name)


def init_app(app: Flask, csrf: CSRFProtect) -> None:
    """Register the blueprint, without CSRF protection: its callers send tokens, not cookies."""
    csrf.exempt(bp)
    app.register_blueprint(bp)
