"""Issues by release: those that were new in it, that regressed in it, or are resolved in it.

A release is a project and a version. Issues store its version, because they outlive the release.
Each query finds its rows by an index.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from sqlalchemy import (
    Connection,
    Row,
    Select,
    String,
    cast,
    func,
    literal,
    select,
    text,
    union_all,
)

from app.issues.tables import (
    HAS_REGRESSED,
    IS_RESOLVED_IN,
    STATUSES,
    IssueStatus,
    issues,
    transitions,
)

What = Literal["new", "regressed", "resolved"]


class IssueCounts(NamedTuple):
    """The number of issues of a release, without deleted issues.

    :param new: issues whose first event was of this release.
    :param regressed: issues that regressed with an event of this release, whatever their status
        is now.
    :param resolved: issues that are resolved in this release and have not regressed.
    """

    new: int = 0
    regressed: int = 0
    resolved: int = 0


def counts_by_release(
    conn: Connection, project_id: int, versions: Sequence[str]
) -> dict[str, IssueCounts]:
    """Return the issue counts of releases of a project, by version."""
    if not versions:
        return {}
    found: dict[str, dict[str, int]] = {version: {} for version in versions}
    whats: tuple[What, ...] = ("new", "regressed", "resolved")
    each = (_counted(what, project_id, versions) for what in whats)
    for what, name, count in conn.execute(union_all(*each)):
        found[name][what] = count
    return {version: IssueCounts(**counts) for version, counts in found.items()}


def _counted(what: What, project_id: int, versions: Sequence[str]) -> Select[Any]:
    query, version = _of_releases(what, project_id, versions)
    number = func.count(issues.c.id.distinct())
    name = cast(literal(what), String(16))
    return query.with_only_columns(name, version, number).group_by(version)


def issues_of_release(
    conn: Connection, project_id: int, version: str, what: What, limit: int
) -> list[Row[Any]]:
    """Return issues of a release, most recently seen first.

    :param limit: the largest number of issues.
    """
    query, _ = _of_releases(what, project_id, [version])
    ids = query.with_only_columns(issues.c.id)
    newest = select(issues).where(issues.c.id.in_(ids))
    newest = newest.order_by(issues.c.last_seen.desc(), issues.c.id.desc()).limit(limit)
    return list(conn.execute(newest))


def _of_releases(what: What, project_id: int, versions: Sequence[str]) -> tuple[Select[Any], Any]:
    """Return a query for the issues of releases, and the column that holds the version."""
    of_project = issues.c.project_id == project_id, issues.c.status.in_(STATUSES)
    query = select(issues.c.id).where(*of_project)
    if what == "new":
        return query.where(issues.c.first_release.in_(versions)), issues.c.first_release
    if what == "resolved":
        resolved = issues.c.status == IssueStatus.RESOLVED, text(IS_RESOLVED_IN)
        return query.where(*resolved, issues.c.resolved_in.in_(versions)), issues.c.resolved_in
    query = query.join(transitions, transitions.c.issue_id == issues.c.id)
    version = transitions.c.release
    return query.where(text(HAS_REGRESSED), version.in_(versions)), version
