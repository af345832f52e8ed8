"""A person is erased from lines of logs, and from what finds them."""

from __future__ import annotations

import json

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner
from sqlalchemy import select

from app.search.tokens import equal
from app.signals.logs import bits
from app.signals.logs.tables import log_blocks
from tests.conftest import parts_of
from tests.signals.logs.steps import entry, found, send

EMAIL, USER_ID, IP = "ann@shop.example", "customer-4711", "203.0.113.77"


@pytest.mark.parametrize(
    ("option", "value", "query"),
    [
        ("--email", EMAIL, f"user.email:{EMAIL}"),
        ("--user-id", USER_ID, f"user.id:{USER_ID}"),
        ("--ip", IP, f"client.address:{IP}"),
    ],
)
def test_person_is_erased_from_lines_and_their_blocks(
    app: Flask, runner: FlaskCliRunner, option: str, value: str, query: str
) -> None:
    parts = parts_of(app)
    theirs = {"user.id": USER_ID, "user.email": EMAIL, "client.address": IP, "plan": "gold"}
    send(parts, entry(f"login of {value} worked", attributes=theirs), entry("of nobody"))
    send(parts, entry("of another", attributes={"user.id": "customer-4712"}))
    assert len(found(parts, query)) == 1
    answer = runner.invoke(args=["erase", option, value, "--yes", "--json"])
    assert answer.exit_code == 0, answer.output
    report = json.loads(answer.stdout.splitlines()[-1])
    assert report["counts"]["logs"] == 1 and report["left"] == 0
    assert found(parts, query) == found(parts, f'"{value}"') == []
    assert sorted(found(parts)) == ["login of [erased] worked", "of another", "of nobody"]
    assert found(parts, "plan:gold") == ["login of [erased] worked"]
    # The block is made again, so that its bits do not tell who was there.
    with parts.store.read() as conn:
        (block,) = conn.scalars(select(log_blocks.c.bits))
    for key in query.partition(":")[0], f"tags[{query.partition(':')[0]}]":
        assert not bits.has(block, bits.places(equal(key, value)))
