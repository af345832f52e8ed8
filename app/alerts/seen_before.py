"""Seen before: the remembered fixes of issues that are similar to those of a notification."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from app.alerts.messages import cut
from app.alerts.naming import NamedIssue
from app.issues.fixes import has_fixes
from app.issues.queries import find_issue
from app.issues.similar import WORTH_SHOWING, Similar, similar_to, with_fix

# The issues of a notification that are compared with others. Each takes some milliseconds, during
# which the store's only writer is held.
MAX_COMPARED = 3
# The similar issues among which one with a fix is looked for.
MAX_SIMILAR = 10
MAX_TITLE, MAX_COMMENT = 120, 200


def seen_before(conn: Connection, project_id: int, named: Sequence[NamedIssue]) -> dict[int, str]:
    """Return a line about the most similar issue with a remembered fix, by the id of each issue.

    Only issues of the same project are compared. Issues without such a similar issue are left out.

    :param named: the issues of a notification; the first :data:`MAX_COMPARED` are compared.
    """
    if not has_fixes(conn, project_id):
        return {}
    found = {one.issue_id: _line(conn, one.issue_id) for one in named[:MAX_COMPARED]}
    return {issue_id: line for issue_id, line in found.items() if line}


def _line(conn: Connection, issue_id: int) -> str:
    issue = find_issue(conn, issue_id)
    if issue is None:
        return ""
    similar = similar_to(conn, issue, min_score=WORTH_SHOWING, limit=MAX_SIMILAR)
    best = with_fix(similar)
    return _words(best) if best else ""


def _words(similar: Similar) -> str:
    title = cut(similar.issue.title, MAX_TITLE)
    note = cut(similar.fix.note or "", MAX_COMMENT) if similar.fix else ""
    return f"Seen before: {title} (issue {similar.issue.id}), {similar.fixed_in}: {note}"
