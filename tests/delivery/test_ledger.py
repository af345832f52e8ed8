"""The ledger: what is there is found, page by page, and every attempt is a row."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask

from app.delivery import destinations
from app.delivery.filter import DeliveryFilter
from app.delivery.ledger import (
    counts_by_state,
    find_delivery,
    last_attempts,
    overview,
    page_of_deliveries,
)
from app.delivery.tables import attempts
from app.intake.retention import Limits, prune
from app.store import utc_now
from tests.conftest import parts_of
from tests.delivery.shop import accept, add_project, answering, park, rows_of, states_of
from tests.delivery_steps import deliver, deliver_until
from tests.mini_sentry import MiniSentry


@pytest.fixture
def shop(make_app: Callable[..., Flask], mini_sentry: MiniSentry) -> Flask:
    return make_app(SENTRY_DSN=mini_sentry.dsn, DELIVERY_BACKOFF_BASE_S=0.01)


def test_list_is_newest_first_and_its_pages_join_without_gap_or_overlap(shop: Flask) -> None:
    for number in range(7):
        accept(shop, str(number))
    whole = [row.id for row in rows_of(shop)]
    assert whole == sorted(whole, reverse=True) and len(whole) == 7
    seen: list[int] = []
    before = None
    while True:
        with parts_of(shop).store.read() as conn:
            page = page_of_deliveries(conn, DeliveryFilter(), before=before, limit=3).rows
        if not page:
            break
        seen += [row.id for row in page]
        before = page[-1].id
    assert seen == whole


def test_filters_find_what_they_name_and_nothing_else(shop: Flask, mini_sentry: MiniSentry) -> None:
    add_project(shop, 2, None)
    event_id = accept(shop, "delivered")
    session = accept(shop, "1", "session")
    deliver(shop)
    park(shop, mini_sentry, detail="100% wrong_header")
    elsewhere = accept(shop, "elsewhere", project_id=2)
    found = {
        "state": ("parked", ["refused 0"]),
        "project_id": (2, ["elsewhere"]),
        "item_type": ("session", [None]),
        "reason": ("100% WRONG_", ["refused 0"]),
        "event_id": (event_id.upper(), ["delivered"]),
    }
    for name, (value, titles) in found.items():
        assert [row.title for row in rows_of(shop, **{name: value})] == titles, name
    # Wildcards of SQL are letters here, and part of a type's name is no type.
    assert rows_of(shop, reason="1_0%") == [] == rows_of(shop, item_type="sess")
    assert rows_of(shop, event_id="no id at all") == [] == rows_of(shop, ids=())
    assert [row.event_id for row in rows_of(shop, event_id=elsewhere)] == [elsewhere]
    assert [row.event_id for row in rows_of(shop, item_type="session")] == [session]


def test_filter_by_time_takes_since_in_and_leaves_until_out(shop: Flask) -> None:
    accept(shop)
    moment = rows_of(shop)[0].received_at
    assert len(rows_of(shop, since=moment)) == 1
    assert rows_of(shop, until=moment) == []
    assert len(rows_of(shop, until=moment + timedelta(seconds=1))) == 1


def test_every_attempt_is_a_row_with_its_answer_and_the_newest_comes_first(
    shop: Flask, mini_sentry: MiniSentry
) -> None:
    answers = iter([503, 502])
    mini_sentry.answer = lambda envelope: (
        answering(status)(envelope) if (status := next(answers, None)) else None
    )
    accept(shop)
    deliver(shop)
    row = rows_of(shop)[0]
    with parts_of(shop).store.read() as conn:
        found = find_delivery(conn, row.id)
        last = last_attempts(conn, [row.id, 10**6])
    assert found is not None and found.attempt_count == 3
    assert [attempt.status for attempt in found.attempts] == [200, 502, 503]
    assert [attempt.state for attempt in found.attempts] == ["delivered", "retry", "retry"]
    assert found.attempts[-1].error.startswith("503") and found.attempts[-1].next_at
    assert found.attempts[0].error is None and all(attempt.ms > 0 for attempt in found.attempts)
    assert set(last) == {row.id}
    assert (last[row.id].attempt.status, last[row.id].total) == (200, 3)


def test_no_envelope_is_found_by_an_id_that_is_none(shop: Flask) -> None:
    with parts_of(shop).store.read() as conn:
        assert [find_delivery(conn, number) for number in (0, -1, 7, 2**63, 10**30)] == [None] * 5


def test_overview_counts_what_is_there_and_knows_the_oldest_and_the_rate(
    shop: Flask, mini_sentry: MiniSentry
) -> None:
    for _ in range(5):
        accept(shop)
    deliver(shop)
    park(shop, mini_sentry, 2)
    now = utc_now()
    accept(shop, "waits")
    with parts_of(shop).store.read() as conn:
        found = overview(conn, parts_of(shop).destinations, utc_now())
    assert {name: count for name, count in found.counts.items() if count} == {
        "delivered": 5,
        "parked": 2,
        "pending": 1,
    }
    assert found.waiting == 1 and found.oldest_at is not None and found.oldest_at >= now
    assert found.per_minute == 1.0
    assert [destination.state(now) for destination in found.destinations] == ["closed"]


def test_overview_shows_circuit_and_pause(shop: Flask, mini_sentry: MiniSentry) -> None:
    mini_sentry.answer = answering(401)
    accept(shop)

    def state() -> str:
        with parts_of(shop).store.read() as conn:
            found = overview(conn, parts_of(shop).destinations, utc_now()).destinations
        return found[0].state(utc_now())

    deliver_until(shop, lambda: state() == "open")
    with parts_of(shop).store.write() as conn:
        destinations.pause(conn, 1, utc_now())
    assert state() == "paused"


def test_counts_leave_out_what_retention_removed(shop: Flask) -> None:
    for _ in range(5):
        accept(shop)
    deliver(shop)
    assert prune(parts_of(shop).store, Limits(days=0, events=2, bytes=0)).envelopes == 3
    with parts_of(shop).store.read() as conn:
        assert counts_by_state(conn)["delivered"] == 2 == len(states_of(shop))


def test_old_attempts_go_in_bites_and_their_envelopes_stay(
    shop: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.intake.retention.LEDGER_BATCH_SIZE", 2)
    accept(shop)
    envelope_id, now = rows_of(shop)[0].id, utc_now()
    row = {"envelope_id": envelope_id, "ms": 1.0, "state": "retry", "worker": "a:1"}
    with parts_of(shop).store.write() as conn:
        for days in (40, 39, 38, 37, 31, 29, 0):
            conn.execute(attempts.insert().values(at=now - timedelta(days=days), **row))
    assert prune(parts_of(shop).store, Limits(days=30, events=0, bytes=0)).envelopes == 0
    with parts_of(shop).store.read() as conn:
        found = find_delivery(conn, envelope_id)
    assert found is not None and (found.row.state, found.attempt_count) == ("pending", 2)


def test_hours_that_no_cap_looks_at_any_more_go(
    make_app: Callable[..., Flask], mini_sentry: MiniSentry
) -> None:
    app = make_app(SENTRY_DSN=mini_sentry.dsn, DELIVERY_MAX_PER_ISSUE_PER_HOUR=100)
    accept(app)
    deliver(app)
    with parts_of(app).store.write() as conn:
        before = conn.exec_driver_sql("SELECT count(*) FROM issue_deliveries").scalar_one()
        conn.exec_driver_sql(
            "INSERT INTO issue_deliveries (issue_id, hour, sent)"
            " SELECT id, '2020-01-01 00:00:00.000000', 7 FROM issues"
        )
    prune(parts_of(app).store, Limits(days=0, events=0, bytes=0))
    with parts_of(app).store.read() as conn:
        left = list(conn.exec_driver_sql("SELECT sent FROM issue_deliveries"))
    assert before == len(left) == 1 and left[0][0] == 1
