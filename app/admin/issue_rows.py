"""The rows of a list of issues. There are fifty, and most are as they were when last shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from flask import current_app, url_for
from markupsafe import Markup

from app.admin.filters import ago, ignored_until
from app.admin.remembered import Remembered
from app.admin.sparkline import Sparkline
from app.store import utc_now

# About 1,500 rows.
_rows = Remembered(2_000_000)


def issue_rows(
    issues: Sequence[Any],
    sparklines: Mapping[int, Sparkline],
    projects: Mapping[int, str],
    chosen_by: str | None,
) -> Markup:
    """Return the rows as HTML; each is remembered by all that it shows.

    :param projects: the names to show, empty if there is one project.
    :param chosen_by: the id of the form that rows are chosen in, if they can be chosen.
    """
    now, links_to = utc_now(), url_for("admin.list_of_issues")
    html = []
    for issue in issues:
        project = projects.get(issue.project_id, "") if projects else None
        around = sparklines[issue.id], project, chosen_by
        key = (links_to, *around, *_shown(issue, now))
        row = _rows.get(key)
        if row is None:
            row = _draw(issue, *around)
            _rows.put(key, row)
        html.append(row)
    return Markup("".join(html))  # noqa: S704 -- a template of ours, which escapes


def _shown(issue: Any, now: datetime) -> tuple[Any, ...]:
    numbers = issue.id, issue.times_seen, issue.users
    texts = issue.title, issue.culprit, issue.level, issue.last_release
    status = issue.status, issue.regressed, issue.assigned_to, ignored_until(issue, now)
    times = issue.last_seen, issue.first_seen, ago(issue.last_seen, now), ago(issue.first_seen, now)
    return (*numbers, *texts, *status, *times)


def _draw(issue: Any, sparkline: Sparkline, project: str | None, chosen_by: str | None) -> str:
    drawn: Any = current_app.jinja_env.get_template("_issue_row.html").module
    return str(drawn.row(issue, sparkline, project, chosen_by))
