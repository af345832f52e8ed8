"""The admin pages: they show errors, send test errors, and show where each event is.

    header     the projects and how Sentry is reached, on top of every page
    navigation the entries of the navigation, and the tabs of a section
    search_box the search box: ids lead straight to what they name
    session    log in, log out, the theme
    start      is monitoring working?
    trigger    test errors: send one, and read in one sentence where it is (all: test_all_projects)
    events     the list of events
    event      the page of an event (how it is shown: event_body, event_view, stack_view, values)
    logs       the list of log lines (log_lines, log_chart)
    deliveries how envelopes are sent to Sentry, and the actions on them (delivery_actions)
    issues     the list of issues (issue_rows, the trend of each: sparkline; issue_chart,
               list_facts)
    issue      the page of an issue: its figures (issue_range), an event of it (issue_event), or one
               of its tabs (issue_tabs)
    performance durations, throughput and failures of requests (charts)
    trace      a trace as a waterfall (its lines: trace_rows; beside it: trace_facts)
    ai_calls   calls of models, agents and tools (call_charts)
    metrics    custom metrics that programs send (metric_charts)
    monitors   whether jobs ran (monitor_form, run_bars)
    releases   the list of releases, and the page of a release
    feedback   feedback of users about errors
    memories   the users with memories, their memories, the state of the index
    erasing    erase a person: count, then erase
    rules      grouping rules, and trying a rule before it is saved
    alerts     notifications, and one with every attempt to send it (channels: alert_channels)
    triage     resolve, ignore, reopen, comment; from the list: bulk
    projects   the list, a project with its keys and limits, its set-up page (project_setup, with
               the lines of setup_lines)
    users      users and their roles; account: the page of the own user
    tokens     API tokens
    audit      who did what
    status     the state of the service, the machine and the store
    settings   every setting, with its value and where it came from

Every view reads inside ``with current_store().read()`` and renders the page after that block.
A slow browser therefore never keeps a read transaction open.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Flask, request
from flask_login import LoginManager, current_user
from jinja2 import StrictUndefined

from app.accounts import User
from app.admin import filters, fragments
from app.admin.event_body import event_body
from app.admin.header import read_header, searched_for
from app.admin.issue_rows import issue_rows, title_parts
from app.admin.last_project import remember_named
from app.admin.navigation import navigation, section_head
from app.admin.search_links import search_link
from app.web import access
from app.web.current import current_accounts, current_config

THEMES = ("auto", "light", "dark")

bp = Blueprint("admin", __name__, url_prefix="/admin")
bp.before_request(remember_named)

from app.admin import (  # noqa: E402 -- they add their routes to bp
    account,  # noqa: F401
    ai_calls,  # noqa: F401
    alert_channels,  # noqa: F401
    alert_rules,  # noqa: F401
    alerts,  # noqa: F401
    audit,  # noqa: F401
    bulk,  # noqa: F401
    costs,  # noqa: F401
    deliveries,  # noqa: F401
    delivery_actions,  # noqa: F401
    erasing,  # noqa: F401
    event,  # noqa: F401
    events,  # noqa: F401
    feedback,  # noqa: F401
    issue,  # noqa: F401
    issues,  # noqa: F401
    logs,  # noqa: F401
    losses,  # noqa: F401
    memories,  # noqa: F401
    merging,  # noqa: F401
    metrics,  # noqa: F401
    monitors,  # noqa: F401
    performance,  # noqa: F401
    profile,  # noqa: F401
    project_setup,  # noqa: F401
    projects,  # noqa: F401
    query_completion,  # noqa: F401
    releases,  # noqa: F401
    rules,  # noqa: F401
    search_box,  # noqa: F401
    session,  # noqa: F401
    settings,  # noqa: F401
    start,  # noqa: F401
    status,  # noqa: F401
    test_all_projects,  # noqa: F401
    tokens,  # noqa: F401
    trace,  # noqa: F401
    triage,  # noqa: F401
    trigger,  # noqa: F401
    users,  # noqa: F401
)


def init_app(app: Flask, login: LoginManager) -> None:
    """Register the blueprint, the template filters and globals, and the loader of users."""
    login.session_protection = "strong"

    @login.user_loader  # type: ignore[untyped-decorator]  # Flask-Login has no types
    def load_user(session_id: str) -> User | None:
        return current_accounts().user_of_session(session_id)

    # This holds for every template. The templates of Bootstrap-Flask would fail with it, but the
    # application uses none of them.
    app.jinja_env.undefined = StrictUndefined
    # A proxy and not a context processor: error pages must not read the user from the store.
    app.jinja_env.globals["current_user"] = current_user
    app.jinja_env.globals["search_link"] = search_link
    app.jinja_env.globals |= {"navigation": navigation, "section_head": section_head}
    app.jinja_env.globals["searched_for"] = searched_for
    app.jinja_env.globals |= {"may": access.may, "has_role": access.has_role}
    app.jinja_env.filters.update(filters.FILTERS | fragments.FRAGMENTS)
    app.jinja_env.filters |= {"event_body": event_body, "issue_rows": issue_rows}
    app.jinja_env.filters["title_parts"] = title_parts
    app.context_processor(_frame_of_page)
    app.register_blueprint(bp)


def _frame_of_page() -> dict[str, Any]:
    """Return the template variables of every page; only a call of ``header`` reads the store."""
    config = current_config()
    theme = request.cookies.get("theme", "auto")
    return {
        "environment": config.ENVIRONMENT,
        "sentry_is_set_up": config.SENTRY_DSN is not None,
        "header": read_header,
        "theme": theme if theme in THEMES else "auto",
        "themes": THEMES,
        # No template shows it. Without it, the SDK makes the headers of a trace for every page.
        "sentry_trace": "",
    }
