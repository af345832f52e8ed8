"""The page of an event: values as people read them, minified code, attachments, its Markdown."""

from __future__ import annotations

import uuid
from html import unescape
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.admin.filters import short
from app.events.plain import plain
from app.protocol.envelope import Envelope, Item
from tests.admin.hostile import insert
from tests.conftest import parts_of
from tests.questions import questions

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20


def frame(**fields: Any) -> dict[str, Any]:
    frames = [{"function": "pay", "filename": "shop.js", "lineno": 3, "in_app": True, **fields}]
    return {"exception": {"values": [{"type": "E", "stacktrace": {"frames": frames}}]}}


def page_of(client: FlaskClient, event_id: str) -> str:
    return unescape(client.get(f"/admin/events/{event_id}").text)


def insert_files(app: Flask, *files: tuple[str, bytes]) -> str:
    event_id = uuid.uuid4().hex
    items = [Item({"type": "event"}, {"message": "with files"})]
    for name, payload in files:
        # A client may name any type.
        headers = {"type": "attachment", "filename": name, "content_type": "text/html"}
        items.append(Item(headers, payload))
    parts_of(app).intake.accept(Envelope({"event_id": event_id}, items), project_id=1, timeout_s=5)
    return event_id


# ---- values -------------------------------------------------------------------------------------


def test_variables_are_shown_without_python_inside_of_json(
    app: Flask, admin_client: FlaskClient
) -> None:
    order = {"id": "7", "lines": ["'a'", "'b'"], "paid": False}
    page = page_of(admin_client, insert(app, frame(vars={"order": order, "name": "'ann'"})))
    assert ">{id: 7, lines: ['a', 'b'], paid: false}<" in page
    assert ">'ann'<" in page and "\"'ann'\"" not in page


def test_long_values_are_a_tree() -> None:
    value = {"items": [{"name": "x" * 90, "price": 1}] * 2, "empty": "", "none": None}
    item = f"- {{name: {'x' * 90}, price: 1}}"
    assert plain(value) == f"items:\n  {item}\n  {item}\nempty: ''\nnone: null"


def test_of_minified_code_only_what_is_around_the_column_is_shown(
    app: Flask, admin_client: FlaskClient
) -> None:
    line = "a(); " * 1000 + "here();" + " b();" * 1000
    event_id = insert(app, frame(colno=5001, context_line=line))
    page = page_of(admin_client, event_id)
    assert "shop.js:3:5001" in page
    assert f"…{'a(); ' * 20}here();{' b();' * 18} b(…" in page and "a(); " * 21 not in page


@pytest.mark.parametrize(
    ("count", "words"),
    [(999, "999"), (1000, "1k"), (1249, "1.2k"), (34_567, "34k"), (5_000_000, "5M")],
)
def test_large_counts_are_short(count: int, words: str) -> None:
    assert short(count) == words


# ---- attachments --------------------------------------------------------------------------------


def test_picture_is_shown_as_what_its_bytes_are(app: Flask, admin_client: FlaskClient) -> None:
    event_id = insert_files(app, ("screen.html", PNG))
    path = f"/admin/events/{event_id}/attachments/0/picture"
    assert f'<img src="{path}"' in page_of(admin_client, event_id)
    answer = admin_client.get(path)
    assert (answer.mimetype, answer.data) == ("image/png", PNG)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer.headers["Content-Security-Policy"]


def test_what_is_no_picture_is_never_served_as_one(app: Flask, admin_client: FlaskClient) -> None:
    svg = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"
    event_id = insert_files(app, ("a.svg", svg), ("b.png", b"MZ\0\0"), ("c.png", PNG * 10**6))
    page = admin_client.get(f"/admin/events/{event_id}").text
    assert "<img" not in page and "<svg xmlns" not in page
    for number in range(4):
        path = f"/admin/events/{event_id}/attachments/{number}/picture"
        assert admin_client.get(path).status_code == 404


def test_beginning_of_a_text_is_shown_as_text(app: Flask, admin_client: FlaskClient) -> None:
    log = ("<script>alert(1)</script> é\n" * 2000).encode()
    event_id = insert_files(app, ("app.log", log), ("core", b"\0\1\2"), ("latin", b"caf\xe9"))
    page = admin_client.get(f"/admin/events/{event_id}").text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; é" in page and "<script>alert" not in page
    assert page.count("Show the beginning") == 1
    assert page.count("alert(1)") < 500


# ---- Markdown -----------------------------------------------------------------------------------


def test_markdown_has_http_breadcrumbs_user_and_server(
    app: Flask, admin_client: FlaskClient
) -> None:
    data = {"method": "POST", "url": "https://pay.example/v1", "status_code": 504}
    event_id = insert(
        app,
        {
            "message": "declined",
            "server_name": "web-3",
            "user": {"id": "u-17", "email": "ada@example.org", "ip_address": "203.0.113.7"},
            "breadcrumbs": [{"category": "httplib", "type": "http", "data": data}],
        },
    )
    text = admin_client.get(f"/admin/events/{event_id}.md").text
    assert "`httplib` `POST https://pay.example/v1 [504]`" in text
    assert "- **Server**: `web-3`" in text and "- **User**: `u-17, ada@example.org`" in text
    assert "203.0.113.7" not in text


# ---- where its values lead, and what it costs ---------------------------------------------------


def test_values_lead_to_their_search(app: Flask, admin_client: FlaskClient) -> None:
    payload = frame() | {"release": "shop@2.4.0", "transaction": "/pay", "tags": {"level": "x y"}}
    page = page_of(admin_client, insert(app, payload | {"user": {"email": "ada@example.org"}}))
    for query in (
        "release:shop@2.4.0",
        "transaction:/pay",
        "user.email:ada@example.org",
        "stack.filename:shop.js",
        "tags[level]:%22x%20y%22",
    ):
        assert f'href="/admin/issues?query={query}"' in page, query


def test_event_page_asks_at_most_twelve_questions(app: Flask, admin_client: FlaskClient) -> None:
    event_id = insert(app, frame() | {"user": {"id": "u"}, "tags": {"shop": "books"}})
    with questions() as asked:
        assert admin_client.get(f"/admin/events/{event_id}").status_code == 200
        assert 0 < len(asked) <= 12, asked


# ---- links out ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filename", "release", "leads_to"),
    [
        ("shop/pay.py", "shop@2.4.0", "https://git.example.org/blob/2.4.0/shop/pay.py#L3"),
        ("./a b?.py", "abc", "https://git.example.org/blob/abc/a%20b%3F.py#L3"),
        ("app:///{line}.js", "1", "https://git.example.org/blob/1/%7Bline%7D.js#L3"),
        ("shop/pay.py", None, None),
    ],
)
def test_call_leads_to_its_line_in_the_repository(
    app: Flask,
    client: FlaskClient,
    admin_client: FlaskClient,
    filename: str,
    release: str | None,
    leads_to: str | None,
) -> None:
    pattern = "https://git.example.org/blob/{release}/{file}#L{line}"
    answer = client.patch("/api/projects/1", json={"source_url": pattern})
    assert answer.json["source_url"] == pattern
    page = page_of(admin_client, insert(app, frame(filename=filename) | {"release": release}))
    assert ("Open in repository" in page) == (leads_to is not None)
    assert leads_to is None or f'href="{leads_to}"' in page


@pytest.mark.parametrize(
    "url", ["http://x.example/{file}", "https://x.example/", "https://u:p@x.example/{file}"]
)
def test_pattern_of_a_repository_that_leads_elsewhere_is_refused(
    client: FlaskClient, url: str
) -> None:
    assert client.patch("/api/projects/1", json={"source_url": url}).status_code == 422
