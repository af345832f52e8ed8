"""A long query stands in few addresses of its page, however many rows and choices there are."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.projects.records import create_project
from tests.admin.hostile import insert
from tests.conftest import parts_of
from tests.signals.logs.steps import entry, send

pytestmark = pytest.mark.one_database

# In an address each takes twelve bytes.
LONG = "!" + "\U0001f600" * 900


@pytest.mark.parametrize("page", ["issues", "events", "logs"])
def test_long_query_is_repeated_by_few_links(
    app: Flask, admin_client: FlaskClient, page: str
) -> None:
    facts = [{"environment": f"env{n}", "release": f"shop@{n}"} for n in range(10)]
    for number, fact in enumerate(facts):
        insert(app, {"message": f"declined{'x' * number}", **fact})
    named = [{f"sentry.{name}": value for name, value in fact.items()} for fact in facts]
    send(parts_of(app), *(entry("paid", attributes=each | {"plan": "gold"}) for each in named))
    for number in range(2, 22):
        create_project(parts_of(app).store, "Shop", number, f"{number:032}")
    answer = admin_client.get(f"/admin/{page}?period=all&query={quote(LONG)}")
    assert answer.text.count(quote("\U0001f600" * 900)) <= 8
    assert len(answer.data) <= 150_000
    short = admin_client.get(f"/admin/{page}?period=all&query=!other").text
    assert "environment%3Aenv1" in short and "query=%21other&amp;project=2" in short
