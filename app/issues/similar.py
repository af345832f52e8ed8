"""Issues like one: what broke in its project at a like place, saying the like, and how it ended.

terms of the issue ── how many issues have each ── those that share rare ones ── the nearest, whole
                                                                              ── what became of them

Of the same project only: another one is another program, often of other people, whose errors
neither are to be seen here nor may decide by their number what is rare. Whatever is found, nothing
is merged by it: the same issue is what grouping says.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Connection, Float, Row, Select, column, func, select, text

from app.issues.similarity import WEIGHTS, hash_of, rarity, shared, similarity
from app.issues.similarity_index import read_terms
from app.issues.tables import STATUSES, issue_similarity, issue_terms, issues, transitions

# What is less alike has a word or a type in common by chance.
MIN_SCORE = 0.2
# What a page shows: of 24 bugs in three disguises no two different ones had more than 0.6 in
# common, and no two of the same bug less than 0.65.
WORTH_SHOWING = 0.5
# Issues that are looked at whole.
CANDIDATES = 30
# What as many issues have in common leads to none of them.
COMMON = 500
# What others have besides only makes them less alike; how common it is beyond this changes little.
COMMON_BESIDES = 200
# Rows of the index that one question adds up: less than a millisecond of SQLite for each thousand.
BUDGET = 10_000
# Beyond it a project's issues are not counted; what is rare does not change any more.
MAX_COUNTED = 20_000
# A statement with numbers written out is never asked again.
_NOT_CACHED = {"compiled_cache": None}


class Similar(NamedTuple):
    """An issue like another one.

    :param issue: its row.
    :param score: from 0 to 1.
    :param shared: what the two have in common, see :func:`app.issues.similarity.shared`.
    :param resolved: the row of its history that resolved it, if it is resolved.
    :param comment: the row of its last comment.
    """

    issue: Row[Any]
    score: float
    shared: list[str]
    resolved: Row[Any] | None
    comment: Row[Any] | None


def similar_to(
    conn: Connection, issue: Row[Any], *, min_score: float = MIN_SCORE, limit: int = 50
) -> list[Similar]:
    """Return the issues of its project that are like one, the most alike first.

    :param issue: a row of ``issues``.
    :param min_score: what is less alike is left out.
    """
    if issue.is_other:
        return []
    terms, total = _of(conn, issue)
    having = _having(conn, issue.project_id, terms)
    near = _candidates(conn, issue, having, total)
    others = {term for row in near for term in row.terms.split()} - set(terms)
    having |= _having(conn, issue.project_id, others, COMMON_BESIDES)
    rarities = {term: rarity(max(1, count), total) for term, count in having.items()}
    scored = [(round(similarity(terms, row.terms.split(), rarities), 3), row) for row in near]
    # Of two that are as much alike, the newer one tells more of the program as it is.
    scored.sort(key=lambda one: (one[0], one[1].id), reverse=True)
    best = [(score, row) for score, row in scored[:limit] if score >= min_score]
    return _with_their_end(conn, terms, best)


def _with_their_end(
    conn: Connection, terms: Iterable[str], best: list[tuple[float, Row[Any]]]
) -> list[Similar]:
    last = _last_transitions(conn, [row.id for _, row in best])
    return [
        Similar(
            row,
            score,
            shared(terms, row.terms.split()),
            last.get((row.id, "resolved")) if row.status == "resolved" else None,
            last.get((row.id, "commented")),
        )
        for score, row in best
    ]


def _of(conn: Connection, issue: Row[Any]) -> tuple[list[str], int]:
    """Return an issue's terms, and how many issues of its project have some."""
    read = issue_similarity.c
    some = select(read.issue_id).where(read.project_id == issue.project_id).limit(MAX_COUNTED)
    total = select(func.count()).select_from(some.subquery()).scalar_subquery()
    own = select(read.terms).where(read.issue_id == issue.id).scalar_subquery()
    terms, count = conn.execute(select(own, total)).one()
    if terms is None:  # One that is asked about need not wait for its turn.
        return list(read_terms(conn, [issue.id]).get(issue.id, ())), count
    return terms.split(), count


def _candidates(
    conn: Connection, issue: Row[Any], having: dict[str, int], total: int
) -> list[Row[Any]]:
    """Return the rows, with their terms, of issues that share most of what few others have."""
    if not having:
        return []
    found = _sharing(issue.project_id, having, total).limit(CANDIDATES + 1).subquery()
    query = (
        select(issues, issue_similarity.c.terms)
        .select_from(found)
        .join(issues, issues.c.id == found.c.issue_id)
        .join(issue_similarity, issue_similarity.c.issue_id == issues.c.id)
        .where(issues.c.id != issue.id, issues.c.status.in_(STATUSES))
    )
    return list(conn.execute(query, execution_options=_NOT_CACHED))


def _sharing(project_id: int, having: dict[str, int], total: int) -> Select[Any]:
    """Return a query for ids of issues, those first that share most with one of these terms."""
    telling: dict[int, float] = {}
    left = BUDGET
    for term, count in sorted(having.items(), key=lambda pair: pair[1]):
        left -= count
        if count < COMMON and left >= 0:
            telling[hash_of(term)] = _square(term, count, total)
    of = issue_terms.c
    if not telling:  # All that it has is common: the newest that are as common.
        common = max(having, key=lambda term: WEIGHTS[term[0]])
        has_it = of.project_id == project_id, of.term == hash_of(common)
        return select(of.issue_id).where(*has_it).order_by(of.issue_id.desc())
    wanted = _wanted(telling)
    return (
        select(of.issue_id)
        .select_from(wanted)
        .join(issue_terms, (of.project_id == project_id) & (of.term == wanted.c.term))
        .group_by(of.issue_id)
        .order_by(func.sum(wanted.c.square).desc(), of.issue_id.desc())
    )


def _square(term: str, count: int, total: int) -> float:
    return float((WEIGHTS[term[0]] * rarity(max(1, count), total)) ** 2)


def _having(
    conn: Connection, project_id: int, terms: Iterable[str], at_most: int = COMMON
) -> dict[str, int]:
    """Return how many issues of a project have each term, counting no further than ``at_most``."""
    hashes = {hash_of(term): term for term in terms}
    if not hashes:
        return {}
    wanted = _wanted(dict.fromkeys(hashes, 0.0))
    of = issue_terms.c
    has_it = of.project_id == project_id, of.term == wanted.c.term
    some = select(of.issue_id).where(*has_it).limit(at_most).correlate(wanted).subquery()
    count = select(func.count()).select_from(some).scalar_subquery()
    rows = conn.execute(select(wanted.c.term, count), execution_options=_NOT_CACHED)
    return {hashes[term]: had for term, had in rows}


def _wanted(squares: dict[int, float]) -> Any:
    """Return a table of the statement's own: terms, and what each one counts.

    Written out, since they are numbers of ours: as parameters they take ten times as long.
    """
    rows = ", ".join(f"({term:d}, {square:.6f})" for term, square in squares.items())
    # So both databases name the columns.
    columns = column("column1", BigInteger), column("column2", Float)
    table = text(f"VALUES {rows}").columns(*columns).cte("wanted")
    return select(table.c.column1.label("term"), table.c.column2.label("square")).subquery()


def _last_transitions(conn: Connection, issue_ids: list[int]) -> dict[tuple[int, str], Row[Any]]:
    """Return the newest row of each issue's history that resolves it, and that is a comment."""
    if not issue_ids:
        return {}
    of = transitions.c
    newest = (
        select(func.max(of.id))
        .where(of.issue_id.in_(issue_ids), of.kind.in_(("resolved", "commented")))
        .group_by(of.issue_id, of.kind)
    )
    rows = conn.execute(select(transitions).where(of.id.in_(newest)))
    return {(row.issue_id, row.kind): row for row in rows}
