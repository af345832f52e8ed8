"""The bulk filler of the benchmarks: what it writes is what the intake would have left behind."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.delivery.accounting import accounting
from benchmarks.filler import Plan, fill
from tests.conftest import parts_of

pytestmark = pytest.mark.one_database


def test_filled_store_is_balanced_and_every_list_reads_it(app: Flask, client: FlaskClient) -> None:
    store = parts_of(app).store
    filled = fill(store, Plan(events=300, projects=4, issues=20))
    with store.read() as conn:
        totals = accounting(conn)
    assert totals["balanced"] and totals["accepted"] == 300
    assert len(client.get("/api/events?limit=1000").json["events"]) == 300
    assert client.get(f"/api/events/{filled.event_id}").json["exceptions"]
    issues = client.get("/api/issues").json["issues"]
    assert sum(issue["times_seen"] for issue in issues) == 300
    assert len({issue["project_id"] for issue in issues}) == 4
