"""The project that one looked at last: pages of one project open on it if their address names none.

    choice = choice_of(last_project(conn, names)).read(request.args)
    look_at(choice.project_id)

It is remembered for the browser session by every page that shows a project, and is none for a new
session. Then it is the project of the newest event.
"""

from __future__ import annotations

from collections.abc import Collection

from flask import g, request, session
from sqlalchemy import Connection, select

from app.events.tables import events
from app.projects import OWN_PROJECT_ID

KEY = "project"
MAX_DIGITS = 9


def named_project() -> int | None:
    """Return the project that the address names."""
    text = request.args.get("project", "")
    is_number = text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS
    return int(text) if is_number else None


def shown_project() -> int | None:
    """Return the project that the page shows: that of its address, or the one it opened on."""
    opened: int | None = g.get("project_id")
    return named_project() if opened is None else opened


def look_at(project_id: int) -> None:
    """Make this the project that the page shows, and remember it."""
    g.project_id = project_id
    remember(project_id)


def remember(project_id: int) -> None:
    """Remember a project that was looked at."""
    if session.get(KEY) != project_id:
        session[KEY] = project_id


def remember_named() -> None:
    """Remember the project that the address names, before the page is made."""
    if (project_id := named_project()) is not None:
        remember(project_id)


def last_project(conn: Connection, known: Collection[int]) -> int:
    """Return the project to open a page on: the last one, else that of the newest event.

    :param known: the ids of all projects.
    """
    last: int | None = session.get(KEY)
    if last is None or last not in known:
        newest = select(events.c.project_id).order_by(events.c.id.desc()).limit(1)
        last = conn.scalar(newest)
    return OWN_PROJECT_ID if last is None or last not in known else last
