"""Values of terms that only the database knows: names of projects, and the latest release."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, func, select

from app.search import tokens
from app.search.clauses import Match, Resolve, Way
from app.search.errors import QueryError
from app.search.grammar import Term, Value
from app.search.projects import project_ids
from app.stats.tables import releases

LATEST = "latest"
# Ways that one clause may have, which bounds the projects that `release:latest` looks at.
MAX_WAYS = 500


def resolver(
    conn: Connection,
    within: int | None = None,
    is_named: ColumnElement[bool] = releases.c.has_events,
) -> Resolve:
    """Return the function that finds the ways of terms about projects and the latest release.

    :param within: the only project that is searched. No other one is looked at: whoever may read
        only this one must not learn from an answer what others there are.
    :param is_named: the releases of which the newest is the latest one.
    """

    def resolve(term: Term) -> tuple[Way, ...] | None:
        if term.key == "project":
            return _of_projects(conn, term, within)
        if term.key == "release" and any(_is_latest(value) for value in term.values):
            return _of_releases(conn, term, within, is_named)
        return None

    return resolve


def _of_projects(conn: Connection, term: Term, within: int | None) -> tuple[Way, ...]:
    ids = project_ids(conn, term, within)[:MAX_WAYS]
    return tuple((Match(tokens.equal("project", str(number))),) for number in ids)


def _is_latest(value: Value) -> bool:
    return value.text.lower() == LATEST and not value.is_quoted


def _of_releases(
    conn: Connection, term: Term, within: int | None, is_named: ColumnElement[bool]
) -> tuple[Way, ...]:
    others = [value for value in term.values if not _is_latest(value)]
    if any(value.has_wildcard for value in others):
        raise QueryError("latest and a release with * cannot stand in one list", term.at)
    ways = [_release(value.text) for value in others]
    newest = select(func.max(releases.c.id)).where(is_named)
    newest = newest.group_by(releases.c.project_id)
    if within is not None:
        newest = newest.where(releases.c.project_id == within)
    query = select(releases.c.project_id, releases.c.version).where(releases.c.id.in_(newest))
    for project_id, version in conn.execute(query.limit(MAX_WAYS)):
        ways.append((*_release(version), Match(tokens.equal("project", str(project_id)))))
    return tuple(ways)


def _release(version: str) -> Way:
    return (Match(tokens.equal("release", version)),)
