"""The admin pages."""

from __future__ import annotations

from flask import Blueprint, Flask
from flask_login import LoginManager

from app.auth import User
from app.services import services

bp = Blueprint("admin", __name__, url_prefix="/admin")

from app.admin import pages  # noqa: E402, F401 -- it adds its routes to bp


def init_app(app: Flask, login: LoginManager) -> None:
    """Register the blueprint and how a session becomes a user."""
    login.session_protection = "strong"

    @login.user_loader  # type: ignore[untyped-decorator]  # Flask-Login has no types
    def load_user(session_id: str) -> User | None:
        return services().accounts.user_of_session(session_id)

    app.register_blueprint(bp)
