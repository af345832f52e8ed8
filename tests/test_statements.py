"""INSERT where a row may be there, and work in batches, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Column, Connection, Integer, MetaData, String, Table, select

from app.store import (
    Store,
    added,
    delete_in_batches,
    first_within,
    in_batches,
    larger,
    new_if_any,
    replaced,
    smaller,
    upsert,
)

things = Table(
    "things",
    MetaData(),
    Column("name", String(10), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    *(Column(name, Integer) for name in ("total", "least", "most", "note", "last")),
)
FIRST = {"name": "a", "number": 1, "total": 5, "least": 5, "most": 5, "note": 5, "last": 5}
RULES: dict[str, Any] = {
    "total": added,
    "least": smaller,
    "most": larger,
    "note": new_if_any,
    "last": replaced,
}


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    store = Store(database_url)
    store.open()
    with store.write() as conn:
        things.create(conn)
        conn.execute(things.insert(), FIRST)
    yield store
    store.dispose()


def rows(conn: Connection) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in conn.execute(select(things).order_by(*things.primary_key))]


@pytest.mark.parametrize(
    ("value", "expected"), [(9, (14, 5, 9, 9, 9)), (2, (7, 2, 5, 2, 2)), (5, (10, 5, 5, 5, 5))]
)
def test_columns_get_what_their_rules_say(
    store: Store, value: int, expected: tuple[int, ...]
) -> None:
    new = {**FIRST, **dict.fromkeys(RULES, value)}
    with store.write() as conn:
        conn.execute(upsert(conn, things, **RULES), [new, {**new, "name": "b"}])
        assert rows(conn) == [("a", 1, *expected), ("b", 1, *[value] * 5)]


def test_null_is_no_new_note(store: Store) -> None:
    with store.write() as conn:
        conn.execute(upsert(conn, things, {**FIRST, "note": None}, note=new_if_any))
        assert rows(conn) == [tuple(FIRST.values())]


def test_without_rules_the_row_stays(store: Store) -> None:
    with store.write() as conn:
        conn.execute(upsert(conn, things, {**FIRST, "total": 9}))
        assert rows(conn) == [tuple(FIRST.values())]


def test_rows_of_a_select_change_only_where_they_may(store: Store) -> None:
    with store.write() as conn:
        conn.execute(upsert(conn, things), {**FIRST, "name": "b", "total": 1})
        same = select(things).where(things.c.number == 1)
        few = upsert(conn, things, same, where=lambda old, new: new.total > 3, total=added)
        conn.execute(few)
        assert [row[2] for row in rows(conn)] == [10, 1]


def test_statement_is_built_once_for_its_rules(store: Store) -> None:
    with store.read() as conn:
        built = upsert(conn, things, total=added)
        assert upsert(conn, things, total=added) is built
        assert upsert(conn, things, total=replaced) is not built
        assert upsert(conn.dialect.name, things, total=added) is built


def test_rows_are_deleted_in_batches(store: Store) -> None:
    with store.write() as conn:
        conn.execute(things.insert(), [{**FIRST, "number": number} for number in range(2, 9)])
    delete_in_batches(store, things, things.c.number < 7, 2)
    with store.read() as conn:
        assert [row[1] for row in rows(conn)] == [7, 8]


@pytest.mark.parametrize(("count", "batches"), [(0, []), (2, [[0, 1]]), (5, [[0, 1], [2, 3], [4]])])
def test_items_come_in_batches(count: int, batches: list[list[int]]) -> None:
    assert list(in_batches(range(count), 2)) == batches


@pytest.mark.parametrize(
    ("sizes", "expected"), [([], 0), ([99], 1), ([3, 3, 3], 3), ([4, 4, 4], 2), ([99, 1], 1)]
)
def test_first_rows_within_a_size_are_at_least_one(sizes: list[int], expected: int) -> None:
    assert first_within(sizes, 9, lambda size: size) == sizes[:expected]
