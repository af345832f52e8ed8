"""The list of issues: sorted and narrowed by what stands in the address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from flask import render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection, select

from app import access
from app.admin import bp
from app.admin.lookups import recent_values
from app.admin.sparkline import sparklines
from app.db import utc_now
from app.issues.queries import (
    Cursor,
    IssueFilter,
    count_by_status,
    cursor_of,
    hours_of,
    list_issues,
    read_cursor,
)
from app.issues.tables import STATUSES
from app.issues.triage import highest_id
from app.projects import projects
from app.protocol.event import LEVELS, clean_text
from app.services import services

PAGE_SIZE = 50
# Tabs count no further, and say "999+".
MAX_COUNT = 999
SORTS = {
    "last_seen": "Last seen",
    "first_seen": "First seen",
    "times_seen": "Events",
    "users": "Users",
}
DEFAULTS = {"status": "unresolved", "sort": "last_seen"}
MAX_LENGTHS = {"q": 500, "environment": 64, "release": 250}


class Tab(NamedTuple):
    """One of the tabs; ``number`` as text, since it may end in a plus."""

    name: str
    label: str
    number: str


@dataclass
class IssueChoice:
    """What the address asks for.

    :param values: the parameters that differ from what is shown without any.
    :param problems: what could not be read and was left out, in words.
    """

    values: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def status(self) -> str:
        """The tab: a status, or ``all``."""
        return self.values.get("status", DEFAULTS["status"])

    @property
    def sort(self) -> str:
        """The column that the list is sorted by."""
        return self.values.get("sort", DEFAULTS["sort"])

    @property
    def narrowing(self) -> dict[str, str]:
        """What leaves issues out, besides the tab."""
        return {name: value for name, value in self.values.items() if name not in DEFAULTS}

    @property
    def filter(self) -> IssueFilter:
        """What the choice means to the store."""
        return IssueFilter(
            status=self.status if self.status in STATUSES else None,
            project_id=int(self.values["project"]) if "project" in self.values else None,
            level=self.values.get("level"),
            environment=self.values.get("environment"),
            release=self.values.get("release"),
            text=self.values.get("q"),
        )

    def but(self, **changed: str) -> dict[str, str]:
        """Return the parameters of an address that differs in what is given."""
        values = {**self.values, **changed}
        return {name: value for name, value in values.items() if DEFAULTS.get(name) != value}


@bp.get("/issues")
@access.admin
def list_of_issues() -> ResponseReturnValue:
    """Show a page of issues; the open ones, seen last, unless something else is asked for."""
    choice = read_choice(request.args)
    after = _read_after(choice.sort)
    with services().store.read() as conn:
        rows = list_issues(conn, choice.filter, sort=choice.sort, after=after, limit=PAGE_SIZE + 1)
        counts = count_by_status(conn, replace(choice.filter, status=None), MAX_COUNT + 1)
        page = rows[:PAGE_SIZE]
        hours = hours_of(conn, [row.id for row in page], utc_now())
        options = recent_values(conn)
        names = project_names(conn)
        highest = highest_id(conn)
    return render_template(
        "issues.html",
        rows=page,
        choice=choice,
        tabs=_tabs(counts),
        sparklines=sparklines(hours),
        any_issues=any(counts.values()) or highest > 0,
        options=options,
        levels=LEVELS,
        sorts=SORTS,
        projects=names if len(names) > 1 else {},
        highest=highest,
        is_first=after is None,
        older=cursor_of(page[-1], choice.sort) if len(rows) > PAGE_SIZE else None,
    )


def read_choice(given: Mapping[str, str]) -> IssueChoice:
    """Read the choice out of an address or a form; what is wrong is left out and told."""
    choice = IssueChoice()
    for name in ("status", "sort", "project", "level", "environment", "release", "q"):
        value = clean_text(given.get(name, "").strip())[: MAX_LENGTHS.get(name, 40)]
        if not value or DEFAULTS.get(name) == value:
            continue
        if _is_known(name, value):
            choice.values[name] = value
        else:
            choice.problems.append(f"There is no {name} “{value}”.")
    return choice


def project_names(conn: Connection) -> dict[int, str]:
    """Return the projects by id."""
    query = select(projects.c.id, projects.c.name).order_by(projects.c.id).limit(500)
    return {project_id: name for project_id, name in conn.execute(query)}


def _is_known(name: str, value: str) -> bool:
    if name == "project":
        return value.isascii() and value.isdigit() and len(value) < 10
    known = {"status": (*STATUSES, "all"), "sort": tuple(SORTS), "level": LEVELS}
    return name not in known or value in known[name]


def _tabs(counts: dict[str, int]) -> list[Tab]:
    labels = {"unresolved": "Open", "resolved": "Resolved", "ignored": "Ignored"}
    tabs = [Tab(name, label, _number(counts[name])) for name, label in labels.items()]
    return [*tabs, Tab("all", "All", _number(sum(counts.values())))]


def _number(count: int) -> str:
    return f"{count:,}" if count <= MAX_COUNT else f"{MAX_COUNT:,}+"


def _read_after(sort: str) -> Cursor | None:
    try:
        return read_cursor(request.args.get("before", ""), sort)
    except ValueError:
        return None  # The first page, for what is no cursor.
