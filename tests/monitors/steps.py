"""Steps of monitor tests: send check-ins, do what the background tasks do, look at the answers."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from app.monitors.evaluation import evaluate
from app.monitors.tables import check_ins
from app.projects.tables import project_keys
from app.protocol.envelope import Envelope, Item
from app.signals.check_ins import recorded_until
from app.signals.kinds import SIGNALS
from app.signals.walk import catch_up
from app.store import utc_now
from tests.conftest import parts_of

CONFIG = {
    "schedule": {"type": "crontab", "value": "0 2 * * *"},
    "timezone": "Europe/Berlin",
    "checkin_margin": 5,
    "max_runtime": 30,
}


def key_of(app: Flask, project_id: int = 1) -> str:
    columns = project_keys.c
    with parts_of(app).store.read() as conn:
        query = select(columns.public_key).where(columns.project_id == project_id)
        return conn.execute(query).scalars().first()


def check_in(slug: str = "nightly", status: str = "ok", **fields: Any) -> dict[str, Any]:
    return {"monitor_slug": slug, "status": status, **fields}


def send(app: Flask, *payloads: dict[str, Any], project_id: int = 1) -> None:
    """Store an envelope with check-ins and read it."""
    items = [Item({"type": "check_in"}, payload) for payload in payloads]
    parts_of(app).intake.accept(Envelope({}, items), project_id=project_id, timeout_s=10)
    read(app)


def read(app: Flask) -> None:
    catch_up(parts_of(app).store, SIGNALS)


def watch(app: Flask, now: datetime | None = None) -> None:
    """Do what the task does every two seconds."""
    store, now = parts_of(app).store, now or utc_now()
    evaluate(store, now, recorded_until(store, now))


def monitor_of(client: FlaskClient, slug: str = "nightly", project_id: int = 1) -> dict[str, Any]:
    answer = client.get(f"/api/monitors/{slug}?project_id={project_id}")
    assert answer.status_code == 200, answer.text
    return answer.json


def runs_of(client: FlaskClient, slug: str = "nightly", **query: Any) -> list[dict[str, Any]]:
    """Return the runs, the oldest first."""
    path, query = f"/api/monitors/{slug}/checkins", {"project_id": 1, "limit": 1000} | query
    return client.get(path, query_string=query).json["checkins"][::-1]


def statuses(client: FlaskClient, slug: str = "nightly", **query: Any) -> list[str]:
    return [run["status"] for run in runs_of(client, slug, **query)]


def rows(app: Flask) -> list[Any]:
    with parts_of(app).store.read() as conn:
        return list(conn.execute(select(check_ins).order_by(check_ins.c.id)))
