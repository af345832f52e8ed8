"""The application with a page that fails, for tests of the error page."""

from __future__ import annotations

from flask import Flask

from app import create_app
from app.web import access

PATH = "/admin/broken"


def with_broken_page(app: Flask) -> Flask:
    """Add a page that fails for everyone and with every method."""

    @app.route(PATH, methods=["GET", "POST"])
    @access.anyone
    def broken() -> str:
        raise ValueError("the shop is on fire")

    return app


def served() -> Flask:
    """Return the application that gunicorn serves."""
    return with_broken_page(create_app())
