"""The header of every page: the projects to choose from, and how Sentry is reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from flask import current_app, request, url_for
from markupsafe import Markup
from sqlalchemy import Connection

from app.admin.last_project import shown_project
from app.admin.navigation import is_of_one_project, path_with_project
from app.admin.remembered import Remembered
from app.delivery.destinations import Destination
from app.delivery.upstreams import Upstream, held_up, held_up_by, reach
from app.projects import OWN_PROJECT_ID
from app.store import StoreError, utc_now
from app.web.current import current_destinations, current_store

# How many projects the details name, and how many the menu has; the list of projects has all.
NAMED = 5
MENU = 30
# Menus of projects. Each has a link for a project, and a page has the same ones again and again.
_menus = Remembered(1_000_000)
MAX_QUERY = 500
# The worst first: the badge has the colour of the worst state of all destinations.
_REACH = {
    "open": "not reached",
    "paused": "paused",
    "limited": "rate limited",
    "unused": "nothing sent yet",
    "closed": "reached",
}
_WAITING = ("open", "paused", "limited")
# Lists whose query the search box repeats.
_SEARCHED = ("admin.list_of_issues", "admin.list_of_events", "admin.list_of_logs")


class Badge(NamedTuple):
    """Whether Sentry is reached.

    :param state: one word, which decides the colour.
    :param words: read after "Sentry: ".
    :param details: which projects wait, and for what; may be empty.
    """

    state: str
    words: str
    details: str = ""

    @property
    def address(self) -> str:
        """The page that says more: how to set it up, or the deliveries."""
        if self.state != "none":
            return url_for("admin.list_of_deliveries")
        return url_for("admin.show_project", project_id=OWN_PROJECT_ID)


class Header(NamedTuple):
    """What the header shows.

    :param projects: names by id.
    :param destinations: by project; those without a DSN are left out if they never had one.
    """

    badge: Badge
    projects: Mapping[int, str] = {}
    destinations: Mapping[int, Destination] = {}

    def destination_of(self, conn: Connection, project_id: int) -> Destination:
        """Return the destination of a project; read it only if the project is being removed."""
        if project_id not in self.projects:
            return current_destinations().find(conn, project_id)
        return self.destinations.get(project_id) or Destination(project_id, None)

    @property
    def project_id(self) -> int | None:
        """The project that the page shows; ``None`` for all projects."""
        return shown_project()

    @property
    def chosen(self) -> str:
        """The name of the project that the page shows."""
        return self.projects.get(self.project_id or 0, "")

    @property
    def choices(self) -> list[tuple[str, str]]:
        """Names and addresses of the projects to choose from, the first for all of them."""
        shown = list(self.projects.items())[:MENU]
        found = [(name, path_with_project(project_id)) for project_id, name in shown]
        return found if is_of_one_project() else [("All projects", path_with_project(None)), *found]

    @property
    def menu(self) -> Markup:
        """The menu of the projects as HTML; empty if there is nothing to choose."""
        if len(self.projects) < 2:
            return Markup()
        query, shown = request.query_string, list(self.projects.items())[:MENU]
        key = (request.script_root, request.endpoint, query, self.chosen, *shown)
        html = _menus.get(key)
        if html is None:
            drawn: Any = current_app.jinja_env.get_template("_project_menu.html").module
            html = str(drawn.menu(self.chosen, self.choices))
            if len(query) <= MAX_QUERY:
                _menus.put(key, html)
        return Markup(html)  # noqa: S704 -- a template of ours, which escapes


def read_header() -> Header:
    """Read what the header shows; without the store it has no projects."""
    try:
        with current_store().read() as conn:
            return header_from(conn)
    except StoreError:
        return Header(Badge("unknown", "unknown", "The store does not answer"))


def header_from(conn: Connection) -> Header:
    """Read what the header shows, for a page that reads the store itself."""
    now, listed = utc_now(), current_destinations().list_named(conn)
    found = [one for _, one in listed.values() if one is not None]
    troubled = held_up(conn, found, now)
    used = [one for one in found if one.dsn or one in troubled]
    names = {project_id: name for project_id, (name, _) in listed.items()}
    return Header(badge(used, names, now), names, {one.project_id: one for one in found})


def header_of(ways: Sequence[Upstream]) -> Header:
    """Return the header of a page that has read the delivery of every project."""
    used = [way.destination for way in ways if way.is_set_up or way.is_held_up]
    names = {way.project_id: way.name for way in ways}
    return Header(badge(used, names, utc_now()), names)


def searched_for() -> str:
    """Return what the search box has: the query of the list that is shown."""
    if request.endpoint not in _SEARCHED:
        return ""
    return request.args.get("query") or request.args.get("q") or ""


def badge(destinations: list[Destination], names: Mapping[int, str], now: datetime) -> Badge:
    """Return the badge of some destinations.

    :param destinations: those with a DSN, and those whose envelopes wait for a removed DSN.
    :param names: project id to name.
    """
    if not destinations:
        return Badge("none", "not set up", "No project is forwarded: what happens stays here")
    states = {destination.project_id: _state(destination, now) for destination in destinations}
    worst = min(states.values(), key=list(_REACH).index)
    if worst == "unused" and "closed" in states.values():
        worst = "closed"  # What was sent so far has arrived.
    waiting = [one for one in destinations if states[one.project_id] in _WAITING]
    return Badge(worst, _words(worst, len(waiting), len(destinations)), _named(waiting, names, now))


def is_waiting(destination: Destination, now: datetime) -> bool:
    """Return whether the header counts a destination among those that wait for Sentry."""
    return _state(destination, now) in _WAITING


def _words(worst: str, waiting: int, projects: int) -> str:
    if projects == 1 or not waiting:
        return _REACH[worst] if projects == 1 or worst == "unused" else "all reached"
    return f"{waiting} of {projects} projects waiting"


def _state(destination: Destination, now: datetime) -> str:
    state = reach(destination, now)
    if state == "closed" and destination.delivered_at is None:
        return "unused"
    return "open" if state in ("failing", "none") else state


def _named(waiting: list[Destination], names: Mapping[int, str], now: datetime) -> str:
    described = []
    for destination in waiting[:NAMED]:
        cause = held_up_by(destination, "", now) or destination.cause or ""
        described.append(": ".join(filter(None, (names.get(destination.project_id), cause))))
    more = len(waiting) - NAMED
    return "; ".join([*filter(None, described), *([f"and {more} more"] if more > 0 else [])])
