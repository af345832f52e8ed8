"""The list of issues: sorted and narrowed by what stands in the address."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, NamedTuple

from flask import render_template, request
from flask.typing import ResponseReturnValue

from app.admin import bp
from app.admin.choices import DefaultedChoice
from app.admin.lookups import project_names, recent_values
from app.admin.sparkline import sparklines
from app.issues.queries import (
    Cursor,
    IssueFilter,
    count_by_status,
    cursor_of,
    hours_of,
    page_of_issues,
    read_cursor,
)
from app.issues.tables import STATUSES
from app.issues.triage import highest_id
from app.protocol.event import LEVELS
from app.store import utc_now
from app.store.paging import SCAN_ROWS, Count
from app.web import access
from app.web.current import current_store

PAGE_SIZE = 50
# Tabs count no further, and say "999+".
MAX_COUNT = 999
SORTS = {
    "last_seen": "Last seen",
    "first_seen": "First seen",
    "times_seen": "Events",
    "users": "Users",
}


class Tab(NamedTuple):
    """One of the tabs; ``number`` as text, since it may end in a plus."""

    name: str
    label: str
    number: str


class IssueChoice(DefaultedChoice):
    """Which issues, and what comes first; by default the open ones, seen last."""

    defaults: ClassVar = {"status": "unresolved", "sort": "last_seen"}
    narrows_by: ClassVar = ("project", "level", "environment", "release", "q")
    known: ClassVar = {"status": (*STATUSES, "all"), "sort": tuple(SORTS), "level": LEVELS}

    @property
    def status(self) -> str:
        """The tab: a status, or ``all``."""
        return self.of("status")

    @property
    def sort(self) -> str:
        """The column that the list is sorted by."""
        return self.of("sort")

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


@bp.get("/issues")
@access.admin
def list_of_issues() -> ResponseReturnValue:
    """Show a page of issues; the open ones, seen last, unless something else is asked for."""
    choice = IssueChoice().read(request.args)
    after = _read_after(choice.sort)
    with current_store().read() as conn:
        page = page_of_issues(conn, choice.filter, sort=choice.sort, after=after, limit=PAGE_SIZE)
        counts = count_by_status(conn, replace(choice.filter, status=None), MAX_COUNT + 1)
        hours = hours_of(conn, [row.id for row in page.rows], utc_now())
        options = recent_values(conn)
        names = project_names(conn)
        highest = highest_id(conn)
    return render_template(
        "issues.html",
        rows=page.rows,
        choice=choice,
        tabs=_tabs(counts),
        sparklines=sparklines(hours),
        any_issues=any(count.number for count in counts.values()) or highest > 0,
        options=options,
        levels=LEVELS,
        sorts=SORTS,
        projects=names if len(names) > 1 else {},
        highest=highest,
        is_first=after is None,
        older=cursor_of(page.next) if page.next else None,
        is_cut=page.is_cut,
        looked_at=SCAN_ROWS,
    )


def _tabs(counts: dict[str, Count]) -> list[Tab]:
    labels = {"unresolved": "Open", "resolved": "Resolved", "ignored": "Ignored"}
    tabs = [Tab(name, label, _number(counts[name])) for name, label in labels.items()]
    are_exact = all(count.is_exact for count in counts.values())
    whole = Count(sum(count.number for count in counts.values()), are_exact)
    return [*tabs, Tab("all", "All", _number(whole))]


def _number(count: Count) -> str:
    shown = min(count.number, MAX_COUNT)
    return f"{shown:,}" if count.is_exact and count.number == shown else f"{shown:,}+"


def _read_after(sort: str) -> Cursor | None:
    try:
        return read_cursor(request.args.get("before", ""), sort)
    except ValueError:
        return None  # The first page, for what is no cursor.
