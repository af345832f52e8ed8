"""The rows of a list of issues. There are 25, and most are as they were when last shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask import current_app, url_for
from markupsafe import Markup

from app.admin.filters import age, ago, ignored_until, plural
from app.admin.remembered import Remembered
from app.admin.sparkline import sparkline
from app.events.values import shorten
from app.inputs.period import Range
from app.issues.listed import Packed, unpacked
from app.stats.windows import Window
from app.store import utc_now

# About 1,500 rows.
_rows = Remembered(2_000_000)
MAX_TITLE = 300


def issue_rows(
    issues: Sequence[Any],
    projects: Mapping[int, str],
    chosen_by: str | None,
    tab: str = "unresolved",
    range: Range | None = None,
    asked: str = "",
    window: Window | None = None,
    **columns: Mapping[int, Any] | None,
) -> Markup:
    """Return the rows as HTML; each is remembered by the whole issue and all else that it shows.

    :param projects: the names to show, empty if there is one project.
    :param chosen_by: the id of the form that rows are chosen in, if they can be chosen.
    :param tab: the status that rows do not say, since all of them have it.
    :param range: issues that were first seen in it are marked as new.
    :param asked: what the links to the issues end with: the query whose event they show.
    :param window: the hours of ``figures``.
    :param columns: by name, a value for each issue id; it must be hashable. ``None`` is left out.
        Those of a range are ``figures``, of :mod:`app.issues.listed`.
    """
    now = utc_now()
    new_since = range.start if range else None
    given = {name: values for name, values in columns.items() if values is not None}
    is_all = range is not None and range.is_all
    # One text, whose hash is computed once for all rows.
    place = repr((url_for("admin.list_of_issues"), chosen_by, tab, asked, window, is_all, *given))
    html = []
    for issue in issues:
        project = projects.get(issue.project_id, "") if projects else None
        values = tuple([found[issue.id] for found in given.values()])
        is_new = new_since is not None and issue.first_seen >= new_since
        until = ignored_until(issue, now) if issue.ignore_until else ""
        times = ago(issue.last_seen, now), age(issue.first_seen, now)
        key = (place, project, is_new, until, times, tuple(issue), values)
        row = _rows.get(key)
        if row is None:
            drawn = dict(zip(given, values, strict=True))
            if window is not None and range is not None:
                drawn |= _of_range(issue, drawn.pop("figures"), window, range)
            row = _draw(issue, project, chosen_by, tab, is_new, asked, drawn)
            _rows.put(key, row)
        html.append(row)
    return Markup("".join(html))  # noqa: S704 -- a template of ours, which escapes


def _of_range(issue: Any, packed: Packed, window: Window, range: Range) -> dict[str, Any]:
    """Return the values of a row that are of a range."""
    found = unpacked(issue, packed, window, range)
    words = f"{plural(found.events, 'event')} in the range"
    return {
        "events": found.events,
        "users": found.users,
        "sign": "" if found.users_are_exact else "~",
        "sparkline": sparkline(list(found.trend))._replace(label=words),
        "comments": packed.comments,
    }


def title_parts(issue: Any) -> tuple[str, str]:
    """Return the type of an issue, empty if its title does not begin with it, and the rest."""
    title = shorten(issue.title, MAX_TITLE)
    if issue.type and title.startswith(f"{issue.type}:"):
        return issue.type, title[len(issue.type) :]
    return "", title


def _draw(
    issue: Any,
    project: str | None,
    chosen_by: str | None,
    tab: str,
    is_new: bool,
    asked: str,
    values: dict[str, Any],
) -> str:
    values = {"events": issue.times_seen, "users": issue.users} | values
    drawn: Any = current_app.jinja_env.get_template("_issue_row.html").module
    return str(drawn.row(issue, project, chosen_by, tab, is_new, asked, **values))
