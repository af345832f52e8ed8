"""Pages of a list, read along an index, with a bound on the rows that a filter checks.

conditions that an index answers ── window of at most SCAN_ROWS rows ── all other conditions

A list is sorted by a unique key. The next page begins after the last key of the page before. If an
index answers the conditions in that order, a page costs only the rows it shows. Any other condition
is checked row by row, and only within a window. The page then ends where the window ends, however
few rows it has, and :attr:`Page.next` is the key to continue after.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Column, Connection, Row, Select, func, literal, select, tuple_

# About 5 to 40 ms of CPU on either database, depending on the width of the rows.
SCAN_ROWS = 20_000
# How many rows after a window are checked to see whether the list continues. An envelope that was
# in an emergency folder for long is older than its neighbours, but not a hundred of them in a row.
LOOK_AHEAD = 100

Key = tuple[Any, ...]


class Page(NamedTuple):
    """The rows of one page.

    :param next: the key to continue after; ``None`` at the end of the list. If the window ended, a
        page has a next key even if it has fewer rows than asked for, or none.
    :param is_cut: whether the window ended before the page was full.
    """

    rows: list[Row[Any]]
    next: Key | None
    is_cut: bool = False


class Count(NamedTuple):
    """The number of rows. If it is not exact, there are at least this many."""

    number: int
    is_exact: bool


class Listing(NamedTuple):
    """The definition of a list.

    :param key: the columns that sort the list. The last one is unique.
    :param along: conditions that an index answers in the order of the key.
    :param others: conditions that are checked row by row.
    :param descending: whether the largest key comes first.
    :param is_small: ``along`` leaves at most SCAN_ROWS rows, but not in the order of the key. All
        of them are read and then sorted, and no database may use an index of the key instead.
    :param goes_on_while: a condition for rows after the window. If none of the next LOOK_AHEAD rows
        meets it, the list ends. ``None`` means that the list continues.
    :param prefix: values of all key columns but the last, for :meth:`after`.
    """

    key: Sequence[Column[Any]]
    along: Sequence[Any] = ()
    others: Sequence[Any] = ()
    descending: bool = True
    is_small: bool = False
    goes_on_while: Any = None
    prefix: Key = ()

    def after(self, last: Any | None) -> Key | None:
        """Return the key to continue after, given its last column; ``None`` for the first page."""
        return None if last is None else (*self.prefix, last)


def read_page(
    conn: Connection, query: Select[Any], listing: Listing, *, after: Key | None, limit: int
) -> Page:
    """Return a page of a list.

    :param query: selects the key columns under their own names. It must not have an order.
    :param after: the key where the page before ended. It is not included.
    :param limit: the number of rows of a page.
    """
    window, end = _window(conn, listing, after)
    query = query.where(*window, *listing.others).order_by(*_order(listing)).limit(limit + 1)
    rows = list(conn.execute(query))
    if len(rows) > limit:
        return Page(rows[:limit], key_of(rows[limit - 1], listing))
    if end is not None and not _goes_on(conn, listing, end):
        end = None
    return Page(rows, end, is_cut=end is not None)


def count_rows(
    conn: Connection, listing: Listing, *, after: Key | None = None, at_most: int
) -> Count:
    """Return the number of rows of a list, counted up to ``at_most`` and within its window."""
    window, end = _window(conn, listing, after)
    # Without an order, a database could count along an index that does not bound the work.
    rows = select(listing.key[-1]).where(*window, *listing.others).limit(at_most).subquery()
    number = int(conn.execute(select(func.count()).select_from(rows)).scalar_one())
    return Count(number, end is None and number < at_most)


def is_small(conn: Connection, column: Column[Any], *conditions: Any) -> bool:
    """Return whether an index of ``column`` finds fewer than SCAN_ROWS rows by these conditions."""
    beyond = select(column).where(*conditions).order_by(column).offset(SCAN_ROWS - 1).limit(1)
    return conn.execute(beyond).first() is None


def key_of(row: Row[Any], listing: Listing) -> Key:
    """Return the key of a row."""
    return tuple(getattr(row, column.name) for column in listing.key)


def _window(conn: Connection, listing: Listing, after: Key | None) -> tuple[list[Any], Key | None]:
    """Return the conditions of the readable rows, and the last key if there are more rows."""
    conditions = list(listing.along)
    if after is not None:
        conditions.append(_compared(listing, after, beyond=True))
    if not listing.others or listing.is_small:
        return conditions, None
    last = select(*listing.key).where(*conditions).order_by(*_order(listing))
    end = conn.execute(last.offset(SCAN_ROWS - 1).limit(1)).first()
    if end is None:
        return conditions, None
    return [*conditions, _compared(listing, tuple(end), beyond=False)], tuple(end)


def _goes_on(conn: Connection, listing: Listing, end: Key) -> bool:
    if listing.goes_on_while is None:
        return True
    beyond = _compared(listing, end, beyond=True)
    rows = select(listing.goes_on_while.label("meets")).where(*listing.along, beyond)
    ahead = rows.order_by(*_order(listing)).limit(LOOK_AHEAD).subquery()
    return conn.execute(select(ahead).where(ahead.c.meets).limit(1)).first() is not None


def _compared(listing: Listing, key: Key, *, beyond: bool) -> Any:
    """Return the condition that a row comes after a key, or does not."""
    values = [literal(value, column.type) for value, column in zip(key, listing.key, strict=True)]
    single = len(values) == 1
    columns = _columns(listing)
    own: Any = columns[0] if single else tuple_(*columns)
    other: Any = values[0] if single else tuple_(*values)
    if listing.descending:
        return own < other if beyond else own >= other
    return own > other if beyond else own <= other


def _order(listing: Listing) -> list[Any]:
    columns = _columns(listing)
    return [column.desc() if listing.descending else column.asc() for column in columns]


def hidden(column: Column[Any]) -> Any:
    """Return a column for conditions that no database may answer with an index of it.

    Within a window, an index of another column is no bound: it also finds rows outside.
    """
    return func.coalesce(column, column)


def _columns(listing: Listing) -> list[Any]:
    return [hidden(column) if listing.is_small else column for column in listing.key]
