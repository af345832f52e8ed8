"""A row of a list of issues. A list has fifty, and most are as they were when it was last shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import current_app, url_for
from markupsafe import Markup

from app.admin.filters import ago
from app.admin.remembered import Remembered
from app.admin.sparkline import Sparkline

# About 1,500 rows.
_rows = Remembered(2_000_000)


def issue_row(
    issue: Any, sparkline: Sparkline, projects: Mapping[int, str], chosen_by: str | None
) -> Markup:
    """Return a row as HTML; it is remembered by all that it shows.

    :param projects: the names to show, empty if there is one project.
    :param chosen_by: the id of the form that the row is chosen in, if it can be chosen.
    """
    project = projects.get(issue.project_id, "") if projects else None
    times = issue.last_seen, issue.first_seen, ago(issue.last_seen), ago(issue.first_seen)
    status = issue.level, issue.status, issue.regressed, issue.times_seen, issue.users
    texts = issue.title, issue.culprit, issue.last_release
    path = url_for("admin.show_issue", issue_id=issue.id)
    key = (path, *status, *texts, *times, sparkline, project, chosen_by)
    html = _rows.get(key)
    if html is None:
        template = current_app.jinja_env.get_template("_issue_row.html")
        html = str(template.module.row(issue, sparkline, project, chosen_by))  # type: ignore[attr-defined]
        _rows.put(key, html)
    return Markup(html)  # noqa: S704 -- a template of ours, which escapes
