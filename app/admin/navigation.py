"""The navigation of every page, and the tabs of a section; what the address says is carried along.

A page belongs to the entry that names its endpoint. Pages that
the user may not read are left out. The HTML depends on the endpoint, the role and on what links
carry, so it is made once for each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import urlencode

from flask import current_app, request, url_for
from flask_login import current_user
from markupsafe import Markup

from app.admin.last_project import shown_project
from app.admin.query_line import is_short
from app.admin.remembered import Remembered
from app.web import access

# About 100 pages, with their tabs.
_drawn = Remembered(500_000)
MAX_CARRIED = 40


class Page(NamedTuple):
    """A page that the navigation or a tab leads to.

    :param endpoint: of the blueprint ``admin``, or with its blueprint.
    :param also: endpoints of pages below this one.
    :param carries: the parameters of the address that a link to this page takes along.
    :param tabs: if there are any, the page is the first of them.
    """

    label: str
    endpoint: str
    also: tuple[str, ...] = ()
    carries: tuple[str, ...] = ()
    tabs: tuple[Page, ...] = ()

    @property
    def name(self) -> str:
        """The endpoint with its blueprint."""
        return self.endpoint if "." in self.endpoint else f"admin.{self.endpoint}"

    def endpoints(self) -> Iterator[str]:
        """Yield the endpoints of this page and of all below it."""
        yield self.name
        yield from (f"admin.{endpoint}" for endpoint in self.also)
        for tab in self.tabs:
            yield from tab.endpoints()


_PROJECT, _RANGE = ("project",), ("period", "start", "end")
_BOTH = _PROJECT + _RANGE
_ISSUES = (
    Page("Issues", "list_of_issues", ("show_issue", "change_issues"), _BOTH),
    Page("Feedback", "list_of_feedback", (), _PROJECT),
    Page("Grouping rules", "list_of_rules", ("show_rule",)),
)
_EVENTS = (
    Page("Events", "list_of_events", ("show_event",), _BOTH),
    Page("Logs", "list_of_logs", ("show_log_line",), _BOTH),
)
_INSIGHTS = (
    Page("Performance", "performance", ("show_trace",), _BOTH),
    Page("Releases", "list_of_releases", ("show_release",), _BOTH),
    Page("Metrics", "list_of_metrics", (), _BOTH),
    Page("AI calls", "list_of_ai_calls", (), _BOTH),
    Page("Losses", "list_of_losses", (), _BOTH),
    Page("Costs", "show_costs", (), _PROJECT),
)
_ALERTS = (
    Page("Sent", "list_of_alerts", ("show_alert",)),
    Page("Monitors", "list_of_monitors", ("show_monitor", "new_monitor"), _PROJECT),
    Page("Rules", "list_of_alert_rules", ("new_alert_rule", "show_alert_rule"), _PROJECT),
    Page("Channels", "list_of_channels", ("show_channel",)),
)
_PROJECTS = (
    "new_project",
    "show_project",
    "set_up_project",
    "set_upstream",
    "remove_upstream",
    "revoke_project_key",
    "end_project",
    "list_of_erasures",
    "show_erasure",
)
_PEOPLE = (
    Page("Users", "list_of_users", ("show_user", "set_user_password")),
    Page("Tokens", "list_of_tokens"),
    Page("Audit log", "show_audit"),
)
# Pages of everybody, which the menu of the user leads to.
_ACCOUNT = ("show_account", "change_own_password")
_TEST_ERRORS = ("old_trigger", "show_test_error", "test_all_projects", "show_all_test_errors")
# First what one looks at, then what one looks after, then the foot.
GROUPS = (
    (
        Page("Start", "start", (), _BOTH),
        Page("Issues", "list_of_issues", (), _BOTH, _ISSUES),
        Page("Events", "list_of_events", ("show_event",), _BOTH, _EVENTS),
        Page("Insights", "performance", (), _BOTH, _INSIGHTS),
        Page("Alerts", "list_of_alerts", (), (), _ALERTS),
    ),
    (
        Page("Deliveries", "list_of_deliveries", ("show_delivery", "show_profile"), _PROJECT),
        Page("Test error", "trigger", _TEST_ERRORS, _PROJECT),
        Page("Projects", "list_of_projects", _PROJECTS),
        Page("Memories", "list_of_memory_users", ("show_memories", "delete_memories")),
    ),
    (
        Page("Status", "status"),
        Page("Settings", "show_settings"),
        Page("People", "list_of_users", _ACCOUNT, (), _PEOPLE),
        Page("API", "api.reference"),
    ),
)
PAGES = tuple(page for group in GROUPS for page in group)
_ENTRY_OF = {name: page for page in PAGES for name in page.endpoints()}
_TAB_OF = {name: tab for page in PAGES for tab in page.tabs for name in tab.endpoints()}
# These pages show one project, never all of them.
_OF_ONE_PROJECT = {page.name for page in _INSIGHTS}
_TAKES_PROJECT = {
    page.name for entry in PAGES for page in (entry, *entry.tabs) if "project" in page.carries
}


def entry_of(endpoint: str | None) -> Page | None:
    """Return the entry of the navigation that a page belongs to."""
    return _ENTRY_OF.get(endpoint or "")


def navigation() -> Markup:
    """Return the navigation of the page that is shown, as HTML."""
    return _remembered("navigation", GROUPS, _ENTRY_OF)


def section_head() -> Markup:
    """Return the heading of the section that the page belongs to, with its tabs, as HTML."""
    entry = entry_of(request.endpoint)
    return _remembered("section", entry, _TAB_OF) if entry and entry.tabs else Markup("")


def is_of_one_project() -> bool:
    """Return whether the page shows one project, and never all of them."""
    return request.endpoint in _OF_ONE_PROJECT


def path_with_project(project_id: int | None) -> str:
    """Return the address of the page for another project; of its issues if it shows no project's.

    A long query is not carried along, since a menu would repeat it for each project.

    :param project_id: ``None`` for all projects.
    """
    endpoint = request.endpoint or ""
    is_here = endpoint in _TAKES_PROJECT
    values = _without_place(request.args.items()) if is_here else {}
    if not is_here or not is_short(values):
        values = _carried(_BOTH)
    values["project"] = "" if project_id is None else str(project_id)
    path = url_for(endpoint if is_here else "admin.list_of_issues")
    return address_of(path, values)


def _without_place(given: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the parameters without those that name a row: it is of another project."""
    return {name: text for name, text in given if name not in ("before", "after", "project")}


def _carried(names: Iterable[str]) -> dict[str, str]:
    given = {name: request.args.get(name, "") for name in names}
    project_id = shown_project()
    given["project"] = "" if project_id is None else str(project_id)
    return {name: text for name, text in given.items() if 0 < len(text) <= MAX_CARRIED}


def address_of(path: str, values: Mapping[str, str]) -> str:
    """Return a path with parameters, without those that are empty."""
    given = {name: text for name, text in values.items() if text}
    return f"{path}?{urlencode(given)}" if given else path


def _remembered(macro: str, pages: Any, places: dict[str, Page]) -> Markup:
    carried = _carried(_BOTH)
    role = current_user.role
    key = (macro, role, request.script_root, request.endpoint, *carried.items())
    html = _drawn.get(key)
    if html is None:
        drawn: Any = current_app.jinja_env.get_template("_navigation.html").module
        here = places.get(request.endpoint or "")
        may = partial(access.may, method="GET")
        html = str(getattr(drawn, macro)(pages, here, lambda page: _link(page, carried), may))
        _drawn.put(key, html)
    return Markup(html)  # noqa: S704 -- a template of ours, which escapes


def _link(page: Page, carried: dict[str, str]) -> str:
    values = {name: text for name, text in carried.items() if name in page.carries}
    return address_of(url_for(page.name), values)
