"""Clients with a wrong clock: their events stand where they belong, on every page, and are kept."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any, cast

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select, update

from app.alerts.rules.kind import Question
from app.alerts.rules.spike import counts_by_hour
from app.events.tables import envelopes, events
from app.intake.retention import Limits, prune
from app.issues import triage
from app.issues.figures import hours_of
from app.issues.tables import issue_hours, issues
from app.protocol.envelope import Envelope, Item, parse_envelope
from app.protocol.packing import unpack
from app.store import Store, utc_now
from tests.alert_steps import evaluate, only, titles
from tests.conftest import parts_of

pytestmark = pytest.mark.one_database

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def store(app: Flask) -> Store:
    return parts_of(app).store


def send(app: Flask, timestamp: datetime | str | None, sent_at: Any = None, **more: Any) -> str:
    """Send an event and return its id."""
    said = timestamp.isoformat() if isinstance(timestamp, datetime) else timestamp
    headers = {} if sent_at is None else {"sent_at": sent_at.isoformat()}
    item = Item({"type": "event"}, {"message": "bug", "timestamp": said, **more})
    accepted = parts_of(app).intake.accept(Envelope(headers, [item]), project_id=1, timeout_s=10)
    assert accepted.event_id is not None
    return accepted.event_id


def issue_of(client: FlaskClient, number: int = 1) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/api/issues/{number}").json
    return found


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_time_that_cannot_be_is_the_time_of_receipt_and_the_page_says_so(
    app: Flask, admin_client: FlaskClient
) -> None:
    for text in ("a", "b"):
        send(app, None, message=text)
    event_id = send(app, "0001-01-01T00:00:00Z", message="Go zero time")
    event = admin_client.get(f"/api/events/{event_id}").json
    assert event["timestamp"] == event["received_at"]
    assert event["timestamp_corrected"] == {
        "from": "0001-01-01T00:00:00+00:00",
        "because": "impossible",
    }
    issue = issue_of(admin_client, 3)
    assert issue["first_seen"] == issue["last_seen"] == event["timestamp"]
    assert [one["id"] for one in admin_client.get("/api/issues").json["issues"]] == [3, 2, 1]
    page = admin_client.get(f"/admin/events/{event_id}").text
    assert "The client&#39;s time 0001-01-01 cannot be; shown is when it was received." in page


def test_drift_is_taken_off_on_every_page_and_in_what_is_sent_on(
    app: Flask, admin_client: FlaskClient, store: Store
) -> None:
    ahead = 3 * HOUR
    event_id = send(app, utc_now() + ahead - timedelta(minutes=10), utc_now() + ahead)
    event = admin_client.get(f"/api/events/{event_id}").json
    happened = moment(event["timestamp"])
    ago = moment(event["received_at"]) - happened
    assert timedelta(minutes=9, seconds=59) < ago < timedelta(minutes=10, seconds=30)
    assert event["timestamp_corrected"]["because"] == "clock_drift"
    issue = issue_of(admin_client)
    assert issue["first_seen"] == issue["last_seen"] == event["timestamp"]
    history = admin_client.get("/api/issues/1/transitions").json["transitions"]
    assert [one["at"] for one in history] == [event["timestamp"]]
    page = admin_client.get(f"/admin/events/{event_id}").text
    assert "Time corrected by 3 h: the client&#39;s clock differs." in page
    with store.read() as conn:
        body = conn.scalars(select(envelopes.c.body)).one()
    sent_on = parse_envelope(unpack(body)).items[0].payload
    assert moment(sent_on["timestamp"]) == happened


def test_event_with_its_own_time_says_nothing_was_corrected(
    app: Flask, admin_client: FlaskClient
) -> None:
    event_id = send(app, utc_now() - HOUR, utc_now())
    assert admin_client.get(f"/api/events/{event_id}").json["timestamp_corrected"] is None
    assert "clock differs" not in admin_client.get(f"/admin/events/{event_id}").text


def test_charts_go_by_when_it_happened_and_alerts_by_when_it_came(app: Flask, store: Store) -> None:
    with time_machine.travel(datetime(2026, 11, 27, 12, 30, tzinfo=UTC), tick=False):
        now = utc_now()
        for hours in (0, 0, 5):
            send(app, now - hours * HOUR)
        with store.read() as conn:
            shown = hours_of(conn, [1], now)[1]
            question = Question(conn, now, cast(Any, None))
            counted = counts_by_hour(now.replace(minute=0), ("error",), question)
    assert (shown[-1], shown[-6], sum(shown)) == (2, 1, 3)
    assert counted == {(1, now.replace(minute=0)): 3}


def test_late_event_keeps_its_issue_as_long_as_one_that_just_happened(
    app: Flask, store: Store
) -> None:
    send(app, utc_now() - 20 * DAY)
    with store.write() as conn:  # as if a bound of the store had taken the event
        conn.execute(events.delete())
        conn.execute(update(issues).values(stored_event_count=0))
    limits = Limits(days=7, events=0, bytes=0)
    prune(store, limits)
    assert rows_of(store, issues) == 1
    with time_machine.travel(utc_now() + 8 * DAY):
        prune(store, limits)
    assert rows_of(store, issues) == 0


def rows_of(store: Store, table: Any) -> int:
    with store.read() as conn:
        return int(conn.scalar(select(func.count()).select_from(table)) or 0)


def test_event_from_the_future_does_not_keep_its_issue_for_ever(app: Flask, store: Store) -> None:
    send(app, "2093-01-01T00:00:00Z")
    with time_machine.travel(utc_now() + 8 * DAY):
        prune(store, Limits(days=7, events=0, bytes=0))
    assert rows_of(store, issues) == rows_of(store, issue_hours) == 0


def test_late_event_of_before_the_resolution_does_not_reopen_and_a_newer_one_does(
    app: Flask, client: FlaskClient, store: Store
) -> None:
    send(app, None)
    with store.write() as conn:
        assert triage.resolve(conn, [1], "ada") == [1]
    send(app, utc_now() - 2 * HOUR)
    issue = issue_of(client)
    assert (issue["status"], issue["times_seen"]) == ("resolved", 2)
    assert moment(issue["first_seen"]) < utc_now() - HOUR
    send(app, utc_now() - 2 * HOUR, utc_now() - 2 * HOUR)  # by its clock two hours slow: now
    assert issue_of(client)["status"] == "unresolved"


def shown(html: str) -> str:
    """Return the text of a page, a space for each gap; a test may take some seconds."""
    text = " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())
    return re.sub(r"\d+ s ago", "just now", text)


def test_issue_whose_only_event_came_days_late_has_one_time_on_every_page(
    app: Flask, admin_client: FlaskClient
) -> None:
    event_id = send(app, utc_now() - 4 * DAY)
    late = "4 d ago , received just now"
    page = shown(admin_client.get("/admin/issues/1").text)
    assert "first 4 d ago last 4 d ago" in page
    assert f"Latest event local Full event {late}" in page
    assert "First seen 4 d ago , event" in shown(
        admin_client.get("/admin/issues/1?tab=history").text
    )
    pages = (
        "/admin/",
        "/admin/events?period=week",
        "/admin/events?period=all",
        "/admin/issues/1?tab=events",
    )
    for address in pages:
        assert f"Happened error bug {late}" in re.sub(
            r" (local|DevEnviro|not sent \S+)(?= )", "", shown(admin_client.get(address).text)
        )
    assert late in shown(admin_client.get(f"/admin/events/{event_id}").text)


def test_event_that_happened_before_its_issue_was_seen_moves_first_seen_in_the_history(
    app: Flask, client: FlaskClient, admin_client: FlaskClient
) -> None:
    send(app, None, release="shop@2")
    evaluate(app)  # Alerts have looked at it: what they go by is not changed before.
    earlier = send(app, utc_now() - 4 * DAY, release="shop@1")
    send(app, utc_now() - 2 * DAY, release="shop@3")
    [row] = client.get("/api/issues/1/transitions").json["transitions"]
    first_seen = issue_of(client)["first_seen"]
    assert (row["at"], row["event_id"], row["release"]) == (first_seen, earlier, "shop@1")
    page = shown(admin_client.get("/admin/issues/1?tab=history").text)
    assert "First seen 4 d ago , in shop@1 , event" in page
    page = shown(admin_client.get("/admin/issues/1").text)
    assert "first 4 d ago" in page and "last just now" in page
    assert "2 d ago , received just now" in page and "Event received last" in page
    assert "Latest event" not in page


def test_alerts_go_by_the_event_that_made_the_issue_though_an_earlier_one_came(
    app: Flask, client: FlaskClient
) -> None:
    only(app, "new_issue", filters={"environment": "live"})
    send(app, None, environment="live")
    send(app, utc_now() - 4 * DAY, environment="test")
    evaluate(app)
    assert titles(app) == ["New issue: bug"]
    [row] = client.get("/api/issues/1/transitions").json["transitions"]
    assert row["at"] == issue_of(client)["first_seen"]


def test_earliest_of_a_merged_issue_is_the_one_that_moves(app: Flask, client: FlaskClient) -> None:
    for text in ("bug", "other"):
        send(app, None, message=text)
    assert client.post("/api/issues/merge", json={"ids": [1, 2]}).status_code == 200
    send(app, utc_now() - 4 * DAY, message="other")
    rows = client.get("/api/issues/1/transitions").json["transitions"]
    times = [row["at"] for row in rows if row["kind"] == "first_seen"]
    assert min(times) == issue_of(client)["first_seen"] != max(times)


def test_issue_page_says_that_the_time_of_its_event_was_corrected(
    app: Flask, admin_client: FlaskClient
) -> None:
    send(app, utc_now() + 3 * HOUR - timedelta(minutes=10), utc_now() + 3 * HOUR)
    page = admin_client.get("/admin/issues/1").text
    assert "Time corrected by 3 h: the client&#39;s clock differs." in page


def test_payload_with_a_corrected_time_is_still_json_of_the_client_otherwise(
    app: Flask, client: FlaskClient
) -> None:
    event_id = send(app, "2093-01-01T00:00:00Z", extra={"n": [1, None]})
    raw = client.get(f"/api/events/{event_id}?raw=1").json
    assert raw["extra"] == {"n": [1, None]} and json.dumps(raw)
