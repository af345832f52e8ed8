"""Attachments: with the event, before it, after it; kept whole and only ever saved."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import unquote

import pytest
from flask.testing import FlaskClient

from app.web.downloads import safe_name
from tests.ingest.test_door import EVENT_ID, OTHER_KEY, envelope, post

pytestmark = pytest.mark.one_database

PATH = f"/api/events/{EVENT_ID}/attachments"


def attached(payload: bytes, event_id: str = EVENT_ID, **headers: Any) -> bytes:
    head = {"type": "attachment", "length": len(payload), "filename": "log.txt", **headers}
    lines = [json.dumps({"event_id": event_id}).encode(), json.dumps(head).encode(), payload, b""]
    return b"\n".join(lines)


def names(client: FlaskClient) -> list[str]:
    return [one["filename"] for one in client.get(f"/api/events/{EVENT_ID}").json["attachments"]]


def test_attachments_are_found_wherever_they_came(client: FlaskClient) -> None:
    post(client, attached(b"early", filename="early.txt"))
    both = envelope(event_id=EVENT_ID) + attached(b"with it").partition(b"\n")[2]
    assert post(client, both).status_code == 200
    assert names(client) == ["log.txt", "early.txt"]
    post(client, attached(b"late", filename="late.txt"))
    assert names(client) == ["log.txt", "early.txt", "late.txt"]
    payloads = [client.get(f"{PATH}/{number}").data for number in range(3)]
    assert payloads == [b"with it", b"early", b"late"]
    assert client.get(f"{PATH}/3").status_code == 404


def test_what_is_beyond_a_page_is_told(
    client: FlaskClient, login: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    post(client, envelope(event_id=EVENT_ID))
    for number in range(3):
        post(client, attached(b"x", filename=f"{number}.txt"))
    monkeypatch.setattr("app.events.attachments.MAX_ENVELOPES", 1)
    assert names(client) == ["0.txt"]
    page = login(client).get(f"/admin/events/{EVENT_ID}").text
    assert "2 more envelopes with attachments of this event are kept" in page


def test_attachment_of_another_project_is_not_the_events(client: FlaskClient) -> None:
    post(client, envelope(event_id=EVENT_ID))
    auth = {"X-Sentry-Auth": f"Sentry sentry_key={OTHER_KEY}"}
    assert post(client, attached(b"not yours"), "/api/43/envelope/", **auth).status_code == 200
    assert names(client) == []


def test_attachment_is_saved_and_never_shown(client: FlaskClient, login: Any) -> None:
    login(client)
    post(client, envelope(event_id=EVENT_ID))
    page = b"<script>alert(1)</script>"
    post(client, attached(page, filename="x.html", content_type="text/html"))
    for path in (f"{PATH}/0", f"/admin/events/{EVENT_ID}/attachments/0"):
        answer = client.get(path)
        assert answer.data == page
        assert answer.content_type == "application/octet-stream"
        assert answer.headers["Content-Disposition"].startswith('attachment; filename="x.html"')
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in answer.headers["Content-Security-Policy"]
        assert "no-store" in answer.headers["Cache-Control"]
    listed = client.get(f"/admin/events/{EVENT_ID}").text
    assert f'href="/admin/events/{EVENT_ID}/attachments/0"' in listed


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("log.txt", "log.txt"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Windows\\system.ini", "system.ini"),
        ('a"b\r\nSet-Cookie: x=1.txt', " x=1.txt".strip()),
        ("Größe.txt", "Größe.txt"),
        ("gpj.\u202eexe", "gpj._exe"),
        ("..", "attachment"),
        ("", "attachment"),
        (None, "attachment"),
        ({"a": 1}, "attachment"),
        ("n" * 500 + ".txt", "n" * 147 + ".txt"),
        ("x." + "e" * 500, "x." + "e" * 20),
        ("half \ud800 pair", "half _ pair"),
    ],
)
def test_name_of_a_download_is_a_name(client: FlaskClient, given: Any, name: str) -> None:
    assert safe_name(given) == name
    post(client, envelope(event_id=EVENT_ID))
    post(client, attached(b"x", filename=given))
    header = client.get(f"{PATH}/0").headers["Content-Disposition"]
    found = re.fullmatch(r"attachment; filename=\"([^\"]*)\"; filename\*=UTF-8''(\S*)", header)
    assert found and header.isascii()
    assert found[1] and not re.search(r"[/\\\r\n]", found[1])
    assert unquote(found[2]).isprintable()


def test_large_attachment_is_kept_whole_and_a_larger_one_refused_aloud(client: FlaskClient) -> None:
    payload = bytes(range(256)) * 4096 * 12
    post(client, envelope(event_id=EVENT_ID))
    assert post(client, attached(payload)).status_code == 200
    assert client.get(f"{PATH}/0").data == payload
    answer = post(client, attached(bytes(41 * 1024**2)))
    assert answer.status_code == 413 and answer.json["detail"]
    assert len(names(client)) == 1
