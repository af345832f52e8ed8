"""What the query line completes: keys and the values that were seen last, of a project."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.search.grammar import parse
from tests.admin.hostile import insert
from tests.delivery.shop import add_project
from tests.questions import questions


def completed(client: FlaskClient, word: str, **more: object) -> list[str]:
    answer = client.get("/admin/live/completions", query_string={"word": word, **more})
    assert answer.status_code == 200
    return [one["text"] for one in answer.json["completions"]]


def test_keys_then_values_are_completed(app: Flask, admin_client: FlaskClient) -> None:
    add_project(app, 2, None)
    odd = 'a "b" c'
    tags = {"region": "eu", "odd tag": "x"}
    insert(app, {"message": "one", "release": "shop@1", "environment": odd, "tags": tags})
    insert(app, {"message": "two", "release": "web@2", "tags": {"region": "us"}}, 2)
    client = admin_client
    for word, expected in [
        ("rel", ["release:"]),
        ("!REL", ["!release:"]),
        ("regi", ["region:"]),
        ("odd", ["tags[odd tag]:"]),
        ("is:resol", ["is:resolved", "is:unresolved"]),
        ("is:unresolved", []),
        ("level:f", ["level:fatal"]),
        ("release:", ["release:latest", "release:shop@1", "release:web@2"]),
        ("!release:SHOP", ["!release:shop@1"]),
        ('environment:"a', ['environment:"a \\"b\\" c"']),
        ("region:", ["region:eu", "region:us"]),
        ("tags[odd tag]:", ["tags[odd tag]:x"]),
        ("assigned:", ["assigned:me", "assigned:none", "assigned:admin"]),
        ("project:sh", ['project:"shop 2"']),
        ("has:regi", ["has:region"]),
        ("timesSeen:>10", [">100", ">1000"]),
        ("user.email:ann", []),
        ("level:[error,", []),
        (":", []),
        ("x" * 201, []),
    ]:
        expected = [f"timesSeen:{text}" if text[0] == ">" else text for text in expected]
        assert completed(client, word) == expected, word
    for word in ("odd tag", "environment:", "project:"):
        for text in completed(client, word):
            parse(text + ("x" if text.endswith(":") else ""))
    assert completed(client, "region:", project=2) == ["region:us"]
    assert completed(client, "release:", project=2) == ["release:latest", "release:web@2"]
    assert "is:" in completed(client, "") and "is:" not in completed(client, "", list="events")
    assert len(completed(client, "")) == 20


@pytest.mark.parametrize("word", ["", "reg", "region:", "release:", "error.type:", "has:"])
def test_completion_asks_two_questions(app: Flask, admin_client: FlaskClient, word: str) -> None:
    insert(app, {"message": "one", "tags": {"region": "<b>"}})
    with questions() as asked:
        completed(admin_client, word)
    assert len(asked) <= 2, asked  # One of them is for the user.


def test_completions_are_for_users_only(client: FlaskClient) -> None:
    assert client.get("/admin/live/completions?word=is:").status_code in (302, 401)
