"""Pages of a list: along an index, and never past a bound where a filter has to look at each row.

conditions that an index answers ── window of at most SCAN_ROWS rows ── all other conditions

A list is sorted by a key that no two rows share, and the next page begins after the last key of the
page before. Conditions that an index answers together with that order cost what the page shows.
Any other condition is checked row by row, and only within a window: the page then ends where the
window ends, however few rows it has, and :attr:`Page.next` says where to go on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Column, Connection, Row, Select, func, literal, select, tuple_

# Some 5 to 40 ms of CPU on either database, depending on how wide the rows are.
SCAN_ROWS = 20_000
# Rows beyond a window that are asked whether the list goes on: what waited in an emergency folder
# for long is older than its neighbours, though not a hundred of them in a row.
LOOK_AHEAD = 100

Key = tuple[Any, ...]


class Page(NamedTuple):
    """Rows of one page.

    :param next: the key to go on after; ``None`` where nothing is left. A page with fewer rows than
        asked for, even none, has one when its window ended.
    :param is_cut: the window ended before the page was full.
    """

    rows: list[Row[Any]]
    next: Key | None
    is_cut: bool = False


class Count(NamedTuple):
    """How many rows there are; at least so many where it is not exact."""

    number: int
    is_exact: bool


class Listing(NamedTuple):
    """What a list is made of.

    :param key: the columns that it is sorted by, the last of them unique.
    :param along: conditions that an index answers in the order of the key.
    :param others: conditions that are checked row by row.
    :param descending: whether the largest key comes first.
    :param is_small: ``along`` leaves at most SCAN_ROWS rows, though not in the order of the key:
        they are all read and then sorted, and no database may walk along the key instead.
    """

    key: Sequence[Column[Any]]
    along: Sequence[Any] = ()
    others: Sequence[Any] = ()
    descending: bool = True
    is_small: bool = False
    goes_on_while: Any = None
    prefix: Key = ()

    def after(self, last: Any | None) -> Key | None:
        """Return the key to go on after from its last column; ``None`` for the first page."""
        return None if last is None else (*self.prefix, last)


def read_page(
    conn: Connection, query: Select[Any], listing: Listing, *, after: Key | None, limit: int
) -> Page:
    """Return a page of a list.

    :param query: selects the columns of the key under their own names; it has no order yet.
    :param after: the key where the page before ended, exclusive.
    :param limit: rows of the page.
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
    """Return how many rows a list has, counting no further than ``at_most`` and its window."""
    window, end = _window(conn, listing, after)
    # Without an order a database is free to count along an index that is no bound.
    rows = select(listing.key[-1]).where(*window, *listing.others).limit(at_most).subquery()
    number = int(conn.execute(select(func.count()).select_from(rows)).scalar_one())
    return Count(number, end is None and number < at_most)


def is_small(conn: Connection, column: Column[Any], *conditions: Any) -> bool:
    """Tell whether an index of ``column`` finds fewer than SCAN_ROWS rows by these conditions."""
    beyond = select(column).where(*conditions).order_by(column).offset(SCAN_ROWS - 1).limit(1)
    return conn.execute(beyond).first() is None


def key_of(row: Row[Any], listing: Listing) -> Key:
    """Return the key of a row."""
    return tuple(getattr(row, column.name) for column in listing.key)


def _window(conn: Connection, listing: Listing, after: Key | None) -> tuple[list[Any], Key | None]:
    """Return the conditions of the rows that may be read, and the last key if there are more."""
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
    """Return the condition that a row comes after a key, or not after it."""
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
    """Return a column for conditions that no database is to answer by an index of it.

    Within a window an index of another column is no bound: it leads to rows outside as well.
    """
    return func.coalesce(column, column)


def _columns(listing: Listing) -> list[Any]:
    return [hidden(column) if listing.is_small else column for column in listing.key]
