"""What a list shows of its issues in a range, read with one question and as one row an issue.

    packed = packed_of(conn, [row.id for row in page.rows], window)
    figures = unpacked(row, packed[row.id], window, chosen)

The counts of hours and days stay packed in a text until somebody needs them: a page that shows
fifty issues as it did before compares texts, and reads no numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Connection,
    Integer,
    String,
    Table,
    and_,
    bindparam,
    case,
    cast,
    func,
    literal_column,
    null,
    or_,
    select,
)

from app.inputs import Range
from app.issues.figures import Figures, Whole, moments_of, users_in
from app.issues.tables import issue_days, issue_hours, issues, transitions
from app.stats.tables import affected_days, affected_users
from app.stats.users import ISSUE, MAX_USERS
from app.stats.windows import FOREVER, HOURS_A_DAY, Window
from app.store import DriverStatement
from app.store.driver import is_in

# More than the events of an hour or a day, which fit into 32 bits.
_UNIT = 2**32


class Packed(NamedTuple):
    """What is stored of an issue in a window.

    :param hours: the hours with events, each as one number: the hours since the window began,
        times _UNIT, plus the events.
    :param days: the same of older days, by their first hour.
    :param met: the users who were met in the window, if the issue has others.
    :param by_days: the sum of the users of its days, if ``met`` may be wrong and there are any.
    """

    hours: str | None
    days: str | None
    met: int | None
    by_days: int | None
    comments: int


def packed_of(conn: Connection, issue_ids: Sequence[int], window: Window) -> dict[int, Packed]:
    """Return what is stored of issues in a window.

    :param issue_ids: at most 1,000.
    :param window: without the range before.
    """
    given = {"ids": list(issue_ids), **packed_values(window)}
    return {row[0]: Packed(*row[1:]) for row in _PACKED.fetch(conn, given)}


def packed_values(window: Window) -> dict[str, Any]:
    """Return the parameters of :func:`packed_columns`."""
    first_at, end_at = moments_of(window)
    end = FOREVER if window.is_open else window.end
    return {
        "first": window.first,
        "end": end,
        "first_day": -(-window.first // HOURS_A_DAY),
        "from_day": window.first // HOURS_A_DAY,
        "end_day": -(-end // HOURS_A_DAY),
        "first_at": first_at,
        "end_at": end_at,
        "sure_below": MAX_USERS if window.is_open else 0,
    }


def unpacked(issue: Any, packed: Packed, window: Window, range: Range) -> Figures:
    """Return the figures of an issue in a range."""
    counts = [0] * window.buckets
    for text in (packed.hours, packed.days):
        for hour, events in _numbers(text):
            window.place(counts, hour // window.width, events)
    trend = tuple(counts)
    whole = Whole.of(issue, window)
    if range.is_all:
        return Figures(whole.events, whole.users, True, trend, None)
    events = sum(trend)
    by_days = None if packed.by_days is None else int(packed.by_days)
    users = users_in(whole, packed.met or 0, by_days, window) if events else (0, True)
    return Figures(events, *users, trend, None)


def _numbers(text: str | None) -> Iterator[tuple[int, int]]:
    for both in text.split(",") if text else ():
        yield divmod(int(both), _UNIT)


def packed_columns(dialect: str) -> list[Any]:
    """Return, for a query of ``issues``, the columns of :class:`Packed`."""
    columns, hours, days = issues.c, issue_hours.c, issue_days.c
    moment = columns.first_seen.type
    is_within = and_(
        columns.first_seen >= bindparam("first_at", type_=moment),
        columns.last_seen < bindparam("end_at", type_=moment),
    )
    is_sure = or_(is_within, columns.users < bindparam("sure_below", type_=Integer))
    return [
        _text(dialect, issue_hours, hours.hour, hours.hour, "first", "end"),
        _text(dialect, issue_days, days.day, days.day * HOURS_A_DAY, "first_day", "end_day"),
        case((is_within, null()), else_=_met()),
        case((is_sure, null()), else_=_by_days()),
        _comments(),
    ]


def _packed(dialect: str, size: int) -> Any:
    return select(issues.c.id, *packed_columns(dialect)).where(is_in(issues.c.id, "ids", size))


def _text(dialect: str, table: Table, time: Any, hour: Any, first: str, end: str) -> Any:
    since = hour - bindparam("first", type_=Integer)
    # One number takes half as long to become a text as two.
    both = cast(since, BigInteger) * literal_column(str(_UNIT)) + table.c.events
    joined = func.group_concat(both) if dialect == "sqlite" else _joined(both)
    found = select(joined).where(
        table.c.issue_id == issues.c.id,
        time >= bindparam(first, type_=Integer),
        time < bindparam(end, type_=Integer),
    )
    return found.correlate(issues).scalar_subquery()


def _joined(number: Any) -> Any:
    return func.string_agg(cast(number, String), literal_column("','"))


def _met() -> Any:
    columns = affected_users.c
    found = select(func.count()).where(
        columns.kind == literal_column(str(ISSUE)),
        columns.of_id == issues.c.id,
        columns.last_hour >= bindparam("first", type_=Integer),
        columns.first_day < bindparam("end_day", type_=Integer),
    )
    return found.correlate(issues).scalar_subquery()


def _by_days() -> Any:
    columns = affected_days.c
    found = select(func.sum(columns.users)).where(
        columns.kind == literal_column(str(ISSUE)),
        columns.of_id == issues.c.id,
        columns.day >= bindparam("from_day", type_=Integer),
        columns.day < bindparam("end_day", type_=Integer),
    )
    return found.correlate(issues).scalar_subquery()


def _comments() -> Any:
    columns = transitions.c
    found = select(func.count()).where(
        columns.issue_id == issues.c.id, columns.kind == literal_column("'commented'")
    )
    return found.correlate(issues).scalar_subquery()


_PACKED = DriverStatement(_packed, takes="ids")
