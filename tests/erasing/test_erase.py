"""A person who is everywhere is erased everywhere, and everybody else stays."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner
from sqlalchemy import select

from app.accounts.tables import audit_log
from app.delivery.accounting import accounting
from app.erasing.columns import ELSEWHERE, IN_TEXTS, NONE, STAYS
from app.events.tables import envelopes
from app.intake import project_bytes
from app.protocol.envelope import parse_envelope
from app.protocol.packing import unpack
from app.stats.tables import affected_users, session_users
from app.store import Store
from tests.conftest import parts_of
from tests.erasing.planted import (
    EMAIL,
    IP,
    OTHER,
    USER_ID,
    event_row,
    hits,
    plant,
    raw_bytes_of,
    text_columns,
    texts_of,
)
from tests.search.steps import found

WHO = {"id": USER_ID, "email": EMAIL.upper(), "ip_address": IP, "username": "ann"}
OPTIONS = {
    "email": ("--email", EMAIL),
    "ip": ("--ip", f"::ffff:{IP}"),
    "id": ("--user-id", USER_ID),
}


def values_of(app: Flask) -> str:
    return "\n".join(content for _, content in texts_of(app))


@pytest.mark.parametrize(("option", "value"), OPTIONS.values(), ids=OPTIONS)
def test_person_who_is_everywhere_is_found_nowhere_afterwards(
    app: Flask, runner: FlaskCliRunner, option: str, value: str
) -> None:
    parts = parts_of(app)
    wanted = value.removeprefix("::ffff:")
    event_id = plant(app, wanted, WHO)
    assert len(set(hits(app, wanted))) > 15
    users = count(parts.store, affected_users), count(parts.store, session_users)
    counted = report_of(runner, option, value, "--dry-run")
    assert len(set(hits(app, wanted))) > 15  # Nothing was changed.
    report = report_of(runner, option, value, "--yes")
    assert hits(app, wanted) == []
    assert report["left"] == 0
    assert counted["counts"].keys() == report["counts"].keys()
    assert counted["counts"]["envelopes"] == report["counts"]["envelopes"] >= 10
    if parts.store.is_sqlite:
        assert wanted.encode() not in raw_bytes_of(parts.store).replace(OTHER.encode(), b"")
    # Everybody else is still there, and everything adds up.
    assert values_of(app).count(OTHER) > 8
    with parts.store.read() as conn:
        assert accounting(conn)["balanced"]
        said, there = project_bytes.read(conn), project_bytes.counted(conn)
    assert {key: one[:2] for key, one in said.items()} == {
        key: one[:2] for key, one in there.items()
    }
    assert count(parts.store, affected_users) <= users[0]
    assert count(parts.store, session_users) == users[1] - 1
    assert event_row(parts.store, event_id).title.startswith("LookupError: no order of [erased]")
    assert found(parts.store, f'"{wanted}"') == []
    assert len(found(parts.store, "LookupError")) == 2
    bodies_are_whole(parts.store)
    with parts.store.read() as conn:
        noted = conn.execute(select(audit_log).where(audit_log.c.action == "erased")).one()
    assert "hash" in noted.target and "done" in noted.detail
    again = report_of(runner, option, value, "--yes")
    assert not again["counts"].get("envelopes") and again["left"] == 0


def report_of(runner: FlaskCliRunner, *arguments: str) -> dict[str, Any]:
    answer = runner.invoke(args=["erase", *arguments, "--json"])
    assert answer.exit_code == 0, answer.output
    report: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    return report


def count(store: Store, table: Any) -> int:
    with store.read() as conn:
        return len(conn.execute(select(table)).all())


def bodies_are_whole(store: Store) -> None:
    with store.read() as conn:
        for body, size in conn.execute(select(envelopes.c.body, envelopes.c.size_bytes)):
            assert len(unpack(body)) == size
            parse_envelope(unpack(body))


def test_every_column_of_texts_is_handled_or_has_a_reason_why_not() -> None:
    handled = {(table, name) for table, (_, names) in IN_TEXTS.items() for name in names}
    lists = [handled]
    lists += [
        {(table, name) for table, names in some.items() for name in names}
        for some in (ELSEWHERE, STAYS, NONE)
    ]
    known = set().union(*lists)
    full_text = {"search_events", "search_event_tokens", "search_issues"}
    assert known - {(table, "tokens") for table in full_text} == text_columns()
    assert sum(map(len, lists)) == len(known)  # None is in two lists.
