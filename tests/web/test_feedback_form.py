"""The form on our own error page: whom it lets in, what it keeps, and what it says."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.store import StoreUnavailable, utc_now
from app.web import feedback_form
from tests.conftest import csrf_token, parts_of
from tests.delivery_steps import accounting_of, deliver
from tests.failing_page import PATH, with_broken_page
from tests.feedback_envelopes import report_item, said, send
from tests.mini_sentry import MiniSentry

pytestmark = pytest.mark.one_database

NOTHING: dict[str, str] = {}


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    return with_broken_page(make_app())


def fail(client: FlaskClient, **options: Any) -> tuple[str, dict[str, str]]:
    """Meet an error; return where its form leads and what stands in its hidden fields."""
    answer = client.get(PATH, **options)
    assert answer.status_code == 500
    return form_of(answer)


def form_of(answer: TestResponse) -> tuple[str, dict[str, str]]:
    action = re.search(r'action="(/feedback/[^"]+)"', answer.text)
    ticket = re.search(r'name="ticket"[^>]* value="([^"]+)"', answer.text)
    assert action and ticket
    return action[1], {"ticket": unescape(ticket[1])}


def test_what_is_told_on_the_error_page_stands_with_the_error(
    app: Flask, client: FlaskClient
) -> None:
    action, hidden = fail(client, query_string={"password": "hunter2"})
    answer = client.post(
        action,
        data={**hidden, "message": " I paid\r\ntwice ", "name": "Ada", "email": "ada@x.org"},
    )
    assert answer.status_code == 200 and "Thank you" in answer.text
    assert "ada@x.org" in answer.text
    [row] = said(app, issue_id=1)
    assert (row.message, row.name, row.email) == ("I paid\ntwice", "Ada", "ada@x.org")
    assert (row.source, row.url) == ("error_page", f"http://localhost{PATH}")
    assert action == f"/feedback/{row.associated_event_id}"
    assert client.get(f"/api/events/{row.associated_event_id}").json["issue_id"] == 1
    assert accounting_of(app)["balanced"]


def test_feedback_of_the_form_goes_on_to_sentry(
    make_app: Callable[..., Flask], mini_sentry: MiniSentry
) -> None:
    app = with_broken_page(make_app(SENTRY_DSN=mini_sentry.dsn))
    action, hidden = fail(app.test_client())
    answer = app.test_client().post(action, data={**hidden, "message": "it is dead"})
    assert "goes on to Sentry" in answer.text
    deliver(app)
    items = {
        item.type: item.payload for envelope in mini_sentry.envelopes for item in envelope.items
    }
    told = items["feedback"]["contexts"]["feedback"]
    assert told.pop("url").endswith(PATH)
    assert told == {
        "message": "it is dead",
        "associated_event_id": items["event"]["event_id"],
        "source": "error_page",
    }
    assert items["feedback"]["release"] == items["event"]["release"] == "shop@1.2.3"


def test_secret_in_the_form_is_taken_out(app: Flask, client: FlaskClient) -> None:
    action, hidden = fail(client)
    client.post(action, data={**hidden, "message": "my card: 4111 1111 1111 1111"})
    assert "4111" not in said(app)[0].message


def test_form_that_is_sent_twice_at_once_is_one_feedback_and_one_envelope(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    action, hidden = fail(client)
    # Each looked before the other had written.
    monkeypatch.setattr(feedback_form, "has_feedback", lambda *_: False)
    for _ in range(2):
        answer = client.post(action, data={**hidden, "message": "it is dead"})
        assert answer.status_code == 200
    totals = accounting_of(app)
    assert (totals["accepted"], totals["balanced"]) == (2, True)  # The error and the feedback.
    assert len(said(app)) == 1


# ---- whom it lets in ----------------------------------------------------------------------------


def test_ticket_opens_no_other_event_and_is_not_to_be_made_up(
    app: Flask, client: FlaskClient
) -> None:
    (action, hidden), (other, _) = fail(client), fail(client)
    made_up = {"ticket": hidden["ticket"][:-4] + "AAAA"}
    for path, ticket in [(other, hidden), (action, made_up), (action, NOTHING)]:
        answer = client.post(path, data={**ticket, "message": "let me in"})
        assert answer.status_code == 403
        assert "This form does not belong to the error" in answer.text
    assert client.post("/feedback/<script>", data={**hidden, "message": "x"}).status_code == 403
    assert said(app) == []


def test_ticket_of_another_key_is_refused(
    make_app: Callable[..., Flask], client: FlaskClient
) -> None:
    action, hidden = fail(client)
    elsewhere = make_app(SECRET_KEY="another" * 5).test_client()
    assert elsewhere.post(action, data={**hidden, "message": "x"}).status_code == 403


def test_form_that_was_open_for_too_long_gives_back_what_was_typed(
    app: Flask, client: FlaskClient
) -> None:
    action, hidden = fail(client)
    data = {**hidden, "message": "I went for lunch"}
    with time_machine.travel(utc_now() + feedback_form.GOOD_FOR + timedelta(seconds=2)):
        answer = client.post(action, data=data)
        assert answer.status_code == 410 and said(app) == []
    assert "This form is too old" in answer.text and "I went for lunch" in answer.text
    with time_machine.travel(utc_now() + feedback_form.GOOD_FOR - timedelta(minutes=1)):
        assert client.post(action, data=data).status_code == 200


def test_open_in_production_as_everywhere(make_app: Callable[..., Flask]) -> None:
    settings = {"ENVIRONMENT": "production", "SECRET_KEY": "s" * 32, "ADMIN_PASSWORD": "p" * 12}
    app = with_broken_page(make_app(**settings))
    client = app.test_client()
    action, hidden = fail(client)
    elsewhere = {"environ_base": {"REMOTE_ADDR": "192.0.2.7"}}
    assert client.post(action, data={**hidden, "message": "x"}, **elsewhere).status_code == 200
    assert len(said(app)) == 1


# ---- what it keeps ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("message", "", "Say in a few words"),
        ("message", " \r\n\t", "Say in a few words"),
        ("message", "m" * 4097, "4096 characters"),
        ("name", "n" * 101, "100 characters"),
        ("email", "e" * 250 + "@x.org", "254 characters"),
        ("email", "ada", "An address such as"),
        ("email", "@x.org", "An address such as"),
        ("email", "ada@x .org", "An address such as"),
    ],
)
def test_wrong_field_is_named_and_what_was_typed_stays(
    app: Flask, client: FlaskClient, field: str, value: str, words: str
) -> None:
    action, hidden = fail(client)
    typed = {"message": "it is <dead>", "name": "Ada", "email": "ada@x.org", field: value}
    answer = client.post(action, data={**hidden, **typed})
    assert answer.status_code == 422
    assert f'id="{field}-help">' in answer.text and words in answer.text
    assert answer.text.count("aria-invalid") == 1
    for name, kept in typed.items():
        if name != field:
            shown = kept.replace("<", "&lt;").replace(">", "&gt;")
            assert shown in answer.text, name
    assert said(app) == []
    # The form of that answer is as good as the first one.
    again, hidden = form_of(answer)
    assert client.post(again, data={**hidden, "message": "now"}).status_code == 200


def test_longest_message_fits_however_it_is_written(app: Flask, client: FlaskClient) -> None:
    action, hidden = fail(client)
    message = "\N{FIRE}" * 4000 + "\r\n" * 90 + "end"
    assert client.post(action, data={**hidden, "message": message}).status_code == 200
    assert said(app)[0].message == message.replace("\r\n", "\n")


def test_body_beyond_the_limit_is_refused(app: Flask, client: FlaskClient) -> None:
    action, hidden = fail(client)
    data = {**hidden, "message": "m", "more": "x" * feedback_form.MAX_BODY_BYTES}
    assert client.post(action, data=data).status_code == 413
    assert said(app) == []


def test_second_feedback_on_an_error_replaces_nothing(app: Flask, client: FlaskClient) -> None:
    action, hidden = fail(client)
    client.post(action, data={**hidden, "message": "first"})
    answer = client.post(action, data={**hidden, "message": "second"})
    assert answer.status_code == 200 and "We have your words already" in answer.text
    assert [row.message for row in said(app)] == ["first"]


def test_form_takes_so_many_in_an_hour_and_then_again(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feedback_form, "MAX_AN_HOUR", 2)
    send(app, report_item("of an SDK"))
    codes = []
    for _ in range(3):
        action, hidden = fail(client)
        answer = client.post(action, data={**hidden, "message": "flood"})
        codes.append(answer.status_code)
    assert codes == [200, 429, 429]
    assert 0 < int(answer.headers["Retry-After"]) <= 3600 and "flood</textarea>" in answer.text
    assert len(said(app)) == 2
    with time_machine.travel(utc_now() + timedelta(minutes=61)):
        assert client.post(action, data={**hidden, "message": "later"}).status_code == 200


def test_store_that_does_not_answer_costs_nobody_what_they_typed(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    action, hidden = fail(client)

    def refuse(*_: object) -> None:
        raise StoreUnavailable("gone")

    with monkeypatch.context() as gone:
        gone.setattr(parts_of(app).store, "write", refuse)
        answer = client.post(action, data={**hidden, "message": "keep me"})
    assert answer.status_code == 503 and answer.headers["Retry-After"]
    assert "keep me</textarea>" in answer.text
    assert client.post(action, data={**hidden, "message": "keep me"}).status_code == 200


# ---- where it is offered ------------------------------------------------------------------------


def test_programs_get_no_form(app: Flask, client: FlaskClient) -> None:
    answer = client.get("/sentry-debug")
    assert (answer.status_code, answer.content_type) == (500, "application/problem+json")
    assert "ticket" not in answer.text and "feedback" not in answer.text


def test_error_that_was_not_recorded_has_no_form(admin_client: FlaskClient) -> None:
    answer = admin_client.get("/admin/events/" + "0" * 32)
    assert answer.status_code == 404 and "/feedback/" not in answer.text


def test_form_of_the_request_that_failed_does_not_fill_ours(
    app: Flask, admin_client: FlaskClient
) -> None:
    token = csrf_token(admin_client, "/admin/test-error")
    answer = admin_client.post(PATH, data={"csrf_token": token, "message": "of another form"})
    assert answer.status_code == 500 and "/feedback/" in answer.text
    assert "of another form" not in answer.text


def test_address_of_the_form_is_a_page_for_whoever_opens_it(client: FlaskClient) -> None:
    action, _ = fail(client)
    answer = client.get(action)
    assert (answer.status_code, answer.mimetype) == (405, "text/html")
