"""Alerts about monitors: one when a job fails, one when it is ok again, whoever evaluates."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update

from app.alerts.tables import notices
from app.intake.removed_projects import remove_deleted_projects
from app.monitors.tables import monitor_watch
from app.projects import archive_project, create_project, delete_project, restore_project
from app.signals.check_ins import MonitorTask
from app.signals.task import SignalTask
from app.store.leases import new_owner
from tests.alert_steps import (
    add_rule,
    add_webhook,
    alert_loop_of,
    evaluate,
    only,
    rule_now,
    titles,
)
from tests.conftest import parts_of
from tests.monitors.steps import CONFIG, check_in, key_of, monitor_of, send, statuses, watch
from tests.receivers import Receiver

NOON = datetime(2026, 11, 25, 12, 0, 1, tzinfo=UTC)
HOURLY = CONFIG | {"schedule": {"type": "crontab", "value": "0 * * * *"}}
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


def later(
    app: Flask, clock: time_machine.Traveller, time: timedelta, *, away: bool = False
) -> None:
    """Let time pass while the worker looked, and evaluate."""
    clock.shift(time)
    if not away:
        with parts_of(app).store.write() as conn:
            conn.execute(update(monitor_watch).values(at=datetime.now(UTC)))
    watch(app)
    evaluate(app)
    evaluate(app)


def test_missed_and_recovered_are_told_once(app: Flask, clock: time_machine.Traveller) -> None:
    rule = only(app, "monitor")
    send(app, check_in(monitor_config=HOURLY))
    later(app, clock, HOUR + 4 * MINUTE)
    assert titles(app) == []
    later(app, clock, 2 * MINUTE)
    assert titles(app) == ["Monitor nightly missed its run (production)"]
    assert rule_now(app, rule).state == "firing"
    later(app, clock, 5 * HOUR)
    assert len(titles(app)) == 1
    send(app, check_in())
    later(app, clock, MINUTE)
    assert titles(app)[1:] == ["Monitor nightly is ok again (production)"]
    assert rule_now(app, rule).state == "ok"
    with parts_of(app).store.read() as conn:
        first, second = conn.execute(select(notices.c.kind, notices.c.incident)).all()
    assert (first.kind, second.kind) == ("monitor", "resolved")
    assert first.incident == second.incident


@pytest.mark.one_database
def test_missed_and_endless_runs_and_their_ends_reach_a_webhook_through_the_tasks_of_the_worker(
    app: Flask, client: FlaskClient, receiver: Receiver, clock: time_machine.Traveller
) -> None:
    """A job of every 15 minutes stays away once, and another one hangs."""
    add_webhook(app, receiver.url)
    store, key = parts_of(app).store, key_of(app)
    signals, monitors = SignalTask(store, new_owner()), MonitorTask(store, new_owner())
    config = {"schedule": {"type": "crontab", "value": "*/15 * * * *"}, "checkin_margin": 2}

    def pass_time(minutes: int) -> list[str]:
        for _ in range(minutes * 3):  # Seldom enough for the test, often enough to be no outage.
            clock.shift(20)
            monitors.run_once()
        signals.run_once()
        monitors.run_once()
        alert_loop_of(app, owner).run_once()
        return sorted(one.json["title"] for one in receiver.received)

    owner = new_owner()
    endless = {"schedule": {"type": "interval", "value": 1, "unit": "hour"}, "max_runtime": 17}
    client.post(f"/api/1/cron/import/{key}/", json={"status": "ok", "monitor_config": config})
    begun = {"status": "in_progress", "monitor_config": endless}
    client.post(f"/api/1/cron/report/{key}/", json=begun)
    signals.run_once()
    assert pass_time(16) == []  # 12:16, within the margin.
    failed = ["Monitor import missed its run (production)"]
    failed += ["Monitor report timed out (production)"]
    assert pass_time(2) == failed
    for slug in ("import", "report"):
        client.get(f"/api/1/cron/{slug}/{key}/?status=ok")
    ended = [f"Monitor {slug} is ok again (production)" for slug in ("import", "report")]
    assert pass_time(1) == sorted(failed + ended)
    kinds = [one.json["kind"] for one in receiver.received]
    assert kinds == ["monitor", "monitor", "resolved", "resolved"]


def test_timeout_and_failure_have_their_words_and_thresholds(
    app: Flask, clock: time_machine.Traveller
) -> None:
    only(app, "monitor")
    patient = HOURLY | {"failure_issue_threshold": 2, "recovery_threshold": 2}
    send(app, check_in("slow", "in_progress", monitor_config=HOURLY))
    for number, status in enumerate(["error", "error", "ok", "ok"]):
        send(app, check_in("patient", status, monitor_config=patient))
        later(app, clock, MINUTE)
        assert len(titles(app)) == (0, 1, 1, 2)[number]
    later(app, clock, 30 * MINUTE)
    assert titles(app) == [
        "Monitor patient failed (production)",
        "Monitor patient is ok again (production)",
        "Monitor slow timed out (production)",
    ]


@pytest.mark.parametrize(
    ("thresholds", "statuses", "told"),
    [
        ((1, 1), ["error", "ok"], ["failed", "is ok again"]),
        ((2, 2), ["error", "error", "ok", "ok"], ["failed", "is ok again"]),
        ((2, 1), ["error", "ok", "error", "ok"], []),
        ((1, 2), ["error", "ok", "error", "ok"], ["failed"]),
    ],
)
def test_failure_that_is_over_when_rules_are_evaluated_is_told_with_its_end(
    app: Flask,
    clock: time_machine.Traveller,
    thresholds: tuple[int, int],
    statuses: list[str],
    told: list[str],
) -> None:
    only(app, "monitor")
    names = ("failure_issue_threshold", "recovery_threshold")
    patient = HOURLY | dict(zip(names, thresholds, strict=True))
    for status in statuses:
        send(app, check_in(status=status, monitor_config=patient))
    later(app, clock, MINUTE)
    assert titles(app) == [f"Monitor nightly {words} (production)" for words in told]


def test_missed_and_endless_runs_that_are_over_when_rules_are_evaluated_are_told(
    app: Flask, clock: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.monitors.watch.AWAY_AFTER", timedelta(days=9))
    only(app, "monitor")
    quick = HOURLY | {"max_runtime": 2}
    send(app, check_in("late", monitor_config=quick))
    send(app, check_in("slow", "in_progress", monitor_config=quick))
    clock.shift(3 * MINUTE)
    send(app, check_in("slow"))
    clock.shift(HOUR + 3 * MINUTE)
    send(app, check_in("late"), check_in("slow"))
    evaluate(app)
    assert titles(app) == [
        "Monitor slow timed out (production)",
        "Monitor slow is ok again (production)",
        "Monitor late missed its run (production)",
        "Monitor late is ok again (production)",
    ]


def test_many_changes_between_two_looks_come_in_portions_and_in_their_order(
    app: Flask, clock: time_machine.Traveller
) -> None:
    only(app, "monitor")
    jobs = [f"job-{n}" for n in range(15)]
    send(app, *[check_in(job, status) for job in jobs for status in ("error", "ok")])
    for _ in range(3):
        evaluate(app)
    words = ("failed", "is ok again")
    assert titles(app) == [f"Monitor {job} {word} (production)" for job in jobs for word in words]


@pytest.mark.one_database
def test_job_that_fails_and_ends_well_all_the_time_holds_up_no_other_job(
    app: Flask, clock: time_machine.Traveller
) -> None:
    only(app, "monitor")
    send(app, *[check_in("flapping", status) for _ in range(60) for status in ("error", "ok")])
    send(app, check_in("other", "error"))
    evaluate(app)
    assert titles(app) == [
        "Monitor flapping failed (production)",
        "Monitor flapping is ok again (production)",
        "Monitor other failed (production)",
    ]


def test_each_monitor_and_environment_has_its_own_cool_down(
    app: Flask, clock: time_machine.Traveller
) -> None:
    only(app, "monitor", cooldown_minutes=30, filters={"environment": "live*"})
    for status in ("error", "ok", "error"):
        for environment in ("live", "live-2", "test"):
            send(app, check_in(status=status, environment=environment))
        later(app, clock, MINUTE)
    assert [title.split("(")[1] for title in titles(app)] == ["live)", "live-2)"] * 2
    later(app, clock, 30 * MINUTE)
    assert len(titles(app)) == 6


def test_outage_of_this_service_raises_nothing(app: Flask, clock: time_machine.Traveller) -> None:
    only(app, "monitor")
    send(app, *[check_in(f"job-{n}", monitor_config=HOURLY) for n in range(5)])
    later(app, clock, 9 * HOUR, away=True)
    later(app, clock, 6 * MINUTE, away=False)
    assert titles(app) == []


def test_paused_monitor_ends_its_incident(
    app: Flask, client: FlaskClient, clock: time_machine.Traveller
) -> None:
    only(app, "monitor")
    send(app, check_in(status="error"))
    later(app, clock, MINUTE)
    client.patch("/api/monitors/nightly?project_id=1", json={"paused": True})
    later(app, clock, MINUTE)
    assert titles(app)[1:] == ["Monitor nightly is paused (production)"]


def test_deleted_monitor_ends_its_incident(
    app: Flask, client: FlaskClient, clock: time_machine.Traveller
) -> None:
    only(app, "monitor")
    send(app, check_in(status="error"))
    later(app, clock, MINUTE)
    client.delete("/api/monitors/nightly?project_id=1")
    assert titles(app)[1:] == ["Monitor nightly was deleted (production)"]
    later(app, clock, MINUTE)
    assert len(titles(app)) == 2


def test_deleted_environment_ends_its_incident_and_leaves_the_others(
    app: Flask, client: FlaskClient, clock: time_machine.Traveller
) -> None:
    only(app, "monitor")
    send(app, check_in(status="error", environment="team/old"), check_in(environment="live"))
    later(app, clock, MINUTE)
    path = "/api/monitors/nightly/environments/team/old?project_id=1"
    assert client.delete(path).status_code == 204
    assert client.delete(path).status_code == 404
    assert titles(app)[1:] == ["Monitor nightly is no longer watched (team/old)"]
    monitor = monitor_of(client)
    assert [one["environment"] for one in monitor["environments"]] == ["live"]
    assert (monitor["status"], statuses(client)) == ("ok", ["ok"])
    action = client.get("/api/audit").json["entries"][0]["action"]
    assert action == "monitor_environment_deleted"
    send(app, check_in(environment="team/old"))
    later(app, clock, MINUTE)
    assert (len(monitor_of(client)["environments"]), len(titles(app))) == (2, 2)


@pytest.mark.parametrize("action", ["archived", "deleted"])
def test_archived_or_deleted_project_ends_the_incidents_of_its_monitors(
    app: Flask, clock: time_machine.Traveller, action: str
) -> None:
    parts = parts_of(app)
    create_project(parts.store, "Shop")
    only(app, "monitor")
    add_rule(app, "monitor", 2)
    send(app, check_in(status="error"), project_id=2)
    send(app, check_in("other", "error"))
    later(app, clock, MINUTE)
    with parts.store.read() as conn:
        opened = conn.scalar(select(notices.c.incident).where(notices.c.project_id == 2))
    {"archived": archive_project, "deleted": delete_project}[action](parts.store, 2)
    remove_deleted_projects(parts.store, parts.destinations)
    end = f"Monitor nightly is no longer watched, Shop was {action} (production)"
    with parts.store.read() as conn:
        last = conn.execute(select(notices).order_by(notices.c.id.desc())).first()
    assert (last.kind, last.title, last.incident) == ("resolved", end, opened)
    later(app, clock, MINUTE)
    assert titles(app)[-1] == end
    if action == "archived":
        restore_project(parts.store, 2)
        later(app, clock, HOUR)
        assert titles(app)[-1] == end


def test_many_failures_at_once_come_in_portions_and_each_once(
    app: Flask, clock: time_machine.Traveller
) -> None:
    only(app, "monitor")
    add_rule(app, "monitor", filters={"environment": "nowhere"})
    send(app, *[check_in(f"job-{n}", "error") for n in range(25)])
    later(app, clock, MINUTE)
    later(app, clock, MINUTE)
    assert sorted(titles(app)) == sorted(f"Monitor job-{n} failed (production)" for n in range(25))
