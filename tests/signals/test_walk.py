"""The walk: each stored envelope is read once, after its commit, whatever happens in between."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Connection, update

from app.events.tables import envelopes
from app.intake.pruning import remove_ids
from app.protocol.envelope import Envelope, Item
from app.signals.kind import Signal, Stored
from app.signals.state import read_up_to
from app.signals.walk import BATCH_SIZE, catch_up
from app.store import Store
from tests.conftest import Parts, parts_of


class Words(Signal):
    """Takes a word from each check-in; the word "poison" cannot be written."""

    item_types = frozenset({"check_in"})

    def __init__(self) -> None:
        self.written: list[str] = []

    def read(self, stored: Stored) -> Sequence[Any]:
        return [item.payload["word"] for item in stored.envelope.items if item.type == "check_in"]

    def write(self, conn: Connection, found: Sequence[Any], now: datetime) -> None:
        if "poison" in found:
            raise ValueError("a word that cannot be written")
        self.written += found


@pytest.fixture
def parts(app: Flask) -> Parts:
    return parts_of(app)


@pytest.fixture
def store(parts: Parts) -> Store:
    return parts.store


@pytest.fixture
def words() -> Words:
    return Words()


def send(parts: Parts, *of_envelopes: str, kind: str = "check_in") -> None:
    """Store an envelope for each text; its check-ins are the words of the text."""
    for text in of_envelopes:
        items = [Item({"type": kind}, {"word": word}) for word in text.split()]
        parts.intake.accept(Envelope({}, items), project_id=1, timeout_s=5)


def remove_newest(store: Store) -> None:
    with store.write() as conn:
        conn.execute(update(envelopes).values(state="local"))
    with store.read() as conn:
        newest = read_up_to(conn)
    assert remove_ids(store, [newest]) == 1


def test_each_envelope_is_read_once_and_others_are_passed_over(
    parts: Parts, store: Store, words: Words
) -> None:
    send(parts, "one", "two three")
    send(parts, "no", kind="client_report")
    assert catch_up(store, [words]) == 2
    assert words.written == ["one", "two", "three"]
    send(parts, "four")
    assert catch_up(store, [words]) == 1
    assert catch_up(store, [words]) == 0
    assert words.written == ["one", "two", "three", "four"]


def test_more_than_a_batch_is_read_in_the_order_of_receipt(
    parts: Parts, store: Store, words: Words
) -> None:
    expected = [str(number) for number in range(BATCH_SIZE + 2)]
    send(parts, *expected)
    catch_up(store, [words])
    assert words.written == expected


def test_type_with_a_similar_name_is_another_type(parts: Parts, store: Store, words: Words) -> None:
    send(parts, "one", kind="checkxin")
    send(parts, "two", kind="check_in_2")
    assert catch_up(store, [words]) == 0


def test_envelope_that_cannot_be_written_keeps_no_other_from_being_shown(
    parts: Parts, store: Store, words: Words, caplog: pytest.LogCaptureFixture
) -> None:
    send(parts, "one", "poison", "two")
    with caplog.at_level(logging.ERROR):
        catch_up(store, [words])
    assert words.written == ["one", "two"]
    assert "signals of an envelope are not shown" in caplog.text
    assert catch_up(store, [words]) == 0


def test_damaged_envelope_keeps_no_other_from_being_shown(
    parts: Parts, store: Store, words: Words, caplog: pytest.LogCaptureFixture
) -> None:
    send(parts, "one", "two")
    with store.write() as conn:
        conn.execute(update(envelopes).where(envelopes.c.id == 1).values(body=b"damaged"))
    catch_up(store, [words])
    assert words.written == ["two"]


def test_envelope_with_the_id_of_a_removed_one_is_read(
    parts: Parts, store: Store, words: Words
) -> None:
    send(parts, "one", "two")
    catch_up(store, [words])
    remove_newest(store)
    send(parts, "three")
    catch_up(store, [words])
    assert words.written == ["one", "two", "three"]


def test_envelope_that_is_removed_while_it_is_read_leaves_no_rows(
    parts: Parts, store: Store, words: Words, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(parts, "one", "two")
    read = words.read

    def removing(stored: Stored) -> Sequence[Any]:
        if stored.id == 1:
            with store.write() as conn:
                conn.execute(update(envelopes).values(state="local"))
            remove_ids(store, [1])
        return read(stored)

    monkeypatch.setattr(words, "read", removing)
    catch_up(store, [words])
    assert words.written == ["two"]
