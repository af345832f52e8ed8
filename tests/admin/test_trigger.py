"""The trigger page: every kind arrives as what it is, and wrong fields are named."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.admin.trigger import read_tags
from app.sentry import add_filter, remove_filter
from app.trials import kinds
from tests.conftest import csrf_token

pytestmark = [
    pytest.mark.one_database,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds, "SLOW_S", 0.01)


def send(client: FlaskClient, kind: str, **fields: str) -> TestResponse:
    data = {"kind": kind, "message": "on purpose", "level": "error", **fields}
    data["csrf_token"] = csrf_token(client, "/admin/test-error")
    return client.post("/admin/test-error", data=data)


def sent(client: FlaskClient, kind: str, **fields: str) -> dict:
    answer = send(client, kind, **fields)
    assert answer.status_code == 303
    event_id = answer.location.rpartition("=")[2]
    assert event_id in client.get(answer.location).text
    return client.get(f"/api/events/{event_id}").json


@pytest.mark.parametrize(
    ("kind", "types"),
    [
        ("message", []),
        ("exception", ["TrialError"]),
        ("http", ["InternalServerError"]),
        ("chained", ["KeyError", "TrialError"]),
        ("thread", ["TrialError"]),
        ("logged", ["TrialError"]),
        ("slow", ["TrialError"]),
        ("large", ["TrialError"]),
        ("secret", ["TrialError"]),
    ],
)
def test_each_kind_arrives_as_what_it_is(
    admin_client: FlaskClient, kind: str, types: list[str]
) -> None:
    event = sent(admin_client, kind, tags="shop=books", user_id="u-17")
    assert [exception["type"] for exception in event["exceptions"]] == types
    assert {"trial": kind, "shop": "books"}.items() <= event["tags"].items()
    assert event["user"]["id"] == "u-17"
    assert event["level"] == "error"
    assert "on purpose" in (event["message"] or "") + str(event["exceptions"])
    assert admin_client.get(f"/admin/events/{event['event_id']}").status_code == 200


def test_every_kind_is_tried_here() -> None:
    assert set(kinds.KINDS) == set(
        "exception message http chained group thread logged slow large secret".split()
    )


def test_exception_group_arrives_with_its_members(admin_client: FlaskClient) -> None:
    event = sent(admin_client, "group")
    assert {exception["type"] for exception in event["exceptions"]} == {
        "ExceptionGroup",
        "TimeoutError",
        "ValueError",
    }
    assert "in the group" in admin_client.get(f"/admin/events/{event['event_id']}").text


def test_thread_dies_unhandled(admin_client: FlaskClient) -> None:
    exception = sent(admin_client, "thread")["exceptions"][-1]
    assert (exception["mechanism"], exception["handled"]) == ("threading", False)


def test_planted_secret_is_taken_out_and_on_the_receipt(admin_client: FlaskClient) -> None:
    event = sent(admin_client, "secret")
    text = admin_client.get(f"/admin/events/{event['event_id']}/raw").text
    assert "not-a-real-password" not in text and "4242" not in text and "fake-key" not in text
    assert len(event["scrubbed"]) >= 3


def test_level_status_and_user_are_what_was_asked_for(admin_client: FlaskClient) -> None:
    event = sent(
        admin_client, "http", level="fatal", status="418", username="ada", email="a@b.example"
    )
    assert event["level"] == "fatal"
    assert event["exceptions"][-1]["type"] == "ImATeapot"
    assert event["user"] == {"username": "ada", "email": "a@b.example"}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"tags": "just a word"}, "“just a word” is not of the form key=value."),
        ({"tags": "k=v\nbad key=v"}, "“bad key”: a key has"),
        ({"message": ""}, "This field is required."),
        ({"message": "x" * 8193}, "8192"),
        ({"status": "200"}, "A status from 400 to 599 is expected."),
        ({"status": "many"}, "Not a valid integer value."),
        ({"level": "loud"}, "Not a valid choice."),
        ({"kind": "unheard-of"}, "Not a valid choice."),
        ({"email": "ada"}, "An address such as"),
    ],
)
def test_wrong_field_is_named_and_nothing_is_recorded(
    admin_client: FlaskClient, fields: dict[str, str], words: str
) -> None:
    answer = send(admin_client, **{"kind": "message", **fields})
    assert answer.status_code == 422
    assert words in answer.text
    assert admin_client.get("/api/events").json["events"] == []


def test_tags_are_read_by_line_and_by_comma() -> None:
    assert read_tags(" a=1, b = two words\nc.d:e-f_g=x=y,,\n") == {
        "a": "1",
        "b": "two words",
        "c.d:e-f_g": "x=y",
    }


def test_event_that_a_filter_drops_is_told(admin_client: FlaskClient) -> None:
    drop = add_filter(lambda event, hint: None)
    try:
        answer = send(admin_client, "message")
    finally:
        remove_filter(drop)
    assert answer.status_code == 422
    assert "a filter of this application dropped the event" in answer.text


def test_trigger_without_a_token_is_refused(admin_client: FlaskClient) -> None:
    answer = admin_client.post("/admin/test-error", data={"kind": "message", "message": "x"})
    assert answer.status_code == 400
    assert admin_client.get("/api/events").json["events"] == []
