"""Lists of transactions: the slowest, the newest that failed, the newest.

An index answers each order for the transactions of one name. For all names of a project, or of all
projects, what failed and what was slowest is looked for among the newest SCAN_ROWS.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple

from sqlalchemy import Column, Connection, Row, select, text

from app.inputs.errors import InputError
from app.store.paging import SCAN_ROWS, Listing, read_page
from app.traces.tables import FAILED, transactions

Sort = Literal["slowest", "failing", "newest"]
_BY_TIME = transactions.c.timestamp, transactions.c.id
_BY_DURATION = transactions.c.ms, transactions.c.id


@dataclass(frozen=True)
class Chosen:
    """The transactions to list; ``None`` means any.

    :param start: when they ended: from this moment on. :param end: before this moment.
    """

    project_id: int | None = None
    name: str | None = None
    release: str | None = None
    environment: str | None = None
    start: datetime | None = None
    end: datetime | None = None


class Found(NamedTuple):
    """A page of transactions.

    :param next: the row id to continue after; ``None`` at the end of the list.
    :param searched_back_to: when the oldest one ended that was looked at, if there are more.
    """

    rows: Sequence[Row[Any]]
    next: int | None
    searched_back_to: datetime | None = None


def list_transactions(
    conn: Connection, chosen: Chosen, sort: Sort, *, after: int | None = None, limit: int
) -> Found:
    """Return a page of transactions.

    :param after: the ``next`` of the page before.
    :raise InputError: its transaction has been removed since.
    """
    listing, back_to = _listing(conn, chosen, sort)
    key = None if after is None else _key_of(conn, after, listing.key)
    page = read_page(conn, select(transactions), listing, after=key, limit=limit)
    return Found(page.rows, page.next[-1] if page.next else None, back_to)


def _listing(conn: Connection, chosen: Chosen, sort: Sort) -> tuple[Listing, datetime | None]:
    of, is_in = transactions.c, _time(chosen)
    along, others = _names(chosen)
    if sort == "slowest":
        return _by_duration(conn, along, is_in, others)
    if sort == "failing":
        has_index = of.name in _columns(along)
        along, others = (
            ([*along, text(FAILED)], others) if has_index else (along, [*others, text(FAILED)])
        )
    return Listing(_BY_TIME, [*along, *is_in], others), None


def _by_duration(
    conn: Connection, along: list[Any], is_in: list[Any], others: list[Any]
) -> tuple[Listing, datetime | None]:
    """Return the list by duration: of all in the range if they are few, else along an index."""
    at, is_known = transactions.c.timestamp, transactions.c.ms.is_not(None)
    newest = select(at).where(*along, *is_in).order_by(at.desc())
    back_to = conn.scalar(newest.offset(SCAN_ROWS - 1).limit(1))
    if back_to is not None and transactions.c.name in _columns(along):
        return Listing(_BY_DURATION, [*along, is_known], [*is_in, *others]), None
    edge = [] if back_to is None else [at >= back_to]
    listing = Listing(_BY_DURATION, [*along, *is_in, *edge], [is_known, *others], is_small=True)
    return listing, back_to


def _names(chosen: Chosen) -> tuple[list[Any], list[Any]]:
    """Return the conditions that an index answers, and those that are checked row by row."""
    names = ("project_id", "name", "release", "environment")
    given = [name for name in names if getattr(chosen, name) is not None]
    indexed = ("project_id", "name") if chosen.project_id is not None else ()
    conditions = {name: transactions.c[name] == getattr(chosen, name) for name in given}
    return (
        [one for name, one in conditions.items() if name in indexed],
        [one for name, one in conditions.items() if name not in indexed],
    )


def _columns(conditions: list[Any]) -> list[Any]:
    return [condition.left for condition in conditions]


def _time(chosen: Chosen) -> list[Any]:
    at = transactions.c.timestamp
    start = [] if chosen.start is None else [at >= chosen.start]
    return start if chosen.end is None else [*start, at < chosen.end]


def _key_of(conn: Connection, row_id: int, columns: Sequence[Column[Any]]) -> tuple[Any, ...]:
    row = conn.execute(select(*columns).where(transactions.c.id == row_id)).first()
    if row is None:
        raise InputError("its transaction was removed since: begin with the first page", "cursor")
    return tuple(row)
