"""Compute and store the similarity terms of issues, after ingest and never during it.

issues without terms, or with those of older rules ── first event of each ── terms ── rows

A background task does this. A query for similar issues only reads the stored terms, and never
writes. Issue ids grow in the order of their commits. Therefore all issues above the highest id with
terms have no terms yet.
"""

from __future__ import annotations

import logging
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import (
    CompoundSelect,
    Connection,
    Integer,
    Row,
    Select,
    bindparam,
    case,
    delete,
    func,
    select,
    union_all,
)

from app.events.queries import read_stored
from app.events.tables import envelopes, events
from app.issues.similarity import VERSION, hash_of, terms_of
from app.issues.tables import STATUSES, issue_similarity, issue_terms, issues
from app.store import Store, replaced, upsert

log = logging.getLogger("app.tracker")

# Issues that one statement reads and one transaction writes. Each takes about 0.5 ms of CPU. The
# store's only writer is held for the smaller part of this time.
BATCH_SIZE = 100
# A larger body, which may contain attachments, is read by a separate query, so that large bodies
# are not in memory at the same time.
LARGE_BYTES = 256 * 1024


class Unread(NamedTuple):
    """An issue without terms, or with terms of older rules."""

    id: int
    project_id: int


def read_unread(store: Store, at_most: int, timeout_s: float = 5.0) -> int:
    """Compute and store the terms of unread issues, oldest first; return the number of issues.

    :param at_most: the largest number of issues.
    :param timeout_s: seconds to wait for other writers, for each transaction.
    :raise StoreError: the store does not answer.
    """
    count = 0
    while count < at_most:
        batch = min(BATCH_SIZE, at_most - count)
        with store.read() as conn:
            found = unread(conn, batch)
            terms = read_terms(conn, [issue.id for issue in found]) if found else {}
        if found:
            with store.write(timeout_s, durable=False) as conn:
                _write(conn, [(issue, terms.get(issue.id, ())) for issue in found])
        count += len(found)
        if len(found) < batch:
            break
    return count


def is_complete(conn: Connection) -> bool:
    """Return whether every issue has terms of the current rules."""
    return conn.execute(_unread(), {"limit": 1, "version": VERSION}).first() is None


def unread_issues() -> CompoundSelect[int, int]:
    """Return the query for an issue that has no terms of the current rules, if there is one."""
    return _unread().params(limit=1, version=VERSION)


def unread(conn: Connection, limit: int) -> list[Unread]:
    """Return issues without terms, oldest first, and then those with terms of older rules."""
    return [Unread(*row) for row in conn.execute(_unread(), {"limit": limit, "version": VERSION})][
        :limit
    ]


@cache
def _unread() -> CompoundSelect[int, int]:
    read, limit = issue_similarity.c, bindparam("limit", type_=Integer)
    highest = select(func.coalesce(func.max(read.issue_id), 0)).scalar_subquery()
    # `<other>` holds many errors, so it is not compared.
    is_one = issues.c.status.in_(STATUSES), ~issues.c.is_other
    is_new = *is_one, issues.c.id > highest
    new = select(issues.c.id, issues.c.project_id).where(*is_new).order_by(issues.c.id).limit(limit)
    # Terms of newer rules stay: a newer version of this program wrote them.
    old = (
        select(read.issue_id, read.project_id)
        .where(read.version < bindparam("version"))
        .limit(limit)
    )
    return union_all(*(select(some.subquery()) for some in (new, old)))


def read_terms(conn: Connection, issue_ids: list[int]) -> dict[int, tuple[str, ...]]:
    """Return the terms of issues, computed from the first event of each, by issue id.

    Issues without events are left out.
    """
    return {
        row.issue_id: _terms_of(conn, row) for row in conn.execute(_firsts(), {"ids": issue_ids})
    }


@cache
def _firsts() -> Select[Any]:
    """Return the query for the first event of issues; to build it takes longer than to ask it."""
    other = events.alias().c
    first = select(func.min(other.id)).where(other.issue_id == issues.c.id).scalar_subquery()
    is_large = envelopes.c.size_bytes > LARGE_BYTES
    return (
        select(events.c.issue_id, events.c.event_id, events.c.received_at, envelopes.c.id)
        .add_columns(case((is_large, None), else_=envelopes.c.body).label("body"))
        .select_from(issues)
        .join(events, events.c.id == first)
        .join(envelopes, envelopes.c.id == events.c.envelope_id)
        .where(issues.c.id.in_(bindparam("ids", expanding=True)))
    )


def _terms_of(conn: Connection, row: Row[Any]) -> tuple[str, ...]:
    try:
        body = row.body or conn.scalar(select(envelopes.c.body).where(envelopes.c.id == row.id))
        return terms_of(read_stored(body or b"", row.event_id, row.received_at)[0])
    except ValueError as error:
        log.warning("issue %s is compared with none: %s", row.issue_id, error)
        return ()


def _write(conn: Connection, read: list[tuple[Unread, tuple[str, ...]]]) -> None:
    ids = [issue.id for issue, _ in read]
    # An issue that was removed meanwhile gets no row.
    there = set(conn.scalars(select(issues.c.id).where(issues.c.id.in_(ids))))
    conn.execute(delete(issue_terms).where(issue_terms.c.issue_id.in_(ids)))
    rows, postings = [], []
    for issue, terms in read:
        if issue.id in there:
            rows.append(_row(issue, terms))
            hashes = {hash_of(term) for term in terms}
            postings += [_posting(issue, hash) for hash in sorted(hashes)]
    if rows:
        conn.execute(upsert(conn, issue_similarity, version=replaced, terms=replaced), rows)
    if postings:
        conn.execute(issue_terms.insert(), postings)


def _row(issue: Unread, terms: tuple[str, ...]) -> dict[str, Any]:
    row = {"issue_id": issue.id, "project_id": issue.project_id}
    return {**row, "version": VERSION, "terms": " ".join(terms)}


def _posting(issue: Unread, term: int) -> dict[str, int]:
    return {"project_id": issue.project_id, "term": term, "issue_id": issue.id}
