"""The list of issues: found by a query, a range, a tab; sorted by a figure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Literal, NamedTuple

from flask import render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy import Connection

from app.admin import bp
from app.admin.filter_bar import ListChoice, read_choice
from app.admin.header import header_from
from app.admin.issue_chart import environment_of, issue_chart, words_about
from app.admin.list_facts import ListFacts, read_facts
from app.admin.lookups import recent_values
from app.admin.navigation import address_of
from app.admin.query_line import QueryLine, read_line, without_old
from app.admin.query_menu import groups_of, query_menu
from app.admin.range_bar import range_bar, with_period
from app.admin.search_notes import Note, asked_of, search_notes
from app.inputs import Control
from app.inputs.period import Range, read_moment
from app.issues.drawn import first_page
from app.issues.filter import IssueSelection
from app.issues.in_range import CANDIDATES, page_by_figure
from app.issues.listed import Packed, packed_of
from app.issues.queries import (
    Cursor,
    count_by_status,
    count_matching,
    count_seen_and_all,
    cursor_of,
    page_of_issues,
    read_cursor,
)
from app.issues.tables import STATUSES
from app.issues.undo import Decision, find_decision
from app.search.errors import QueryError
from app.search.grammar import Query, without
from app.search.issue_search import IssueSearch
from app.search.issue_terms import statuses_of
from app.stats.windows import window_of
from app.store import utc_now
from app.store.paging import SCAN_ROWS, Count, Page
from app.web import access
from app.web.current import current_store

# Two screens. A page of fifty took a third more CPU.
PAGE_SIZE = 25
# Tabs stop counting here and show "999+".
MAX_COUNT = 999
DEFAULT_PERIOD = "week"
PageSort = Literal["last_seen", "first_seen", "events", "users", "trend"]
# What is counted of an issue in all, for the range that has everything.
IN_ALL = {"events": "times_seen", "users": "users", "trend": "times_seen"}
# How the text of the Open tab names the ranges.
SEEN_IN = {
    "hour": "this hour",
    "day": "today",
    "week": "this week",
    "month": "this month",
    "quarter": "in 90 days",
    "": "in this range",
}


class Tab(NamedTuple):
    """One of the tabs.

    :param number: how many issues it has; text, since it may end in a plus.
    :param seen: how many of them were seen in the range, in words; empty if it is not known.
    """

    name: str
    label: str
    number: str
    seen: str
    address: dict[str, str]


class IssueForm(IssueSearch):
    """The filter, tab and order of the page; by default open issues of the week, last seen first.

    The tab of an address without one is that of the query, if the query names states.
    """

    tab: Annotated[
        Literal["unresolved", "resolved", "ignored", "all"] | None, Control("Status", "status")
    ] = None
    sort: Annotated[PageSort, Control("Sorted by")] = "last_seen"

    @property
    def here(self) -> str:
        """The tab that is shown."""
        if self.tab is not None:
            return self.tab
        named = statuses_of(self.parsed.terms)
        if named is None:
            return "unresolved"
        return named[0] if len(named) == 1 else "all"

    def range(self, now: datetime) -> Range:
        """Return the range of the page."""
        return self.range_of(now, DEFAULT_PERIOD)

    @property
    def filter(self) -> IssueSearch:
        """The filter of the list."""
        given = {name: value for name, value in self if name not in ("tab", "sort")}
        given["status"] = None if self.here == "all" else self.here
        if self.start is None and self.end is None:
            given["period"] = self.period or DEFAULT_PERIOD
        return IssueSearch.model_construct(**given).seen_by(current_user.username)


class Found(NamedTuple):
    """What the page shows of the store.

    :param filter: with what was looked up.
    :param seen: by status, how many issues match.
    :param total: the same, whenever the issues were seen; ``None`` if that is not known.
    :param is_cut: whether issues that were not compared may belong on the page.
    :param packed: what is stored of its issues in the range, if that was read with them.
    """

    filter: IssueSelection
    page: Page
    seen: dict[str, Count]
    total: dict[str, Count] | None
    is_cut: bool
    packed: dict[int, Packed] | None = None


def read_issues(given: Any) -> tuple[ListChoice[IssueForm], QueryLine]:
    """Read the filter of the page from an address or a form."""
    line, values = read_line(given), without_old(given, read_line(given))
    if values.get("sort") == "times_seen":  # Of older addresses.
        values["sort"] = "events"
    return read_choice(IssueForm, values), line


@bp.get("/issues")
@access.views
def list_of_issues() -> ResponseReturnValue:
    """Show a page of issues; by default the open issues of the week, last seen first."""
    choice, line = read_issues(with_period(request.args, DEFAULT_PERIOD))
    form, now = choice.form, utc_now()
    after = _read_after(form.sort)
    found = None
    with current_store().read() as conn:
        if line.error is None:
            try:
                found = _find(conn, form, after, now)
            except QueryError as error:
                line = QueryLine(line.text, error=error)
        header, facts = header_from(conn), read_facts(conn)
        names, users, highest = header.projects, facts.users, facts.highest
        groups = groups_of(recent_values(conn, facts.newest), names, users)
        more = _more_of(conn, form, found, now, facts, names) if found else {}
        notes = _notes(conn, choice, found, now, facts) if found else []
        decision = _decision(conn)
    path = url_for("admin.list_of_issues")
    shown: dict[str, Any] = {
        "header": lambda: header,
        "choice": choice,
        "line": line,
        "menu": query_menu(path, choice.values, groups),
        "path": path,
        "address": partial(address_of, path),
        "decision": decision,
        "notes": notes,
        "any_issues": highest > 0,
        "highest": highest,
    }
    if found is None:
        return render_template("issues.html", rows=[], tabs=_tabs(choice, None), **shown)
    return render_template(
        "issues.html",
        rows=found.page.rows,
        tabs=_tabs(choice, found),
        tab=form.here,
        asked=asked_of(form, choice.values),
        range=form.range(now),
        range_bar=range_bar(path, choice.values, form.range(now)),
        projects=names if len(names) > 1 else {},
        users=[name for name in users if name != current_user.username],
        is_first=after is None,
        older=cursor_of(found.page.next) if found.page.next else None,
        is_cut=found.page.is_cut,
        looked_at=SCAN_ROWS,
        any_time=_any_time(found, form.here),
        **more,
        **shown,
    )


@bp.get("/live/issues")
@access.views
def issue_news() -> ResponseReturnValue:
    """Show how many issues have new events since the list was shown; by default, since now."""
    choice, line = read_issues(request.args)
    since = read_moment(request.args.get("since", "")) or utc_now()
    count = Count(0, is_exact=True)
    if line.error is None:
        with current_store().read() as conn:
            filter = choice.form.filter.resolved(conn).selection(seen_since=since)
            count = count_matching(conn, filter, MAX_COUNT + 1)
    return render_template("_issue_news.html", count=count.number, choice=choice, since=since)


def _find(conn: Connection, form: IssueForm, after: Cursor | None, now: datetime) -> Found:
    filter = form.filter.resolved(conn)
    page, is_ranked, packed = _page(conn, form, filter, after, now)
    of_any, total = filter.selection(status=None), None
    # An unnarrowed list is counted by an index. Others are counted only for an empty page.
    if filter.is_indexed:
        seen, total = count_seen_and_all(conn, of_any, MAX_COUNT + 1)
        return Found(filter, page, seen, total, is_ranked, packed)
    seen = count_by_status(conn, of_any, MAX_COUNT + 1)
    if not page.rows:
        ever = {"period": "all", "start": None, "end": None, "status": None}
        whenever = form.filter.model_copy(update=ever).resolved(conn)
        total = count_by_status(conn, whenever, MAX_COUNT + 1)
    return Found(filter, page, seen, total, is_ranked)


def _page(
    conn: Connection, form: IssueForm, filter: IssueSelection, after: Any, now: datetime
) -> tuple[Page, bool, dict[int, Packed] | None]:
    """Return the page, whether not all issues were compared to sort it, and what is stored."""
    chosen = form.range(now)
    if form.sort in IN_ALL and not chosen.is_all:
        ranked = page_by_figure(conn, filter, chosen, form.sort, after=after, limit=PAGE_SIZE)
        return Page(ranked.rows, ranked.next), ranked.is_cut, None
    sort = IN_ALL.get(form.sort, form.sort)
    if after is None and sort == "last_seen":
        window = window_of(chosen).without_before()
        if first := first_page(conn, filter, window, PAGE_SIZE):
            return first.page, False, first.packed
    return page_of_issues(conn, filter, sort=sort, after=after, limit=PAGE_SIZE), False, None


def _more_of(
    conn: Connection,
    form: IssueForm,
    found: Found,
    now: datetime,
    facts: ListFacts,
    projects: Mapping[int, str],
) -> dict[str, Any]:
    window = window_of(form.range(now)).without_before()
    environment = environment_of(form.parsed)
    scope, ids = (found.filter.project_id, environment), [row.id for row in found.page.rows]
    return {
        "window": window,
        "figures": packed_of(conn, ids, window) if found.packed is None else found.packed,
        "about": words_about(form.parsed, environment),
        "chart": issue_chart(conn, form.range(now), scope, facts, projects) if ids else "",
    }


def _notes(
    conn: Connection,
    choice: ListChoice[IssueForm],
    found: Found,
    now: datetime,
    facts: ListFacts,
) -> list[Note]:
    notes = search_notes(conn, choice, choice.form.range(now), found.filter, facts)
    if found.is_cut:
        words = f"Compared are the {CANDIDATES} issues that were seen last, and the {CANDIDATES}"
        notes.append(Note(f"{words} with the highest counts in all."))
    return notes


def _decision(conn: Connection) -> Decision | None:
    """Return the decision that the page offers to undo."""
    token = request.args.get("undo", "")
    return find_decision(conn, current_user.username, token) if token else None


def _tabs(choice: ListChoice[IssueForm], found: Found | None) -> list[Tab]:
    labels = {"unresolved": "Open", "resolved": "Resolved", "ignored": "Ignored", "all": "All"}
    query = str(_without_statuses(choice.form.parsed))
    period = SEEN_IN.get(choice.form.range(utc_now()).name, "")
    tabs = []
    for name, label in labels.items():
        status = "" if name == "unresolved" else name
        address = choice.but(status=status, query=query)
        number = _number(_count_of(found.total or found.seen, name)) if found else ""
        seen = ""
        if found and period and name == choice.form.here:
            # Without the total, the number is that of the range.
            count = f"{_number(_count_of(found.seen, name))} " if found.total else ""
            seen = f"{count}seen {period}"
        tabs.append(Tab(name, label, number, seen, address))
    return tabs


def _without_statuses(query: Query) -> Query:
    for status in STATUSES:
        query = without(query, "is", status)
    return query


def _count_of(counts: dict[str, Count], tab: str) -> Count:
    given = list(counts.values()) if tab == "all" else [counts.get(tab, Count(0, True))]
    return Count(sum(count.number for count in given), all(count.is_exact for count in given))


def _any_time(found: Found, tab: str) -> str:
    """Return how many issues match whenever they were seen, for an empty page; else empty."""
    if found.page.rows or found.total is None:
        return ""
    count = _count_of(found.total, tab)
    return _number(count) if count.number else ""


def _number(count: Count) -> str:
    shown = min(count.number, MAX_COUNT)
    return f"{shown:,}" if count.is_exact and count.number == shown else f"{shown:,}+"


def _read_after(sort: str) -> Cursor | None:
    try:
        return read_cursor(request.args.get("before", ""), sort)
    except ValueError:
        return None  # An invalid cursor shows the first page.
