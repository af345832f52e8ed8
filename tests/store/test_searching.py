"""Searching: in any case beyond ASCII too, whatever space surrounds it, on both databases."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update

from app import sentry
from app.events.tables import envelopes
from app.search.indexing import catch_up
from tests.conftest import parts_of
from tests.feedback_envelopes import feedback_item, send

TEXT = "ÅNGSTRÖM Größe ПАРОЛЬ 50%_boom"
FOUND = ["ångström", "GRÖ", "пароль", "BOOM", " boom ", "\tÅngström\n", "50%_", "e п"]
NOT_FOUND = ["ängström", "5%b", "boo_", "öm%", "пароли"]
# What lists by a field that is searched, and the field.
LISTS = [
    ("/api/issues?q=", "issues"),
    ("/api/events?q=", "events"),
    ("/api/feedback?q=", "feedback"),
    ("/memories?user_id=Ada&q=", "memories"),
    ("/api/deliveries?reason=", "deliveries"),
]
PAGES = ["issues?q=", "events?q=", "feedback?q=", "memories?q=", "deliveries?reason="]


@pytest.fixture(autouse=True)
def kept(app: Flask, client: FlaskClient) -> None:
    """One of each that has the text, and one that has not."""
    for text in (TEXT, "another"):
        sentry.capture_message(text)
        send(app, feedback_item(text))
    for user, text in (("Ada", TEXT), ("Ada", "another"), (TEXT, "tea")):
        body = {"user_id": user, "content": text}
        assert client.post("/memories", json=body).status_code == 201
    with parts_of(app).store.write() as conn:
        newest = update(envelopes).where(envelopes.c.id == 1)
        conn.execute(newest.values(reason=TEXT))
    catch_up(parts_of(app).store)


@pytest.mark.parametrize(("address", "name"), LISTS)
def test_every_list_finds_a_part_in_any_case_and_nothing_else(
    client: FlaskClient, address: str, name: str
) -> None:
    found = {part: client.get(address + quote(part)).json[name] for part in [*FOUND, *NOT_FOUND]}
    assert {part: len(rows) for part, rows in found.items()} == {
        **dict.fromkeys(FOUND, 1),
        **dict.fromkeys(NOT_FOUND, 0),
    }
    unfiltered = address.rpartition("&")[0] or address.partition("?")[0]
    nothing = client.get(address + quote("  ")).json[name]
    assert len(nothing) == len(client.get(unfiltered).json[name])


@pytest.mark.parametrize("address", PAGES)
def test_every_page_finds_a_part_in_any_case(admin_client: FlaskClient, address: str) -> None:
    for part in ("ångström", " boom "):
        page = admin_client.get(f"/admin/{address}{quote(part)}").text
        assert page.count('class="target"') == 1 or page.count('class="said wrap"') == 1, part
    # Issues and events are searched with accents aside.
    other = "angstroem" if address.startswith(("issues", "events")) else "ängström"
    page = admin_client.get(f"/admin/{address}{quote(other)}").text
    assert 'class="target"' not in page and 'class="said wrap"' not in page
