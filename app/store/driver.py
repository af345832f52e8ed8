"""Statements that are compiled once and then executed by the driver itself.

SQLAlchemy remembers a compiled statement, too. But around each execution it spends 30 to 60
microseconds, and SQLite a tenth of that. The transaction of the intake executes about fifteen
statements, so SQLAlchemy used more than half of its CPU. All other code executes statements with
SQLAlchemy.

This module does what SQLAlchemy does for correctness: it begins the transaction, converts values in
both directions, and raises the errors of the driver as SQLAlchemy's. A lost connection becomes
invalid. It leaves out what the intake does not need: ``Row`` objects, default values of columns
that Python computes, and SQLAlchemy's events such as ``before_cursor_execute``.
"""

from __future__ import annotations

import functools
import re
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from operator import itemgetter
from typing import Any, TypeVar

from sqlalchemy import Column, Connection, Engine, Insert, PoolProxiedConnection, bindparam
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError

Values = Mapping[str, Any]
Rows = list[tuple[Any, ...]]
Parameters = list[Sequence[Any]]
T = TypeVar("T")
# How psycopg marks a parameter with a name. Marks without a name cost it less.
_NAMED = re.compile(r"%\((\w+)\)s")


@dataclass(slots=True)
class _Plan:
    """A compiled statement.

    :param bind: returns the parameters in the order of the text.
    :param types: the types of the columns of its result.
    :param convert: converts the rows of its result. It is known after the first execution, because
        some conversions depend on the types that the database names.
    """

    text: str
    bind: Callable[[Values], Sequence[Any]]
    types: Sequence[Any]
    dialect: Dialect
    convert: Callable[[Rows], Rows] | None = None

    def converted(self, rows: Rows, cursor: Any) -> Rows:
        if self.convert is None:
            codes = [column[1] for column in cursor.description]
            self.convert = _converter(self.types, codes, self.dialect)
        return self.convert(rows)


@dataclass(slots=True)
class _Alone:
    """What :func:`_with_cursor` takes of a connection, without SQLAlchemy's transaction."""

    connection: PoolProxiedConnection
    dialect: Dialect

    def invalidate(self, error: BaseException) -> None:
        self.connection.invalidate(error)


class DriverStatement:
    """A statement that the driver executes.

    Its text depends on the names of the given values, as in ``Connection.execute``.

    :param build: returns the statement for a dialect, by the name of the dialect. It is called
        once for each text.
    :param takes: the name of a list among the values, if there is one. ``build`` then has a second
        parameter, the length of the list, for :func:`is_in`. There are texts for lists of 1, 2, 4,
        8 … values, so that there are few of them.
    """

    def __init__(self, build: Callable[..., Any], takes: str = "") -> None:
        self._build, self._takes = build, takes
        self._plans: dict[tuple[Any, ...], _Plan] = {}

    def run(self, conn: Connection, rows: Sequence[Values]) -> None:
        """Execute the statement for each row of values. Without rows nothing is executed.

        :param rows: all with the same names, sorted by the key of the rows that they change.
        """
        if rows:
            _execute(conn, self._plan(conn, rows[0]), rows, _run)

    def run_each(self, conn: Connection, rows: Sequence[Values]) -> list[int]:
        """Execute the statement as :meth:`run` does.

        :return: how many rows of the database were changed, for each row of values.
        """
        return _execute(conn, self._plan(conn, rows[0]), rows, _run_each) if rows else []

    def fetch(self, conn: Connection, values: Values) -> Rows:
        """Execute the statement once and return all rows of its result.

        :param values: if its list is empty, nothing is executed and the result is empty.
        """
        size = 0
        if self._takes:
            given = dict(values)
            some = given.pop(self._takes)
            if not some:
                return []
            size = 1 << (len(some) - 1).bit_length()
            filled = [*some, *some[-1:] * (size - len(some))]
            given.update(zip(_names(self._takes, size), filled, strict=True))
            values = given
        return _execute(conn, self._plan(conn, values, size), [values], _fetch_each)

    def fetch_each(self, conn: Connection, rows: Sequence[Values]) -> Rows:
        """Execute the statement for each row of values and return the rows of all results.

        :param rows: all with the same names. The results have their order; a row of values may have
            no result.
        """
        return _execute(conn, self._plan(conn, rows[0]), rows, _fetch_each) if rows else []

    def fetch_alone(self, engine: Engine, values: Values) -> Rows:
        """Execute the statement once, on a connection and in a transaction of its own."""
        alone = _Alone(engine.raw_connection(), engine.dialect)
        try:
            plan = self._plan(alone, values)
            return _with_cursor(alone, plan.text, _fetch_each, plan, [plan.bind(values)])
        finally:
            alone.connection.close()

    def _plan(self, conn: Any, values: Values, size: int = 0) -> _Plan:
        dialect = conn.dialect
        key = (dialect.name, *values)  # With a list, its length is among the names.
        plan = self._plans.get(key)
        if plan is None:
            made = self._build(dialect.name, size) if size else self._build(dialect.name)
            plan = self._plans[key] = _compile(made, dialect, values)
        return plan


def is_in(column: Column[Any], name: str, size: int) -> Any:
    """Return the condition that a column has one of the values of a list.

    :param name: the name of the list.
    :param size: its length.
    """
    return column.in_([bindparam(place, type_=column.type) for place in _names(name, size)])


@functools.lru_cache(maxsize=1000)
def _names(name: str, size: int) -> tuple[str, ...]:
    return tuple(f"{name}_{number}" for number in range(size))


# ---- executing ----------------------------------------------------------------------------------


def execute_text(conn: Connection, text: str) -> None:
    """Execute a text without a result and without beginning a transaction, such as ``BEGIN``."""
    _with_cursor(conn, text, lambda cursor: cursor.execute(text))


def _execute(
    conn: Connection,
    plan: _Plan,
    rows: Sequence[Values],
    how: Callable[[Any, _Plan, Parameters], T],
) -> T:
    """Execute a plan in the transaction of a connection."""
    parameters = list(map(plan.bind, rows))
    if not conn.in_transaction():
        conn.begin()
    return _with_cursor(conn, plan.text, how, plan, parameters)


def _with_cursor(conn: Any, text: str, how: Callable[..., T], *arguments: Any) -> T:
    """Call a function with a cursor of the driver, and translate the errors of the driver."""
    driver: Any = conn.connection.dbapi_connection
    # Connections of the store keep track of open results. Results of this module are read to their
    # end at once, so they need not be tracked.
    is_sqlite = isinstance(driver, sqlite3.Connection)
    cursor = sqlite3.Connection.cursor(driver) if is_sqlite else driver.cursor()
    try:
        return how(cursor, *arguments)
    except conn.dialect.loaded_dbapi.Error as error:
        # The frames of the error keep the cursor, and its statement keeps even a closed connection
        # open. No name is bound to the new error: a frame that holds its own error is
        # garbage in a cycle, and stays until the next search for garbage.
        cursor.close()
        raise _translated(conn, error, text, cursor) from error
    except Exception:
        raise  # The driver cannot send a value. SQLAlchemy does not change these errors either.
    except BaseException as error:
        conn.invalidate(error)  # It was interrupted, and the answer may still be on its way.
        raise


def _run(cursor: Any, plan: _Plan, parameters: Parameters) -> None:
    if len(parameters) == 1:
        cursor.execute(plan.text, parameters[0])
    else:
        cursor.executemany(plan.text, parameters)


def _run_each(cursor: Any, plan: _Plan, parameters: Parameters) -> list[int]:
    return [result.rowcount for result in _results(cursor, plan, parameters)]


def _fetch_each(cursor: Any, plan: _Plan, parameters: Parameters) -> Rows:
    results = _results(cursor, plan, parameters)
    rows = [row for result in results for row in result.fetchall()]
    return plan.converted(rows, cursor)


def _results(cursor: Any, plan: _Plan, parameters: Parameters) -> Iterable[Any]:
    """Return the cursor again and again, each time with the next result."""
    if len(parameters) == 1 or isinstance(cursor, sqlite3.Cursor):
        # The driver of SQLite refuses executemany() for statements that return rows.
        return map(cursor.execute, repeat(plan.text), parameters)
    cursor.executemany(plan.text, parameters, returning=True)  # One round trip for all of them.
    results: Iterable[Any] = cursor.results()
    return results


def _translated(conn: Any, error: Exception, text: str, cursor: Any) -> Exception:
    dialect = conn.dialect
    is_lost = dialect.is_disconnect(error, conn.connection, cursor)
    translated: Exception = DBAPIError.instance(
        text,
        None,  # Not the parameters: they are data of users, and this text may be logged.
        error,
        dialect.loaded_dbapi.Error,
        connection_invalidated=is_lost,
        dialect=dialect,
    )
    if is_lost:
        conn.invalidate(error)
    return translated


# ---- compiling ----------------------------------------------------------------------------------


def _compile(statement: Any, dialect: Dialect, values: Values) -> _Plan:
    if isinstance(statement, Insert) and not statement.returning_column_descriptions:
        statement = statement.inline()  # Otherwise it returns the primary key on PostgreSQL.
    compiled: Any = statement.compile(dialect=dialect, column_keys=list(values))
    if missing := [column.name for column in compiled.prefetch if column.name not in values]:
        raise TypeError(f"a value that SQLAlchemy would compute must be given: {missing}")
    text, names = str(compiled), compiled.positiontup
    if not compiled.positional:
        text, names = _NAMED.sub("%s", text), _NAMED.findall(text)
    types = [column.type for column in getattr(statement, "exported_columns", ())]
    return _Plan(text, _binder(names, compiled, dialect, values), types, dialect)


def _binder(
    names: Sequence[str], compiled: Any, dialect: Dialect, given: Values
) -> Callable[[Values], Sequence[Any]]:
    """Return a function that puts values into the order of the parameters."""
    constants = {name: compiled.params[name] for name in names if name not in given}
    types = {name: compiled.binds[name].type for name in names}
    converts = {
        name: type_.dialect_impl(dialect).bind_processor(dialect) for name, type_ in types.items()
    }
    if len(names) > 1 and not constants and not any(converts.values()):
        return itemgetter(*names)
    # A value may have several places in the text. It is converted once.
    steps = list(converts.items())
    positions = [list(converts).index(name) for name in names]
    reorder = itemgetter(*positions) if len(names) > len(steps) else None

    def bind(values: Values) -> Sequence[Any]:
        known = {**constants, **values} if constants else values
        bound = [
            known[name] if convert is None else convert(known[name]) for name, convert in steps
        ]
        return reorder(bound) if reorder else bound

    return bind


def _converter(
    types: Sequence[Any], codes: Sequence[Any], dialect: Dialect
) -> Callable[[Rows], Rows]:
    """Return a function that converts the rows of a result.

    :param codes: how the database names the types of the columns.
    """
    converts = [
        type_.dialect_impl(dialect).result_processor(dialect, code)
        for type_, code in zip(types, codes, strict=False)  # A statement as text has no types.
    ]
    steps = [(place, convert) for place, convert in enumerate(converts) if convert is not None]
    if not steps:
        return lambda rows: rows

    def converted(row: tuple[Any, ...]) -> tuple[Any, ...]:
        values = list(row)
        for place, convert in steps:
            values[place] = convert(values[place])
        return tuple(values)

    return lambda rows: list(map(converted, rows))
