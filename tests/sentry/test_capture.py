"""From the code to the disk: whatever goes wrong arrives, once, with everything that is known."""

from __future__ import annotations

import contextvars
import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, abort
from flask.testing import FlaskClient
from sqlalchemy import select

from app import sentry
from app.error_tracker import ErrorTracker
from app.events.tables import envelopes
from app.web import access
from tests.conftest import parts_of


class PaymentError(Exception):
    pass


def events_of(client: FlaskClient) -> list[dict[str, Any]]:
    """The stored events, oldest first."""
    return list(reversed(client.get("/api/events").json["events"]))


def only_event(client: FlaskClient) -> dict[str, Any]:
    events = events_of(client)
    assert [event["title"] for event in events] == [events[0]["title"]]
    return client.get(f"/api/events/{events[0]['event_id']}").json


def route(app: Flask, view: Callable[[], Any], path: str = "/fails") -> None:
    app.add_url_rule(path, path, access.anyone(view))


def test_unhandled_error_is_stored_once_with_type_value_frames_user_tags_and_release(
    app: Flask, client: FlaskClient
) -> None:
    def fails() -> None:
        sentry.set_user_context("u-17", username="ada", email="ada@example.org")
        sentry.set_tag("shop", "books")
        sentry.set_context("order", {"id": 7})
        amount = 42
        raise PaymentError(f"card declined after {amount}")

    route(app, fails)
    # As a thread of a server has it: nothing of other requests is in its context.
    answer = contextvars.Context().run(client.get, "/fails")
    event = only_event(client)
    assert answer.status_code == 500
    assert answer.json["event_id"] == event["event_id"]
    assert "declined" not in answer.text
    exception = event["exceptions"][-1]
    assert (exception["type"], exception["value"]) == ("PaymentError", "card declined after 42")
    assert exception["handled"] is False
    assert exception["frames"][-1]["function"] == "fails"
    assert exception["frames"][-1]["context_line"].strip().startswith("raise PaymentError")
    assert exception["frames"][-1]["vars"]["amount"] == "42"
    assert event["user"]["id"] == "u-17" and event["user"]["email"] == "ada@example.org"
    assert event["tags"]["shop"] == "books"
    assert event["contexts"]["order"]["id"] == 7
    assert (event["release"], event["environment"]) == ("shop@1.2.3", "testing")
    assert event["level"] == "error"
    assert event["request"]["url"].endswith("/fails")
    assert [hop["ok"] for hop in event["trail"][:3]] == [True, True, True]


def test_logging_an_exception_and_then_raising_it_makes_one_event(
    app: Flask, client: FlaskClient
) -> None:
    ids: list[str | None] = []

    def fails() -> None:
        try:
            raise PaymentError("once")
        except PaymentError as error:
            ids.append(ErrorTracker().log_error(error, {"order": 7}))
            logging.getLogger("shop").error("something else goes wrong meanwhile")
            ids.append(ErrorTracker().log_error(error))
            raise

    route(app, fails)
    answer = client.get("/fails")
    titles = [event["title"] for event in events_of(client)]
    assert titles == ["PaymentError: once", "something else goes wrong meanwhile"]
    assert ids[0] == ids[1] == answer.json["event_id"]
    event = client.get(f"/api/events/{ids[0]}").json
    assert event["contexts"]["custom"] == {"order": 7}


def test_one_exception_object_raised_in_two_requests_makes_two_events(
    app: Flask, client: FlaskClient
) -> None:
    constant = PaymentError("a constant of some module")

    def fails() -> None:
        raise constant

    route(app, fails)
    first, second = client.get("/fails"), client.get("/fails")
    assert first.json["event_id"] != second.json["event_id"]
    assert len(events_of(client)) == 2


@pytest.mark.parametrize("status", [500, 503])
def test_abort_with_a_server_error_is_recorded(
    app: Flask, client: FlaskClient, status: int
) -> None:
    route(app, lambda: abort(status, description="backend gone"))
    answer = client.get("/fails")
    assert answer.status_code == status
    assert only_event(client)["event_id"] == answer.json["event_id"]


def test_abort_with_a_client_error_is_not_recorded(app: Flask, client: FlaskClient) -> None:
    route(app, lambda: abort(409, description="no"))
    assert client.get("/fails").status_code == 409
    assert events_of(client) == []


def test_logged_exception_is_recorded(client: FlaskClient) -> None:
    try:
        raise PaymentError("logged")
    except PaymentError:
        logging.getLogger("shop").exception("paying failed")
    event = only_event(client)
    assert event["exceptions"][-1]["type"] == "PaymentError"
    assert (event["message"], event["logger"]) == ("paying failed", "shop")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_error_in_a_thread_is_recorded(client: FlaskClient) -> None:
    def fails() -> None:
        raise PaymentError("in a thread")

    thread = threading.Thread(target=fails)
    thread.start()
    thread.join()
    event = only_event(client)
    assert event["title"] == "PaymentError: in a thread"
    assert event["exceptions"][-1]["mechanism"] == "threading"


def test_chained_exceptions_keep_their_order_oldest_cause_first(client: FlaskClient) -> None:
    try:
        try:
            raise KeyError("price")
        except KeyError as error:
            raise PaymentError("no price") from error
    except PaymentError as error:
        ErrorTracker().log_error(error)
    event = only_event(client)
    assert [exception["type"] for exception in event["exceptions"]] == ["KeyError", "PaymentError"]
    assert event["title"] == "PaymentError: no price"


def test_message_is_recorded_with_its_level(client: FlaskClient) -> None:
    event_id = sentry.capture_message("disk nearly full", level="warning")
    event = only_event(client)
    assert (event["event_id"], event["level"], event["title"]) == (
        event_id,
        "warning",
        "disk nearly full",
    )


def test_filter_of_the_application_changes_and_drops_events(client: FlaskClient) -> None:
    @sentry.add_filter
    def keep_the_loud(event: dict[str, Any], hint: dict[str, Any]) -> dict[str, Any] | None:
        event["tags"] = {"seen": "yes"}
        return None if event.get("message") == "quiet" else event

    @sentry.add_filter
    def broken(event: dict[str, Any], hint: dict[str, Any]) -> dict[str, Any] | None:
        raise RuntimeError("a filter with a mistake costs no event")

    try:
        sentry.capture_message("quiet")
        sentry.capture_message("loud")
    finally:
        sentry.remove_filter(keep_the_loud)
        sentry.remove_filter(broken)
    event = only_event(client)
    assert (event["title"], event["tags"]["seen"]) == ("loud", "yes")


def test_same_error_twice_is_one_issue_with_two_events_and_two_users(
    app: Flask, client: FlaskClient
) -> None:
    users = iter(["ada", "bob"])

    def fails() -> None:
        sentry.set_user_context(next(users))
        raise PaymentError("declined")

    route(app, fails)
    client.get("/fails")
    client.get("/fails")
    issues = client.get("/api/issues").json
    assert issues["total"] == 1
    issue = issues["issues"][0]
    assert (issue["times_seen"], issue["stored_event_count"], issue["users"]) == (2, 2, 2)
    assert issue["status"] == "unresolved"
    assert issue["grouping"]["key"].startswith("PaymentError at ")
    assert issue["first_release"] == issue["last_release"] == "shop@1.2.3"


def test_traces_enter_the_books_and_probes_make_none(make_app: Callable[..., Flask]) -> None:
    app = make_app(SENTRY_TRACES_SAMPLE_RATE=1.0)
    route(app, lambda: "ok", "/fine")
    app.test_client().get("/fine")
    app.test_client().get("/health/live")
    sentry.flush()
    with parts_of(app).store.read() as conn:
        items = conn.scalars(select(envelopes.c.item_types)).all()
    assert items.count("transaction") == 1
    assert app.test_client().get("/system/status").json["accounting"]["balanced"]


def test_tracker_does_not_record_what_it_logs_itself(app: Flask, client: FlaskClient) -> None:
    logging.getLogger("app.tracker").error("the tracker's own trouble")
    assert events_of(client) == []
    assert parts_of(app).intake.emergency.count() == 0


def test_error_on_an_admin_page_names_the_user_and_not_the_session(
    make_app: Callable[..., Flask], login: Callable[[FlaskClient], FlaskClient]
) -> None:
    app = make_app(SENTRY_SEND_PII=True)

    def fails() -> None:
        raise PaymentError("on a page")

    app.add_url_rule("/admin/fails", "fails", access.admin(fails))
    client = login(app.test_client())
    assert client.get("/admin/fails").status_code == 500
    assert only_event(client)["user"]["id"] == "admin"
