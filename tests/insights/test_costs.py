"""Costs: events by month, what was sent and what was spared; they agree with the accounting."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select, update

from app import sentry
from app.events.tables import envelopes
from app.insights.costs import REASONS, months_of
from app.intake.retention import Limits, prune
from app.stats.item_counts import item_counts
from app.stats.months import category_of_items, outcome_months
from app.store import utc_now
from tests.admin.hostile import insert
from tests.conftest import parts_of
from tests.delivery_steps import accounting_of, deliver
from tests.issues.payloads import calls
from tests.mini_sentry import MiniSentry

NOON = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
NO_LIMIT = Limits(days=0, events=0, bytes=0)


def costs(client: FlaskClient, **query: Any) -> list[dict[str, Any]]:
    answer = client.get("/api/costs", query_string=query)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json["costs"]
    return found


def test_month_agrees_with_the_accounting_whatever_is_done_with_envelopes(
    make_app: Callable[..., Flask],
    mini_sentry: MiniSentry,
    login: Callable[[FlaskClient], FlaskClient],
) -> None:
    app = make_app(SENTRY_DSN=mini_sentry.dsn, DELIVERY_MAX_PER_ISSUE_PER_HOUR=2)
    client = app.test_client()

    def check() -> dict[str, Any]:
        [month] = costs(client)
        totals: Any = accounting_of(app)
        assert totals["balanced"]
        assert month["stored"] == totals["accepted"]
        assert month["sent"] == totals["delivered"]
        assert month["spared"] == totals["discarded"]
        waiting = ("local", "pending", "retry", "parked", "expired")
        assert month["kept"] == sum(totals[name] for name in waiting)
        return month

    with time_machine.travel(NOON, tick=True):
        for _ in range(5):
            sentry.capture_message("noisy")
        assert check()["kept"] == 5
        deliver(app)
        month = check()
        assert (month["month"], month["sent"], month["spared"]) == ("2026-11", 2, {"issue_cap": 3})
        assert month["share_spared"] == 0.6
        # A person sends one of them after all, and discards another one that waits again.
        with parts_of(app).store.read() as conn:
            left_out = select(envelopes.c.id).where(envelopes.c.state == "discarded")
            one, other, _ = conn.scalars(left_out.order_by(envelopes.c.id))
        assert client.post(f"/api/deliveries/{one}/replay", json={}).status_code < 300
        assert check()["spared"] == {"issue_cap": 2}
        deliver(app)
        assert check()["sent"] == 3
        client.post(f"/api/deliveries/{other}/replay", json={})
        client.post(f"/api/deliveries/{other}/discard", json={})
        assert check()["spared"] == {"issue_cap": 1, "by_person": 1}
        page = login(client).get("/admin/costs").text
    for text in ("November 2026", "Issue cap", "By person", "40%"):
        assert text in page, text


def test_days_that_expire_become_months_and_months_go_after_thirteen(
    app: Flask, client: FlaskClient
) -> None:
    store = parts_of(app).store
    with time_machine.travel(NOON - timedelta(days=100), tick=False):
        for name in ("a", "b"):
            insert(app, calls(name))
    with time_machine.travel(NOON, tick=False) as clock:
        insert(app, calls("c"))
        before = costs(client)
        assert [(one["month"], one["stored"]) for one in before] == [("2026-11", 1), ("2026-08", 2)]
        for _ in range(2):
            prune(store, NO_LIMIT)
            assert costs(client) == before
        with store.read() as conn:
            assert conn.scalar(select(func.count()).where(item_counts.c.item_type == "event")) == 1
        clock.shift(timedelta(days=340))
        assert [one["month"] for one in costs(client)] == ["2026-11"]
        clock.shift(timedelta(days=200))
        prune(store, NO_LIMIT)
        assert costs(client) == []
        with store.read() as conn:
            assert conn.scalar(select(func.count()).select_from(outcome_months)) == 0


def test_quota_is_counted_as_spared_and_other_projects_apart(
    app: Flask, client: FlaskClient
) -> None:
    with time_machine.travel(NOON, tick=False):
        made = client.post("/api/projects", json={"name": "Shop", "events_per_minute": 1}).json
        key = made["dsn"].partition("//")[2].partition("@")[0]
        for _ in range(4):
            body = b'{}\n{"type":"event"}\n{}'
            auth = {"X-Sentry-Auth": f"Sentry sentry_key={key}"}
            client.post(f"/api/{made['id']}/envelope/", data=body, headers=auth)
        parts_of(app).intake.flush()
        [month] = costs(client, project_id=made["id"])
        assert (month["happened"], month["stored"], month["refused"]) == (4, 1, {"quota": 3})
        assert month["share_spared"] == 0.75 and costs(client) == []


def test_transactions_are_counted_apart(app: Flask, client: FlaskClient) -> None:
    insert(app, calls("a"))
    [month] = costs(client)
    assert month["happened"] == 1 and costs(client, category="transaction") == []


@pytest.mark.parametrize(
    ("items", "category"),
    [
        (["attachment", "event"], "error"),
        (["client_report", "transaction"], "transaction"),
        (["sessions"], "session"),
        (["never_heard_of"], "other"),
        (["", "log"], "log_item"),
        ([], "other"),
    ],
)
def test_envelope_counts_by_its_event_else_by_its_first_known_item(
    items: list[str], category: str
) -> None:
    assert category_of_items(items) == category


def test_count_below_nothing_is_not_shown(app: Flask) -> None:
    """An envelope that a version before the counts had settled is replayed."""
    store = parts_of(app).store
    with time_machine.travel(NOON, tick=False):
        insert(app, calls("a"))
        values = {"project_id": 1, "category": "error", "day": date(2026, 11, 1), "quantity": 1}
        with store.write() as conn:
            conn.execute(outcome_months.insert().values(**values, outcome="discarded:issue_cap"))
            conn.execute(update(outcome_months).values(quantity=-1))
        with store.read() as conn:
            [month] = months_of(conn, 1, "error", utc_now())
    assert month.spared == {} and (month.kept, month.share_spared) == (1, 0)


@pytest.mark.parametrize("query", [{"category": "session"}, {"project_id": 0}, {"period": "day"}])
def test_wrong_query_is_refused_by_its_field(client: FlaskClient, query: dict[str, Any]) -> None:
    answer = client.get("/api/costs", query_string=query)
    assert answer.status_code == 422 and answer.json["errors"][0]["field"] in query


def test_reasons_have_words() -> None:
    assert all(words and not words.endswith(".") for words in REASONS.values())
