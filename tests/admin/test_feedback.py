"""The feedback page, and what people said on the pages of an issue and an event."""

from __future__ import annotations

import re
from html import unescape

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import sentry
from app.admin import feedback
from app.projects import create_project
from app.protocol.envelope import Item
from tests.conftest import csrf_token, parts_of
from tests.feedback_envelopes import feedback_item, report_item, send


def sayings(page: str) -> list[str]:
    return [unescape(text) for text in re.findall(r'<p class="said wrap">([^<]*)</p>', page)]


def test_page_without_feedback_says_how_to_ask_for_it(admin_client: FlaskClient) -> None:
    page = admin_client.get("/admin/feedback").text
    assert "Nobody has said anything yet" in page and "captureFeedback" in page
    assert 'href="/admin/feedback"' in admin_client.get("/admin/issues").text


def test_list_leads_to_the_issue_and_says_where_there_is_none(
    app: Flask, admin_client: FlaskClient
) -> None:
    event_id = str(sentry.capture_message("it broke"))
    send(app, feedback_item("the button is dead", event_id, name="Ada", contact_email="a@x.org"))
    send(app, report_item("no trace", "f" * 32))
    send(app, feedback_item("nice shop"))
    page = admin_client.get("/admin/feedback").text
    assert sayings(page) == ["nice shop", "no trace", "the button is dead"]
    assert f'href="/admin/issues/1?event={event_id}">it broke</a>' in page
    assert "no event<" in page and "an event that is not here" in page
    assert "<b>Ada</b>" in page and "a@x.org" in page


def test_issue_and_event_show_the_newest_and_lead_to_all(
    app: Flask, admin_client: FlaskClient
) -> None:
    event_id, other = (str(sentry.capture_message("it broke")) for _ in range(2))
    for n in range(feedback.SHOWN_BESIDE + 1):
        send(app, feedback_item(f"said {n}", event_id))
    issue = admin_client.get("/admin/issues/1").text
    assert sayings(issue) == ["said 3", "said 2", "said 1"]
    event = admin_client.get(f"/admin/events/{event_id}").text
    assert sayings(event) == sayings(issue)
    for page in (issue, event):
        leads_to = re.search(r'href="(/admin/feedback\?[^"]+)">All of it', page)
        assert leads_to and len(sayings(admin_client.get(leads_to[1]).text)) == 4
    assert "What people said" not in admin_client.get(f"/admin/events/{other}").text


def test_files_that_came_with_feedback_are_opened_from_its_page(
    app: Flask, admin_client: FlaskClient
) -> None:
    files = {"shot.png": b"\x89PNG\x00", "log.txt": b"it broke"}
    items = [
        Item({"type": "attachment", "filename": name, "content_type": "text/plain"}, content)
        for name, content in files.items()
    ]
    send(app, feedback_item("see these"), *items)
    page = admin_client.get("/admin/feedback").text
    links = re.findall(r'href="(/admin/feedback/\d+/attachments/\d+)" download>([^<]+)</a>', page)
    assert [name for _, name in links] == list(files)
    for address, name in links:
        answer = admin_client.get(address)
        assert (answer.status_code, answer.data) == (200, files[name])
        assert f'filename="{name}"' in answer.headers["Content-Disposition"]
        assert answer.headers["Content-Disposition"].startswith("attachment")
    feedback_id = links[0][0].split("/")[3]
    for missing in (f"{feedback_id}/attachments/2", "999/attachments/0", f"{2**70}/attachments/0"):
        assert admin_client.get(f"/admin/feedback/{missing}").status_code == 404
    assert app.test_client().get(links[0][0]).status_code in (302, 303, 401)


def test_long_message_is_folded(app: Flask, admin_client: FlaskClient) -> None:
    send(app, feedback_item("word " * 500))
    short, whole = sayings(admin_client.get("/admin/feedback").text)
    assert len(short) == 301 and len(whole) == 2499


def test_list_is_narrowed_and_paged(
    app: Flask, admin_client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feedback, "PAGE_SIZE", 2)
    create_project(parts_of(app).store, "Shop", 2)
    send(app, feedback_item("elsewhere"), project_id=2)
    for n in range(3):
        send(app, feedback_item(f"said {n}"))
    first = admin_client.get("/admin/feedback?q=SAID&project=1").text
    assert sayings(first) == ["said 2", "said 1"]
    older = unescape(re.search(r'href="([^"]+)" rel="next"', first)[1])
    assert sayings(admin_client.get(older).text) == ["said 0"]
    assert sayings(admin_client.get("/admin/feedback?project=2").text) == ["elsewhere"]
    nothing = admin_client.get("/admin/feedback?q=nothing").text
    assert "No feedback matches" in nothing and 'href="/admin/feedback">Show all' in nothing
    wrong = admin_client.get("/admin/feedback?project=x")
    assert wrong.status_code == 200 and "There is no project “x”." in wrong.text
    assert "There is no older feedback" in admin_client.get("/admin/feedback?before=1").text


def test_buttons_change_the_state_and_the_filter_stays(
    app: Flask, admin_client: FlaskClient
) -> None:
    for text in ("buy pills", "nice shop"):
        send(app, feedback_item(text))
    page = admin_client.get("/admin/feedback?state=open").text
    path = "/admin/feedback/1/state?state=open"
    assert f'action="{path}"' in page
    token = csrf_token(admin_client, "/admin/feedback")
    answer = admin_client.post(path, data={"state": "spam", "csrf_token": token})
    assert (answer.status_code, answer.location) == (303, "/admin/feedback?state=open#feedback-1")
    assert sayings(admin_client.get("/admin/feedback?state=open").text) == ["nice shop"]
    page = admin_client.get("/admin/feedback?state=spam").text
    assert sayings(page) == ["buy pills"] and "No spam" in page
    assert '<span class="chip">spam</span>' in page
    for path, state in (("/admin/feedback/9/state", "done"), ("/admin/feedback/1/state", "old")):
        answer = admin_client.post(path, data={"state": state, "csrf_token": token})
        assert answer.status_code == 404
    assert admin_client.post("/admin/feedback/1/state", data={"state": "open"}).status_code == 400
