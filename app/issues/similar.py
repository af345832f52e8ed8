"""Find similar issues of the same project, and how they were resolved.

terms of the issue ── how many issues have each ── issues that share rare terms ── the most similar
                                                                                ── their resolution

Only issues of the same project are compared. Another project is another program, often of other
people. Its errors must not be visible here, and their number must not decide which terms are rare.
Similar issues are never merged automatically: only grouping decides what the same issue is.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Connection, Label, Row, Select, bindparam, func, or_, select

from app.issues.fixes import fixed_in
from app.issues.similarity import WEIGHTS, hash_of, rarity, shared, similarity
from app.issues.similarity_index import read_terms
from app.issues.tables import (
    STATUSES,
    IssueStatus,
    issue_similarity,
    issue_terms,
    issues,
    remembered_fixes,
    transitions,
)
from app.store.paging import hidden

# Issues with a lower score have a word or a type in common by chance.
MIN_SCORE = 0.2
# The score from which a page shows issues. In a test of 24 bugs with three variants each, two
# different bugs had at most 0.6 in common, and two variants of a bug at least 0.65.
WORTH_SHOWING = 0.5
# Issues whose terms are all compared.
CANDIDATES = 30
# A term that this many issues have is not used to find candidates.
COMMON = 500
# Further terms of a candidate only lower its score. A count above this changes the score little.
COMMON_BESIDES = 200
# Index rows that one query adds up: SQLite takes less than a millisecond for each thousand.
BUDGET = 10_000
# The issues of a project are counted up to this number; more would not change which terms are rare.
MAX_COUNTED = 20_000
_MOST_SHARED = f"""WITH wanted (term, square) AS (VALUES {{wanted}}), most AS (
        SELECT terms.issue_id FROM wanted JOIN {issue_terms.name} AS terms
        ON terms.project_id = {{project}} AND terms.term = wanted.term
        GROUP BY terms.issue_id ORDER BY sum(wanted.square) DESC, terms.issue_id DESC
        LIMIT {{limit}}
    )
    SELECT most.issue_id, read.terms FROM most
    JOIN {issue_similarity.name} AS read ON read.issue_id = most.issue_id
    JOIN {issues.name} ON issues.id = most.issue_id
    WHERE issues.status || '' IN ({", ".join(f"'{status}'" for status in STATUSES)})
"""  # noqa: S608 -- numbers of this program alone
_COUNTS = f"""WITH wanted (term, square) AS (VALUES {{wanted}})
    SELECT wanted.term, (SELECT count(*) FROM (
        SELECT terms.issue_id FROM {issue_terms.name} AS terms
        WHERE terms.project_id = {{project}} AND terms.term = wanted.term LIMIT {{limit}}
    ) AS few) FROM wanted
"""  # noqa: S608 -- numbers of this program alone


class Similar(NamedTuple):
    """An issue that is similar to another one.

    :param issue: the row of the issue.
    :param score: the similarity, from 0 to 1.
    :param shared: what the two issues have in common, see :func:`app.issues.similarity.shared`.
    :param last_resolved: the history row that resolved it last, even if it is open again.
    :param comment: the history row of its last comment.
    :param fix: the history row of the comment that says how it was fixed, if it is remembered.
    """

    issue: Row[Any]
    score: float
    shared: list[str]
    last_resolved: Row[Any] | None
    comment: Row[Any] | None
    fix: Row[Any] | None

    @property
    def resolved(self) -> Row[Any] | None:
        """The history row that resolved it, if it is resolved."""
        return self.last_resolved if self.issue.status == IssueStatus.RESOLVED else None

    @property
    def fixed_in(self) -> str:
        """In a few words whether and where it is fixed."""
        return fixed_in(self.issue, self.last_resolved)


class Candidate(NamedTuple):
    """An issue that shares terms, and all its terms."""

    id: int
    terms: list[str]


_ISSUES = select(issues).where(issues.c.id.in_(bindparam("ids", expanding=True)))


def similar_to(
    conn: Connection, issue: Row[Any], *, min_score: float = MIN_SCORE, limit: int = 50
) -> list[Similar]:
    """Return the issues of the same project that are similar to an issue, most similar first.

    :param issue: a row of ``issues``, with the :func:`compared_columns` or without.
    :param min_score: issues with a lower score are left out.
    """
    if issue.is_other:
        return []
    terms, total = _of(conn, issue)
    having = _having(conn, issue.project_id, terms)
    near = _candidates(conn, issue, having, total)
    others = {term for one in near for term in one.terms} - set(terms)
    having |= _having(conn, issue.project_id, others, COMMON_BESIDES)
    rarities = {term: rarity(max(1, count), total) for term, count in having.items()}
    scored = [(round(similarity(terms, one.terms, rarities), 3), one) for one in near]
    # With the same score, the newer issue comes first: it is closer to the current program.
    scored.sort(key=lambda one: (one[0], one[1].id), reverse=True)
    best = [(score, one) for score, one in scored[:limit] if score >= min_score]
    return _with_their_end(conn, terms, best) if best else []


def with_fix(similar: Iterable[Similar]) -> Similar | None:
    """Return the most similar issue with a remembered fix, ``None`` if none has one.

    Among equally similar ones it is one that is resolved: others came back after their fix.
    """
    found = [one for one in similar if one.fix]
    return max(found, key=lambda one: (one.score, one.resolved is not None), default=None)


def _with_their_end(
    conn: Connection, terms: Iterable[str], best: list[tuple[float, Candidate]]
) -> list[Similar]:
    ids = [one.id for _, one in best]
    rows = {row.id: row for row in conn.execute(_ISSUES, {"ids": ids})}
    last = _last_transitions(conn, ids)
    found = [(score, one, rows[one.id]) for score, one in best if one.id in rows]
    return [
        Similar(
            row,
            score,
            shared(terms, one.terms),
            last.get((row.id, "resolved")),
            last.get((row.id, "commented")),
            last.get((row.id, "fix")),
        )
        for score, one, row in found
    ]


def compared_columns() -> tuple[Label[Any], Label[Any]]:
    """Return, for a query of ``issues``, the columns that :func:`similar_to` would ask for."""
    read = issue_similarity.c
    of_project = select(read.issue_id).where(read.project_id == issues.c.project_id)
    some = of_project.correlate(issues).limit(MAX_COUNTED).subquery()
    total = select(func.count()).select_from(some).scalar_subquery()
    own = select(read.terms).where(read.issue_id == issues.c.id).correlate(issues)
    return own.scalar_subquery().label("own_terms"), total.label("compared")


def _of(conn: Connection, issue: Row[Any]) -> tuple[list[str], int]:
    """Return the terms of an issue, and how many issues of its project have been read."""
    if "compared" in issue._mapping:
        terms, count = issue.own_terms, issue.compared
    else:
        terms, count = conn.execute(_own(), {"issue": issue.id}).one()
    if terms is None:  # Do not wait for the background task to read this issue.
        return list(read_terms(conn, [issue.id]).get(issue.id, ())), count
    return terms.split(), count


@cache
def _own() -> Select[Any]:
    return select(*compared_columns()).where(issues.c.id == bindparam("issue"))


def _candidates(
    conn: Connection, issue: Row[Any], having: dict[str, int], total: int
) -> list[Candidate]:
    """Return the issues that share the most rare terms, with their terms."""
    found = _sharing(conn, issue.project_id, having, total) if having else []
    return [Candidate(id, terms.split()) for id, terms in found if id != issue.id]


def _sharing(
    conn: Connection, project_id: int, having: dict[str, int], total: int
) -> Iterable[tuple[int, str]]:
    """Return the ids and terms of the issues that share the most of these terms."""
    telling: dict[int, float] = {}
    left = BUDGET
    for term, count in sorted(having.items(), key=lambda pair: pair[1]):
        left -= count
        if count < COMMON and left >= 0:
            telling[hash_of(term)] = _square(term, count, total)
    if telling:
        wanted = ", ".join(f"({term:d}, {square:.6f})" for term, square in telling.items())
        return _run(conn, _MOST_SHARED, wanted, project_id, CANDIDATES + 1)
    # All of its terms are common: use the newest issues with the heaviest term.
    common = max(having, key=lambda term: WEIGHTS[term[0]])
    of = issue_terms.c
    has_it = select(of.issue_id).where(of.project_id == project_id, of.term == hash_of(common))
    newest = has_it.order_by(of.issue_id.desc()).limit(CANDIDATES + 1).subquery()
    read = issue_similarity.c
    query = (
        select(read.issue_id, read.terms)
        .join(newest, newest.c.issue_id == read.issue_id)
        .join(issues, issues.c.id == read.issue_id)
        .where(hidden(issues.c.status).in_(STATUSES))
    )
    return [(row.issue_id, row.terms) for row in conn.execute(query)]


def _square(term: str, count: int, total: int) -> float:
    return float((WEIGHTS[term[0]] * rarity(max(1, count), total)) ** 2)


def _having(
    conn: Connection, project_id: int, terms: Iterable[str], at_most: int = COMMON
) -> dict[str, int]:
    """Return how many issues of a project have each term; stop counting at ``at_most``."""
    hashes = {hash_of(term): term for term in terms}
    if not hashes:
        return {}
    wanted = ", ".join(f"({term:d}, 0.0)" for term in hashes)
    return {hashes[term]: had for term, had in _run(conn, _COUNTS, wanted, project_id, at_most)}


def _run(conn: Connection, statement: str, wanted: str, project_id: int, limit: int) -> list[Any]:
    """Run one of the statements above.

    The numbers are literals, since they come from this program. As parameters they would take ten
    times as long, and SQLAlchemy takes 1 ms to compile such a statement, which never comes again.

    :param wanted: rows of term hashes and their squared weights.
    """
    filled = statement.format(wanted=wanted, project=int(project_id), limit=int(limit))
    return list(conn.exec_driver_sql(filled))


def _last_transitions(conn: Connection, issue_ids: list[int]) -> dict[tuple[int, str], Row[Any]]:
    """Return the newest ``resolved`` and ``commented`` rows in the history of each issue, and its
    remembered comment as ``fix``.
    """
    if not issue_ids:
        return {}
    rows = list(conn.execute(_ends(), {"ids": issue_ids}))
    found = {(row.issue_id, row.kind): row for row in rows}
    return found | {(row.issue_id, "fix"): row for row in rows if row.is_fix}


@cache
def _ends() -> Select[Any]:
    of = transitions.c
    newest = (
        select(func.max(of.id))
        .where(
            of.issue_id.in_(bindparam("ids", expanding=True)),
            of.kind.in_(("resolved", "commented")),
        )
        .group_by(of.issue_id, of.kind)
    )
    fix = remembered_fixes.c
    fixes = select(fix.comment_id).where(fix.issue_id.in_(bindparam("ids", expanding=True)))
    query = select(transitions, fix.comment_id.is_not(None).label("is_fix"))
    query = query.outerjoin(remembered_fixes, fix.comment_id == of.id)
    return query.where(or_(of.id.in_(newest), of.id.in_(fixes))).order_by(of.id)
