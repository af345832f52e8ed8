"""Attachments have a budget of their own: files go, errors stay."""

from __future__ import annotations

import os
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from app.delivery import accounting
from app.events.tables import envelopes, events
from app.intake import project_bytes
from app.intake.attachment_budget import BUDGET, trim_attachments
from app.intake.pressure import relieve
from app.intake.pruning import candidates, remove
from app.protocol.envelope import Envelope, Item, parse_envelope
from app.protocol.packing import unpack
from tests.conftest import parts_of
from tests.intake.test_store_bound import FLOOD, HONEST, MIB, have_wait, send, shops  # noqa: F401

LIMIT = 8 * MIB


@pytest.fixture
def flooded(shops: Flask) -> Flask:  # noqa: F811 -- the fixture of the other file
    """One project with 3 MiB of files, another one with a small file."""
    send(shops, HONEST, "Honest", attached=1000)
    for number in range(30):
        send(shops, FLOOD, f"Flood{number}", attached=100_000)
    return shops


def files_of(app: Flask, project_id: int) -> int:
    query = select(envelopes.c.body).where(envelopes.c.project_id == project_id)
    with parts_of(app).store.read() as conn:
        bodies = list(conn.scalars(query))
    return sum(parse_envelope(unpack(body)).item_types.count("attachment") for body in bodies)


def events_there(app: Flask) -> int:
    with parts_of(app).store.read() as conn:
        return int(conn.execute(select(func.count()).select_from(events)).scalar_one())


def test_files_beyond_the_budget_go_and_every_event_stays(flooded: Flask) -> None:
    store = parts_of(flooded).store
    relieve(store, LIMIT)
    with store.read() as conn:
        counted, said = project_bytes.counted(conn), project_bytes.read(conn)
        assert accounting.accounting(conn)["balanced"]
    assert sum(one.attachment_bytes for one in said.values()) <= BUDGET * LIMIT
    assert {id: one[:2] for id, one in said.items()} == {id: one[:2] for id, one in counted.items()}
    assert 0 < files_of(flooded, FLOOD) < 30
    assert files_of(flooded, HONEST) == 1
    assert events_there(flooded) == 31


def test_envelope_of_nothing_but_files_goes_as_a_whole(shops: Flask) -> None:  # noqa: F811
    intake = parts_of(shops).intake
    for number in range(2):
        file = Item({"type": "attachment", "filename": "a"}, bytes([number]) * 100)
        envelope = Envelope({"event_id": f"{number:032x}"}, [file])
        intake.accept(envelope, project_id=FLOOD, timeout_s=10)
    assert trim_attachments(intake.store, 1000) == 2
    with intake.store.read() as conn:
        assert conn.execute(select(envelopes.c.id)).all() == []
        assert accounting.accounting(conn)["balanced"]


def test_event_says_that_its_attachment_is_no_longer_kept(
    shops: Flask,  # noqa: F811
    login: Any,
) -> None:
    intake, ids = parts_of(shops).intake, [f"{number:032x}" for number in range(1, 4)]
    file = Item({"type": "attachment", "filename": "dump.txt"}, os.urandom(500))

    def accept(event_id: str, *items: Item) -> None:
        intake.accept(Envelope({"event_id": event_id}, [*items]), project_id=FLOOD, timeout_s=10)

    error = {"exception": {"values": [{"type": "OrderError", "value": "x"}]}}
    accept(ids[0], Item({"type": "event"}, dict(error)), file)  # With the event,
    accept(ids[1], Item({"type": "event"}, dict(error)))
    accept(ids[1], file)  # in an envelope of its own,
    accept(ids[2], Item({"type": "event"}, dict(error)))  # and none at all.
    trim_attachments(intake.store, 1000)
    client = login(shops.test_client())
    pages = [client.get(f"/admin/events/{event_id}").text for event_id in ids]
    said_of = [client.get(f"/api/events/{event_id}").json for event_id in ids]
    assert ["They are no longer kept" in page for page in pages] == [True, True, False]
    assert [one["attachments_removed"] for one in said_of] == [True, True, False]
    assert [one["attachments"] for one in said_of] == [[], [], []]


def test_event_says_so_where_the_store_bound_removed_the_file(shops: Flask) -> None:  # noqa: F811
    store, intake, event_id = parts_of(shops).store, parts_of(shops).intake, "a" * 32
    file = Item({"type": "attachment", "filename": "dump.txt"}, os.urandom(500))
    error = {"exception": {"values": [{"type": "OrderError", "value": "x"}]}}
    # The file came first, and is therefore the oldest.
    for item in (file, Item({"type": "event"}, error)):
        envelope = Envelope({"event_id": event_id}, [item])
        intake.accept(envelope, project_id=FLOOD, timeout_s=10)
    remove(store, candidates(store), at_most=1)
    with store.read() as conn:
        found = conn.execute(select(events.c.attachments_removed)).scalars().all()
    assert found == [True]


def test_files_that_wait_for_delivery_stay(flooded: Flask) -> None:
    have_wait(flooded, FLOOD, HONEST)
    assert trim_attachments(parts_of(flooded).store, LIMIT) == 0
    assert files_of(flooded, FLOOD) == 30
