"""The days around each change of the clock, of all schedules of that zone, through both databases.

`python -m benchmarks.year` plays the whole year of all twelve schedules.
"""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.conftest import parts_of
from tests.monitors.steps import statuses
from tests.monitors.year import Player, found_rows, jobs_of

CHANGES = [
    ("Europe/Berlin", date(2026, 3, 29)),
    ("Europe/Berlin", date(2026, 10, 25)),
    ("America/New_York", date(2026, 3, 8)),
    ("America/New_York", date(2026, 11, 1)),
]


@pytest.mark.parametrize(("zone", "day"), CHANGES, ids=str)
def test_runs_around_a_clock_change_equal_an_independent_count(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch, zone: str, day: date
) -> None:
    monkeypatch.setattr("app.monitors.watch.AWAY_AFTER", timedelta(days=9))
    store, jobs = (
        parts_of(app).store,
        jobs_of({day + timedelta(days=n) for n in (-1, 0, 1)}, {zone}),
    )
    player = Player(store, jobs)
    player.play()
    assert len(jobs) >= 4
    for job in jobs:
        assert found_rows(store, job) == job.story.rows, job
        told = player.fails[job.slug], player.recovers[job.slug]
        assert told == (job.story.fails, job.story.recovers), job
        shown = statuses(client, job.slug)[: len(job.story.rows)]
        assert shown == [status for status, _ in job.story.rows]
    assert player.wrongly_on_time == []
