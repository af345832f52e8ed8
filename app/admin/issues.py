"""The list of issues: sorted and filtered by the parameters of the address."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from flask import render_template, request
from flask.typing import ResponseReturnValue
from flask_login import current_user

from app.admin import bp
from app.admin.filter_bar import read_choice
from app.admin.lookups import project_names, project_options, recent_values, user_names
from app.admin.sparkline import sparklines
from app.inputs import Control
from app.issues.figures import hours_of
from app.issues.filter import ME, NOBODY, IssueFilter, Sort
from app.issues.queries import (
    Cursor,
    count_by_status,
    cursor_of,
    page_of_issues,
    read_cursor,
)
from app.issues.triage import highest_id
from app.store import utc_now
from app.store.paging import SCAN_ROWS, Count
from app.web import access
from app.web.current import current_store

PAGE_SIZE = 50
# Tabs stop counting here and show "999+".
MAX_COUNT = 999
SORTS = {
    "last_seen": "Last seen",
    "first_seen": "First seen",
    "times_seen": "Events",
    "users": "Users",
}


class Tab(NamedTuple):
    """One of the tabs; ``number`` is text, since it may end in a plus."""

    name: str
    label: str
    number: str


class IssueForm(IssueFilter):
    """The filter, tab and order of the page; by default open issues, last seen first."""

    tab: Annotated[
        Literal["unresolved", "resolved", "ignored", "all"], Control("Status", "status")
    ] = "unresolved"
    sort: Annotated[Sort, Control("Sorted by")] = "last_seen"

    @property
    def filter(self) -> IssueFilter:
        """The filter of the list."""
        given = self.model_dump(exclude={"tab", "sort"})
        given["status"] = None if self.tab == "all" else self.tab
        return IssueFilter(**given).seen_by(current_user.username)


@bp.get("/issues")
@access.admin
def list_of_issues() -> ResponseReturnValue:
    """Show a page of issues; by default the open issues, last seen first."""
    choice = read_choice(IssueForm, request.args)
    filter, sort = choice.form.filter, choice.form.sort
    after = _read_after(sort)
    with current_store().read() as conn:
        page = page_of_issues(conn, filter, sort=sort, after=after, limit=PAGE_SIZE)
        of_any = filter.model_copy(update={"status": None})
        counts = count_by_status(conn, of_any, MAX_COUNT + 1)
        hours = hours_of(conn, [row.id for row in page.rows], utc_now())
        names = project_names(conn)
        options = {**recent_values(conn), "project": project_options(names), "sort": SORTS}
        options["assigned"] = [ME, NOBODY, *user_names(conn)]
        highest = highest_id(conn)
    return render_template(
        "issues.html",
        rows=page.rows,
        choice=choice,
        tabs=_tabs(counts),
        sparklines=sparklines(hours),
        any_issues=any(count.number for count in counts.values()) or highest > 0,
        options=options,
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
        return None  # An invalid cursor shows the first page.
