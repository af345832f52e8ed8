"""Twelve schedules in four zones over the days of both clock changes, in a database."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.monitors.check_in import Sent
from app.monitors.evaluation import evaluate
from app.monitors.machine import CheckIn
from app.monitors.recording import record
from tests.conftest import parts_of
from tests.monitors.steps import statuses
from tests.monitors.test_machine import CRONTABS, INTERVALS, story
from tests.monitors.wall_clock import runs

STEP = timedelta(hours=6)
# Summer time begins in Berlin, and ends in New York. The year of test_machine.py has all changes.
CHANGES = [date(2026, 3, 29), date(2026, 11, 1)]
EXPECTS = {"checkin_margin": 5, "max_runtime": 30}


def jobs_of(day: date) -> dict[str, tuple[dict, list[datetime]]]:
    """Return the configuration of each job, and its runs around a day."""
    around = {day + timedelta(days=n) for n in range(-1, 3)}
    found = {}
    for number, (text, zone, minutes, hours, days, real) in enumerate(CRONTABS):
        kind = {"schedule_type": "crontab", "schedule_value": text, "schedule_unit": None}
        ticks = (
            runs(zone, minutes, hours, around & days, in_real_time=real) if around & days else []
        )
        found[f"crontab-{number}"] = (EXPECTS | kind | {"timezone": zone}, ticks)
    for number, (value, unit, zone) in enumerate(INTERVALS):
        kind = {"schedule_type": "interval", "schedule_value": value, "schedule_unit": unit}
        span = int(value) * timedelta(**{f"{unit}s": 1})
        first = datetime.combine(min(around), datetime.min.time(), UTC)
        ticks = [first + n * span for n in range(timedelta(days=4) // span)]
        found[f"interval-{number}"] = (EXPECTS | kind | {"timezone": zone}, ticks)
    return found


@pytest.mark.parametrize("day", CHANGES, ids=str)
def test_runs_around_a_clock_change_equal_an_independent_count(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch, day: date
) -> None:
    monkeypatch.setattr("app.monitors.watch.AWAY_AFTER", timedelta(days=1))
    sent, counts = [], {}
    for slug, (config, ticks) in jobs_of(day).items():
        if slug.startswith("interval"):
            # The next run is expected after the last one, so these always come, and on time.
            given = [(tick, None) for tick in ticks]
            counts[slug] = Counter(ok=len(ticks))
        elif ticks:
            given, counts[slug], _, _ = story(ticks, seed=len(slug) + day.day)
        else:
            continue
        sent += [
            Sent(1, at, slug, "production", one or CheckIn(None, "ok"), (config, None))
            for at, one in given
        ]
    play(app, sorted(sent, key=lambda one: one.received_at), last=day + timedelta(days=3))
    assert len(counts) >= 10
    for slug, expected in counts.items():
        ticks = jobs_of(day)[slug][1]
        found = Counter(statuses(client, slug))
        # After the last run of these days the job goes on without check-ins.
        found["missed"] -= missed_after(client, slug, ticks[-1])
        assert +found == expected, slug


def missed_after(client: FlaskClient, slug: str, last: datetime) -> int:
    path = f"/api/monitors/{slug}/checkins?project_id=1&limit=1000"
    found = client.get(path).json["checkins"]
    return sum(
        run["status"] == "missed" and datetime.fromisoformat(run["expected_at"]) > last
        for run in found
    )


def play(app: Flask, sent: list[Sent], last: date) -> None:
    """Record check-ins and let time pass, in steps of some hours."""
    store, now = parts_of(app).store, sent[0].received_at
    end = datetime.combine(last, datetime.min.time(), UTC) + timedelta(hours=8)
    while now < end:
        until = now + STEP
        batch = [one for one in sent if now <= one.received_at < until]
        if batch:
            with store.write() as conn:
                record(conn, batch, until)
        evaluate(store, until, until)
        now = until
