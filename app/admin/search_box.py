"""The search box on top of every page: ids lead straight to what they name, other text to issues.

Scripts add suggestions while one types; without them the form works alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from flask import jsonify, redirect, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection

from app.admin import bp
from app.admin.last_project import shown_project
from app.admin.lookups import project_names, recent_values
from app.admin.navigation import PAGES
from app.events.queries import find_event
from app.issues.queries import find_issue
from app.protocol.event import clean_text, parse_event_id
from app.traces.reading import has_spans
from app.web import access
from app.web.current import current_store

MAX_LENGTH = 500
# Of each kind, and in all.
EACH, SHOWN = 4, 10
# No database has row numbers of more than 64 bits.
MAX_DIGITS = 18


class Suggestion(NamedTuple):
    """A place that the text may mean."""

    kind: str
    label: str
    url: str


@bp.get("/search")
@access.views
def search() -> ResponseReturnValue:
    """Redirect to the event or issue that an id names, otherwise to the issues that match."""
    text = _text()
    with current_store().read() as conn:
        found = next(_by_id(conn, text), None)
    return redirect(found.url if found else _issues(query=text))


@bp.get("/live/suggestions")
@access.views
def suggestions() -> ResponseReturnValue:
    """Return places that the text may mean: ids, pages, projects, releases."""
    text = _text()
    found: list[Suggestion] = []
    if text:
        with current_store().read() as conn:
            names, releases = project_names(conn), recent_values(conn)["release"]
            found = [*_by_id(conn, text), *_pages(text)]
        found += _projects(text, names)
        found += _releases(text, releases)
    return jsonify(suggestions=[one._asdict() for one in found[:SHOWN]])


def _text() -> str:
    return clean_text(request.args.get("query", "").strip())[:MAX_LENGTH]


def _by_id(conn: Connection, text: str) -> Iterator[Suggestion]:
    """Yield the event or trace with this id, or the issue with this number (also after ``#``)."""
    number = text.removeprefix("#")
    if number.isascii() and number.isdigit() and len(number) <= MAX_DIGITS:
        issue = find_issue(conn, int(number))
        if issue is not None:
            url = url_for("admin.show_issue", issue_id=issue.id)
            yield Suggestion("Issue", f"#{issue.id} {issue.title[:120]}", url)
    event_id = parse_event_id(text)
    event = find_event(conn, event_id) if event_id else None
    if event_id and event:
        url = url_for("admin.show_event", event_id=event_id)
        yield Suggestion("Event", f"{event_id[:8]} {event.row.title[:120]}", url)
    if event_id and has_spans(conn, event_id):
        url = url_for("admin.show_trace", trace_id=event_id)
        yield Suggestion("Trace", event_id, url)


def _pages(text: str) -> list[Suggestion]:
    pages = {page.label: page for entry in PAGES for page in (*entry.tabs, entry)}
    found = [page for page in pages.values() if text.lower() in page.label.lower()]
    return [Suggestion("Page", page.label, url_for(page.name)) for page in found[:EACH]]


def _projects(text: str, names: dict[int, str]) -> list[Suggestion]:
    found = [(id, name) for id, name in names.items() if text.lower() in name.lower()]
    return [Suggestion("Project", name, _issues(project=id)) for id, name in found[:EACH]]


def _releases(text: str, releases: list[str]) -> list[Suggestion]:
    found = [release for release in releases if text.lower() in release.lower()]
    return [Suggestion("Release", name, _issues(release=name)) for name in found[:EACH]]


def _issues(**values: Any) -> str:
    return url_for("admin.list_of_issues", **({"project": shown_project()} | values))
