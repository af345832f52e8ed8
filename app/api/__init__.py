"""The API: the routes that programs call, their JSON, and the document that describes them.

Every module here with a :class:`.routes.Routes` adds its views; start with :mod:`.rules` to see
how, and with :mod:`.openapi` to see what becomes of it.
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
    """Register the blueprint. Its callers send tokens, not cookies, hence no CSRF."""
    csrf.exempt(bp)
    app.register_blueprint(bp)
