"""The admin pages: a person looks, sends a test error, and reads where each event is.

    header     how Sentry is reached, on top of every page
    session    log in, log out, the theme
    start      is monitoring working?
    trigger    errors on request (what each one does: trials)
    events     the list and one event (how it is shown: event_view, values, highlight)
    deliveries how envelopes go to Sentry, and what a person does about it (delivery_actions)
    issues     the list (a day of each: sparkline)
    issue      one of them, with an event, its tags, its history
    performance how fast, how often, how many failed (charts)
    ai_calls   what models, agents and tools took (call_charts)
    metrics    what programs count and measure themselves (metric_charts)
    releases   since when, what each brought, and one of them
    feedback   what people said of errors
    memories   whose there are, what they say, how the index is
    rules      rules of grouping, and what one would do
    alerts     notices, and one of them with every attempt (where they go: alert_channels)
    triage     resolve, ignore, reopen, delete, comment
    projects   the list, one with its keys and limits, and what a program needs (project_setup)
    status     the service, the machine, the store, in words

Every view asks inside ``with current_store().read()`` and renders after it, so that no page keeps
a reader open while a browser is slow.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Flask, request
from flask_login import LoginManager, current_user
from jinja2 import StrictUndefined

from app.accounts import User
from app.admin import filters
from app.admin.header import header_badge
from app.web.current import current_accounts, current_config

THEMES = ("auto", "light", "dark")

bp = Blueprint("admin", __name__, url_prefix="/admin")

from app.admin import (  # noqa: E402 -- they add their routes to bp
    ai_calls,  # noqa: F401
    alert_channels,  # noqa: F401
    alert_rules,  # noqa: F401
    alerts,  # noqa: F401
    deliveries,  # noqa: F401
    delivery_actions,  # noqa: F401
    event,  # noqa: F401
    events,  # noqa: F401
    feedback,  # noqa: F401
    issue,  # noqa: F401
    issues,  # noqa: F401
    memories,  # noqa: F401
    merging,  # noqa: F401
    metrics,  # noqa: F401
    performance,  # noqa: F401
    project_setup,  # noqa: F401
    projects,  # noqa: F401
    releases,  # noqa: F401
    rules,  # noqa: F401
    session,  # noqa: F401
    start,  # noqa: F401
    status,  # noqa: F401
    triage,  # noqa: F401
    trigger,  # noqa: F401
)


def init_app(app: Flask, login: LoginManager) -> None:
    """Register the blueprint, what templates know, and how a session becomes a user."""
    login.session_protection = "strong"

    @login.user_loader  # type: ignore[untyped-decorator]  # Flask-Login has no types
    def load_user(session_id: str) -> User | None:
        return current_accounts().user_of_session(session_id)

    # For every template: of Bootstrap-Flask's, which do not bear it, none is used.
    app.jinja_env.undefined = StrictUndefined
    # A proxy and no context processor: error pages must not ask the store who looks at them.
    app.jinja_env.globals["current_user"] = current_user
    app.jinja_env.filters.update(filters.FILTERS)
    app.context_processor(_frame_of_page)
    app.register_blueprint(bp)


def _frame_of_page() -> dict[str, Any]:
    """Return what is on top of every page; asks the store only when a page asks for ``reach``."""
    config = current_config()
    theme = request.cookies.get("theme", "auto")
    return {
        "environment": config.ENVIRONMENT,
        "sentry_is_set_up": config.SENTRY_DSN is not None,
        "reach": header_badge,
        "theme": theme if theme in THEMES else "auto",
        "themes": THEMES,
    }
