"""Statements that the driver executes: the same rows and errors as with SQLAlchemy."""

from __future__ import annotations

import signal
import sqlite3
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from enum import StrEnum
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    Date,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    bindparam,
    func,
    select,
    text,
    update,
)
from sqlalchemy.exc import DataError, IntegrityError

from app.store import (
    DriverStatement,
    Store,
    StoreBusy,
    StoreUnavailable,
    UtcDateTime,
    added,
    insert_for,
    is_in,
    upsert,
)


class Fate(StrEnum):
    KEPT = "kept"


things = Table(
    "things",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("name", String(40), unique=True),
    Column("number", BigInteger),
    Column("share", Float),
    Column("is_good", Boolean),
    Column("at", UtcDateTime),
    Column("day", Date),
    Column("words", JSON(none_as_null=True)),
    Column("body", LargeBinary),
    Column("fate", String(10)),
    Column("guessed", Integer, default=7),
)
INSERT = DriverStatement(lambda dialect: things.insert())
INSERT_NEW = DriverStatement(
    lambda dialect: (
        insert_for(dialect, things)
        .on_conflict_do_nothing(index_elements=["name"])
        .returning(things.c.name, things.c.id)
    )
)
NAMED = DriverStatement(
    lambda dialect, size: select(things.c.name).where(is_in(things.c.name, "names", size)),
    takes="names",
)
ALL = DriverStatement(lambda dialect: select(things).order_by(things.c.id))
MORE = DriverStatement(
    lambda dialect: (
        update(things)
        .where(things.c.name == bindparam("of"))
        .values(number=things.c.number + bindparam("more"))
    )
)
ADD = DriverStatement(lambda dialect: upsert(dialect, things, number=added))

FULL: dict[str, Any] = {
    "id": 1,
    "name": "naïve \N{SNOWMAN}",
    "number": 2**63 - 1,
    "share": 0.1,
    "is_good": True,
    "at": datetime(2026, 3, 4, 5, 6, 7, 89, timezone(timedelta(hours=2))),
    "day": date(2026, 3, 4),
    "words": [{"path": "a.b", "rule": "\ud800"}],
    "body": b"\x00\xff",
    "fate": Fate.KEPT,
    "guessed": 1,
}
EMPTY = {**dict.fromkeys(FULL), "id": 2}


def row(number: int, /, **values: Any) -> dict[str, Any]:
    return {"id": number, "name": f"thing {number}", "number": number, "guessed": 0} | values


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    store = Store(database_url)
    store.open()
    with store.write() as conn:
        things.create(conn)
    yield store
    store.dispose()


def names_in(store: Store) -> list[str]:
    with store.read() as conn:
        return list(conn.scalars(select(things.c.name).order_by(things.c.id)))


only_sqlite, only_postgresql = (
    pytest.mark.parametrize("database_url", [name], indirect=True)
    for name in ("sqlite", "postgresql")
)


# ---- values -------------------------------------------------------------------------------------


def test_rows_are_stored_and_read_as_sqlalchemy_does(store: Store) -> None:
    with store.write() as conn:
        INSERT.run(conn, [FULL, EMPTY])
        by_driver = [tuple(row) for row in conn.execute(select(things).order_by(things.c.id))]
        assert ALL.fetch(conn, {}) == by_driver
        stored_by_driver = raw_rows(conn)
        conn.execute(things.delete())
        conn.execute(things.insert(), [FULL, EMPTY])
        assert raw_rows(conn) == stored_by_driver
    (at,) = [value for value in by_driver[0] if isinstance(value, datetime)]
    assert (at, at.tzinfo) == (FULL["at"], UTC)
    assert by_driver[1] == (2, *[None] * 10)


def raw_rows(conn: Connection) -> list[Any]:
    return [tuple(row) for row in conn.execute(text("SELECT * FROM things ORDER BY id"))]


@pytest.mark.parametrize("count", [1, 2, 300])
def test_each_row_of_values_has_its_result(store: Store, count: int) -> None:
    with store.write() as conn:
        INSERT.run(conn, [row(number) for number in range(0, count, 2)])
        found = INSERT_NEW.fetch_each(conn, [row(number) for number in range(count)])
        assert found == [(f"thing {number}", number) for number in range(1, count, 2)]
        rows = [{"of": f"thing {number}", "more": 5} for number in range(-1, count)]
        assert MORE.run_each(conn, rows) == [0, *[1] * count]
        assert [values[2] for values in ALL.fetch(conn, {})] == [n + 5 for n in range(count)]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 9, 5000])
def test_list_of_any_length_finds_its_rows_only(store: Store, count: int) -> None:
    with store.write() as conn:
        INSERT.run(conn, [row(number) for number in range(count + 3)])
        names = [f"thing {number}" for number in range(count)]
        found = NAMED.fetch(conn, {"names": ["no thing", *names]})
        assert sorted(name for (name,) in found) == sorted(names)


def test_without_rows_nothing_is_executed(store: Store) -> None:
    with store.read() as conn:
        INSERT.run(conn, [])
        assert NAMED.fetch(conn, {"names": []}) == []
        assert INSERT_NEW.fetch_each(conn, []) == MORE.run_each(conn, []) == []
        assert not conn.in_transaction()


def test_text_depends_on_the_names_of_the_values(store: Store) -> None:
    with store.write() as conn:
        ADD.run(conn, [{"id": 1, "number": 3, "guessed": 0}])
        ADD.run(conn, [{"id": 1, "number": 4, "guessed": 0, "name": "x"}])
        ADD.run(conn, [{"id": 2, "number": 4, "guessed": 0, "name": "x"}])
        assert [row[:3] for row in ALL.fetch(conn, {})] == [(1, None, 7), (2, "x", 4)]


def test_default_that_python_computes_is_demanded(store: Store) -> None:
    with store.write() as conn, pytest.raises(TypeError, match="guessed"):
        INSERT.run(conn, [{"id": 1}])


# ---- errors -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [{"name": "\ud800"}, {"name": "a\x00b"}, {"number": 2**64}, {"name": "thing 1"}],
    ids=["surrogate", "NUL", "65 bits", "known key"],
)
@pytest.mark.parametrize("others", [0, 2])
def test_value_that_cannot_be_stored_raises_what_sqlalchemy_raises(
    store: Store, value: dict[str, Any], others: int
) -> None:
    rows = [*[row(number) for number in range(10, 10 + others)], row(2, **value)]
    errors: list[type[BaseException] | None] = []
    with store.write() as conn:
        INSERT.run(conn, [row(1)])
    for execute in (
        lambda conn: conn.execute(things.insert(), rows),
        lambda conn: INSERT.run(conn, rows),
        lambda conn: INSERT_RETURNING.fetch_each(conn, rows),
    ):
        try:
            with store.write() as conn:
                execute(conn)
            with store.write() as conn:
                conn.execute(things.delete().where(things.c.id > 1))
            errors.append(None)
        except Exception as error:
            errors.append(type(error))
        assert names_in(store) == ["thing 1"]
    assert errors[1:] == errors[:1] * 2


INSERT_RETURNING = DriverStatement(lambda dialect: things.insert().returning(things.c.id))


def test_faults_of_values_are_not_faults_of_the_store(store: Store) -> None:
    with pytest.raises(IntegrityError), store.write() as conn:
        INSERT.run(conn, [row(1), row(1)])
    if not store.is_sqlite:
        with pytest.raises(DataError), store.write() as conn:
            INSERT.run(conn, [row(1, name="a\x00b")])
    assert not store.write_failed
    assert names_in(store) == []


def test_held_row_or_store_is_busy(store: Store) -> None:
    with store.write() as conn:
        INSERT.run(conn, [row(1)])
    if store.is_sqlite:
        other: Any = sqlite3.connect(str(store.url.database), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusy), store.read() as conn:
            INSERT.run(conn, [row(2)])
    else:
        other = psycopg.connect(store.url.set(drivername="postgresql").render_as_string(False))
        other.execute("SELECT * FROM things FOR UPDATE")
        with pytest.raises(StoreBusy), store.write(timeout_s=0.2) as conn:
            MORE.run(conn, [{"of": "thing 1", "more": 1}])
    other.close()
    with store.write() as conn:
        INSERT.run(conn, [row(3)])
    assert names_in(store) == ["thing 1", "thing 3"]


@only_sqlite
def test_full_disk_is_unavailable_and_the_next_write_succeeds(store: Store) -> None:
    large = [row(number, body=b"x" * 100_000) for number in range(20)]
    with pytest.raises(StoreUnavailable, match="full"), store.write() as conn:
        conn.exec_driver_sql("PRAGMA max_page_count = 1")
        INSERT.run(conn, large)
    assert store.write_failed
    with store.write() as conn:
        INSERT.run(conn, large)
    assert len(names_in(store)) == 20


def test_store_that_may_only_be_read_is_unavailable(store: Store) -> None:
    with pytest.raises(StoreUnavailable, match=r"(?i)read-?only"), store.read() as conn:
        if store.is_sqlite:
            conn.exec_driver_sql("PRAGMA query_only = ON")
        INSERT.run(conn, [row(1)])
    with store.write() as conn:
        INSERT.run(conn, [row(1)])
    assert names_in(store) == ["thing 1"]


def test_damaged_store_is_unavailable(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    store = Store(f"sqlite:///{path}")
    with store.write() as conn:
        things.create(conn)
        INSERT.run(conn, [row(number, body=b"x" * 5000) for number in range(50)])
    store.dispose()
    content = path.read_bytes()
    path.write_bytes(content[:8192] + b"\xee" * (len(content) - 8192))
    with pytest.raises(StoreUnavailable, match="malformed"), store.read() as conn:
        ALL.fetch(conn, {})
    store.dispose()


@only_postgresql
def test_lost_connection_is_unavailable_and_not_used_again(store: Store) -> None:
    backend = select(func.pg_backend_pid())
    with pytest.raises(StoreUnavailable), store.write() as conn:
        lost = conn.scalar(backend)
        with psycopg.connect(
            store.url.set(drivername="postgresql").render_as_string(False), autocommit=True
        ) as other:
            other.execute("SELECT pg_terminate_backend(%s)", [lost])
        try:
            INSERT.run(conn, [row(1)])
        finally:
            assert conn.invalidated
    with store.write() as conn:
        assert conn.scalar(backend) != lost
        INSERT.run(conn, [row(2)])
    assert names_in(store) == ["thing 2"]


@only_postgresql
def test_connection_of_an_interrupted_statement_is_not_used_again(store: Store) -> None:

    class Interrupt(BaseException):
        pass

    def interrupt(*_: object) -> None:
        raise Interrupt

    sleep = DriverStatement(lambda dialect: select(func.pg_sleep(20)))
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with pytest.raises(Interrupt), store.write() as conn:
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            try:
                sleep.fetch(conn, {})
            finally:
                assert conn.invalidated
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    with store.read() as conn:
        assert ALL.fetch(conn, {}) == []


# ---- transactions -------------------------------------------------------------------------------


def test_statement_begins_the_transaction_of_a_read(store: Store) -> None:
    with store.read() as conn:
        assert ALL.fetch(conn, {}) == []
        with store.write() as other:
            INSERT.run(other, [row(1)])
        assert ALL.fetch(conn, {}) == []
    with store.read() as conn:
        assert len(ALL.fetch(conn, {})) == 1


def test_exception_after_a_statement_rolls_it_back(store: Store) -> None:
    with pytest.raises(RuntimeError), store.write() as conn:
        INSERT.run(conn, [row(1), row(2)])
        raise RuntimeError("no")
    assert names_in(store) == []


def test_savepoint_of_sqlalchemy_contains_the_statement(store: Store) -> None:
    with store.write() as conn:
        with pytest.raises(IntegrityError), conn.begin_nested():
            INSERT.run(conn, [row(1), row(1)])
        INSERT.run(conn, [row(3)])
    assert names_in(store) == ["thing 3"]
