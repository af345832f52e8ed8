"""Check-ins of SDKs and of curl become monitors and runs, within bounds, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import sentry_sdk
import sentry_sdk.crons
import time_machine
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner
from sqlalchemy import func, select

from app.backup.tables import tables_of_backup
from app.intake.retention import Limits, prune
from app.monitors import expiry, rate, recording
from app.monitors.tables import runs_without_row
from app.projects import create_project, delete_project
from app.projects.ending import archive_project, restore_project
from app.protocol.envelope import dump_json, parse_envelope
from app.protocol.slug import read_slug
from app.signals.check_ins import MonitorTask
from app.store.leases import new_owner
from tests.conftest import csrf_token, parts_of
from tests.lease_expiry import let_leases_pass
from tests.monitors.steps import (
    CONFIG,
    check_in,
    key_of,
    monitor_of,
    read,
    rows,
    runs_of,
    send,
    statuses,
    watch,
)
from tests.questions import questions
from tests.traces.steps import program

NIGHT = datetime(2026, 3, 27, 1, 0, 3, tzinfo=UTC)  # 02:00:03 in Berlin, two days before summer.
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def test_decorator_of_the_sdk_makes_a_monitor_with_runs(app: Flask, client: FlaskClient) -> None:
    @sentry_sdk.monitor(monitor_slug="nightly", monitor_config=CONFIG)
    def job(fails: bool) -> None:
        if fails:
            raise ZeroDivisionError("no customers")

    with program(app, 1, environment="live", release="shop@1"):
        job(False)
        with pytest.raises(ZeroDivisionError):
            job(True)
    read(app)
    monitor = monitor_of(client)
    assert monitor["schedule"] == {"type": "crontab", "value": "0 2 * * *", "unit": None}
    assert (monitor["timezone"], monitor["checkin_margin"]) == ("Europe/Berlin", 5)
    assert (monitor["status"], monitor["managed_by"]) == ("error", "sdk")
    assert [one["environment"] for one in monitor["environments"]] == ["live"]
    good, bad = runs_of(client)
    assert (good["status"], bad["status"], bad["release"]) == ("ok", "error", "shop@1")
    assert 0 <= good["duration_ms"] < 60_000
    assert len(bad["trace_id"]) == 32


@pytest.mark.parametrize("ending", ["ok", "error"])
def test_sentry_cli_sends_a_run_in_two_envelopes(
    app: Flask, client: FlaskClient, ending: str
) -> None:
    first = {"check_in_id": "9d5ae3a9-2e1b-4f5e-b7a3-3c5f5e7d1c11", "monitor_slug": "nightly"}
    first |= {"status": "in_progress", "environment": "production", "monitor_config": CONFIG}
    last = {**first, "status": ending, "duration": 1.25}
    for payload in (first, last):
        text = dump_json(payload)
        head = dump_json({"type": "check_in", "length": len(text)})
        body = b"\n".join((b"{}", head, text))
        path = f"/api/1/envelope/?sentry_key={key_of(app)}"
        assert client.post(path, data=body).status_code == 200
    read(app)
    (run,) = runs_of(client)
    assert (run["status"], run["duration_ms"]) == (ending, 1250)
    assert run["check_in_id"] == "9d5ae3a92e1b4f5eb7a33c5f5e7d1c11"


def test_curl_begins_and_ends_a_run_by_get_and_post(app: Flask, client: FlaskClient) -> None:
    path = f"/api/1/cron/nightly/{key_of(app)}/"
    begun = client.get(f"{path}?status=in_progress&environment=live")
    assert begun.status_code == 200
    assert client.get(f"{path}?status=ok&environment=live").json == {}
    other = client.post(path, json={"status": "in_progress", "monitor_config": CONFIG}).json["id"]
    client.post(f"{path}?status=error&check_in_id={other}&duration=2.5", data="output of the job")
    read(app)
    first, second = runs_of(client)
    assert (first["check_in_id"], first["status"]) == (begun.json["id"], "ok")
    assert (second["status"], second["duration_ms"]) == ("error", 2500)
    assert monitor_of(client)["schedule"]["value"] == "0 2 * * *"
    assert client.head(f"{path}?status=ok").status_code == 204
    read(app)
    assert len(runs_of(client)) == 2


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("query", "status", "cause"),
    [
        ("", 400, "status"),
        ("?status=done", 400, "status"),
        ("?status=ok&duration=long", 400, "duration"),
        ("?status=ok&duration=-1", 400, "duration"),
        ("?status=ok&duration=99999999", 400, "duration: seconds from 0 to 31,622,400"),
        (f"?status=ok&environment={'x' * 65}", 400, "environment: a text of 1 to 64"),
        ("?status=ok&environment=%20", 400, "environment"),
        (f"?status=ok&release={'x' * 251}", 400, "release"),
        ("?status=ok&monitor_config=7", 400, "monitor_config"),
        ("?status=ok&check_in_id=7", 400, "check_in_id"),
        ("?status=ok&check_in_id=0", 400, "check_in_id"),
        ("?status=ok&check_in_id=-", 400, "check_in_id"),
        (f"?status=ok&sentry_key={'b' * 32}", 403, "different"),
    ],
)
def test_wrong_check_in_is_refused_and_counted(
    app: Flask, client: FlaskClient, query: str, status: int, cause: str
) -> None:
    answer = client.get(f"/api/1/cron/nightly/{key_of(app)}/{query}")
    reason = "malformed" if status == 400 else "credentials_disagree"
    assert answer.status_code == status
    assert cause in answer.headers["X-Sentry-Error"]
    assert client.get(f"/api/1/cron/nightly/{'a' * 32}/?status=ok").status_code == 403
    parts_of(app).intake.flush()
    assert f'refused_total{{project="1",reason="{reason}"}}' in client.get("/metrics").text
    read(app)
    assert client.get("/api/monitors").json["monitors"] == []


@pytest.mark.one_database
@pytest.mark.parametrize(
    "fields",
    [
        {"environment": ["live"]},
        {"release": {"v": 1}},
        {"duration": True},
        {"duration": 10**400},
        {"check_in_id": 7},
        {"monitor_config": "hourly"},
        {"status": ["ok"]},
    ],
    ids=str,
)
def test_wrong_field_of_a_posted_check_in_is_named(
    app: Flask, client: FlaskClient, fields: dict
) -> None:
    path = f"/api/1/cron/nightly/{key_of(app)}/"
    answer = client.post(path, json={"status": "ok"} | fields)
    assert answer.status_code == 400
    assert next(iter(fields)) in answer.headers["X-Sentry-Error"]


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("checkin_margin", -5),
        ("max_runtime", "abc"),
        ("max_runtime", 1.5),
        ("failure_issue_threshold", 1e30),
        ("recovery_threshold", True),
    ],
)
def test_wrong_number_of_a_posted_configuration_is_named(
    app: Flask, client: FlaskClient, name: str, number: object
) -> None:
    path, config = f"/api/1/cron/nightly/{key_of(app)}/", CONFIG | {"recovery_threshold": None}
    answer = client.post(path, json={"status": "ok", "monitor_config": config | {name: number}})
    assert answer.status_code == 400
    assert f"monitor_config.{name}: a whole number" in answer.headers["X-Sentry-Error"]
    assert client.post(path, json={"status": "ok", "monitor_config": config}).status_code == 200


@pytest.mark.one_database
def test_schedule_that_is_never_due_is_said_to_whoever_posts_it(
    app: Flask, client: FlaskClient
) -> None:
    path = f"/api/1/cron/nightly/{key_of(app)}/"
    never = {"schedule": {"type": "crontab", "value": "0 0 31 2 *"}}
    zeros = "00000000-0000-0000-0000-000000000000"
    begun = client.post(path, json={"status": "in_progress", "monitor_config": never})
    assert "never due" in begun.json["problem"] and begun.json["id"]
    client.get(f"{path}?status=ok&check_in_id={zeros}")
    read(app)
    assert statuses(client) == ["ok"]
    assert "never due" in monitor_of(client)["config_error"]


def test_missed_late_and_recovered_across_the_clock_change(app: Flask, client: FlaskClient) -> None:
    """The run of 29 March is expected at 03:00, since 02:00 does not exist that night."""
    with time_machine.travel(NIGHT, tick=False) as clock:
        send(app, check_in(monitor_config=CONFIG))
        seen = []
        for moment in (
            NIGHT + 30 * MINUTE,
            datetime(2026, 3, 28, 1, 0, 1, tzinfo=UTC),
            datetime(2026, 3, 28, 1, 5, 15, tzinfo=UTC),
            datetime(2026, 3, 29, 1, 0, 1, tzinfo=UTC),
        ):
            keep_watch(app, clock, moment)
            monitor = monitor_of(client)
            seen.append((monitor["status"], monitor["next_expected"]))
        assert seen == [
            ("ok", "2026-03-28T01:00:00Z"),
            ("late", "2026-03-28T01:00:00Z"),
            ("missed", "2026-03-29T01:00:00Z"),
            ("missed", "2026-03-29T01:00:00Z"),
        ]
        send(app, check_in())
        assert monitor_of(client)["status"] == "ok"
        assert monitor_of(client)["next_expected"] == "2026-03-30T00:00:00Z"
        assert statuses(client) == ["ok", "missed", "ok"]
        assert [run["away"] for run in runs_of(client)] == [False] * 3


def keep_watch(app: Flask, clock: time_machine.Traveller, until: datetime) -> None:
    """Look often enough until a moment, as the worker does: here only at the end of each step."""
    now = datetime.now(UTC)
    while now < until:
        now = min(until, now + timedelta(seconds=25)) if until - now < HOUR else until
        clock.move_to(now)
        pretend_watched(app, now)
        watch(app)


def pretend_watched(app: Flask, now: datetime) -> None:
    from sqlalchemy import update

    from app.monitors.tables import monitor_watch

    with parts_of(app).store.write() as conn:
        conn.execute(update(monitor_watch).values(at=now - timedelta(seconds=5)))


def test_runs_missed_while_this_service_was_away_are_said_so(
    app: Flask, client: FlaskClient
) -> None:
    hourly = CONFIG | {"schedule": {"type": "crontab", "value": "0 * * * *"}}
    with time_machine.travel(NIGHT, tick=False) as clock:
        send(app, check_in(monitor_config=hourly), check_in("other", monitor_config=hourly))
        clock.shift(10 * HOUR)
        send(app, check_in())  # Read before anything else looked.
        watch(app)
        first, away, last = runs_of(client)
        assert (away["status"], away["away"], away["runs"]) == ("missed", True, 9)
        assert (first["status"], last["status"]) == ("ok", "ok")
        assert monitor_of(client)["status"] == "ok"
        assert monitor_of(client, "other")["status"] == "late"
        clock.shift(6 * MINUTE)
        pretend_watched(app, datetime.now(UTC))
        watch(app)
        assert monitor_of(client, "other")["status"] == "ok"
        found = [(run["status"], run["away"], run["runs"]) for run in runs_of(client, "other")]
        assert found == [("ok", False, 1), ("missed", True, 9), ("missed", True, 1)]


def test_check_in_that_waits_to_be_read_is_not_missed(app: Flask, client: FlaskClient) -> None:
    minutely = CONFIG | {"schedule": {"type": "interval", "value": 10, "unit": "minute"}}
    with time_machine.travel(NIGHT, tick=False) as clock:
        send(app, check_in(monitor_config=minutely))
        clock.shift(9 * MINUTE)
        path = f"/api/1/cron/nightly/{key_of(app)}/?status=ok"
        client.get(path)
        clock.shift(10 * MINUTE)
        pretend_watched(app, datetime.now(UTC))
        watch(app)
        read(app)
        assert statuses(client) == ["ok", "ok"]


def test_environments_of_a_monitor_are_apart(app: Flask, client: FlaskClient) -> None:
    send(app, check_in(environment="live"), check_in(status="error", environment="test"))
    monitor = monitor_of(client)
    assert monitor["status"] == "error"
    found = {one["environment"]: one["status"] for one in monitor["environments"]}
    assert found == {"live": "ok", "test": "error"}
    assert statuses(client, environment="live") == ["ok"]


def test_check_in_that_comes_twice_counts_once(app: Flask, client: FlaskClient) -> None:
    again = check_in(check_in_id="c" * 32)
    send(app, again, again)
    send(app, again)
    assert statuses(client) == ["ok"]


@pytest.mark.one_database
def test_what_a_client_cannot_multiply(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "MAX_MONITORS", 3)
    monkeypatch.setattr(recording, "MAX_ENVIRONMENTS", 2)
    monkeypatch.setattr(recording, "MAX_OPEN_RUNS", 4)
    with time_machine.travel(NIGHT, tick=False):
        send(app, *[check_in(f"job-{n}", environment="x" * 900) for n in range(5)])
        send(app, *[check_in("job-0", environment=f"e{n}") for n in range(5)])
        send(app, *[check_in("job-1", check_in_id=f"{n + 1:032x}") for n in range(20)])
        send(
            app, *[check_in("job-2", "in_progress", check_in_id=f"{n + 1:032x}") for n in range(7)]
        )
        send(app, *[check_in("", "ok"), check_in(status="happy"), {"monitor_slug": ["x"]}])
    assert len(client.get("/api/monitors").json["monitors"]) == 3
    assert len(monitor_of(client, "job-0")["environments"][1]["environment"]) == 64
    assert len(runs_of(client, "job-1")) == 1 + rate.MAX_RUNS_A_MINUTE
    assert left_out(app) == {"monitors": 2, "environments": 4, "open": 3, "malformed": 3}


@pytest.mark.one_database
def test_run_that_begins_beside_too_many_others_is_not_missed_and_its_end_counts(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "MAX_OPEN_RUNS", 1)
    hourly = CONFIG | {"schedule": {"type": "crontab", "value": "0 * * * *"}, "max_runtime": 900}
    begun = [check_in("job", "in_progress", check_in_id=id * 32) for id in "ab"]
    with time_machine.travel(NIGHT, tick=False) as clock:
        send(app, begun[0] | {"monitor_config": hourly})
        clock.shift(HOUR)
        send(app, begun[1])
        clock.shift(30 * MINUTE)
        pretend_watched(app, datetime.now(UTC))
        watch(app)
        assert monitor_of(client, "job")["status"] == "ok"
        send(app, begun[1] | {"status": "error"})
    assert monitor_of(client, "job")["status"] == "error"
    assert statuses(client, "job") == ["in_progress", "error"]
    assert left_out(app) == {"open": 1}


@pytest.mark.one_database
def test_slugs_that_a_client_makes_up_cost_no_questions(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "MAX_MONITORS", 3)
    send(app, *[check_in(f"job-{n}") for n in range(3)])
    with questions() as asked:
        send(app, *[check_in(f"made-up-{n}") for n in range(90)], check_in("job-1", "error"))
    assert len(asked) < 40
    with parts_of(app).store.read() as conn:
        assert [row.count for row in recording.left_out(conn, [1])] == [90]
    assert monitor_of(client, "job-1")["status"] == "error"


@pytest.mark.one_database
def test_end_of_a_run_is_never_left_out(app: Flask, client: FlaskClient) -> None:
    path = f"/api/1/cron/busy/{key_of(app)}/?status="
    for _ in range(rate.MAX_RUNS_A_MINUTE - 1):
        client.get(f"{path}ok")
    client.get(f"{path}in_progress")
    client.get(f"{path}error")
    read(app)
    assert sorted(run["status"] for run in runs_of(client, "busy"))[0] == "error"


def test_runs_beyond_the_rate_all_count_and_the_page_says_since_when(
    app: Flask, client: FlaskClient, login: Callable[[FlaskClient], FlaskClient]
) -> None:
    ended = [check_in(check_in_id=f"{n + 1:032x}") for n in range(30)]
    with time_machine.travel(NIGHT, tick=False) as clock:
        send(app, *ended, check_in(status="error"))
        assert monitor_of(client)["status"] == "error"  # Although it is far beyond the rate.
        send(app, check_in(status="error"))
        found = [(run["status"], run["runs"]) for run in runs_of(client)]
        assert found == [("ok", 1)] * 11 + [("ok", 19), ("error", 2)]
        begun = [{**one, "status": "in_progress"} for one in ended]
        send(app, *[{**one, "monitor_slug": "two"} for one in begun + ended])
        assert sum(run["runs"] for run in runs_of(client, "two")) == 30
        assert {run["status"] for run in runs_of(client, "two")} == {"ok"}
        assert len(runs_of(client, "two")) == 12
        clock.shift(2 * HOUR)
        send(app, *[check_in() for _ in range(14)])
        (environment,) = monitor_of(client)["environments"]
        assert environment["beyond_rate_since"] == "2026-03-27T01:00:03Z"
        page = login(client).get("/admin/monitors/1/nightly").text
        assert "More than 12 runs ended within a minute" in page and "3 runs ok" in page
        assert "were left out" not in client.get("/admin/monitors").text
        clock.shift(DAY)
        assert monitor_of(client)["environments"][0]["beyond_rate_since"] is None


@pytest.mark.one_database
def test_slug_of_which_nothing_is_left_is_refused(app: Flask, client: FlaskClient) -> None:
    answer = client.get(f"/api/1/cron/!!!/{key_of(app)}/?status=ok")
    assert answer.status_code == 400 and "slug" in answer.text
    answer = client.post("/api/monitors", json={"project_id": 1, "slug": "-!-"})
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, "slug")


@pytest.mark.one_database
def test_long_slugs_that_differ_at_their_end_are_two_monitors_whichever_way_they_come(
    app: Flask, client: FlaskClient
) -> None:
    """Celery's tasks are named so: https://github.com/getsentry/sentry/issues/77642."""
    first, second = (f"{'letter-reminder-' * 12}{hour}" for hour in ("0700", "0800"))
    send(app, check_in(first), check_in(second, "error"))
    for slug in (first, second):
        client.get(f"/api/1/cron/{slug}/{key_of(app)}/?status=ok")
    read(app)
    assert [statuses(client, slug) for slug in (first, second)] == [["ok", "ok"], ["error", "ok"]]
    names = {"project_id": 1, "slug": f"{first[:-1]}1"}
    assert client.post("/api/monitors", json=names).status_code == 201


@pytest.mark.one_database
def test_slug_that_is_too_long_is_refused_never_cut(
    app: Flask, client: FlaskClient, admin_client: FlaskClient
) -> None:
    slug = "x" * 201
    answer = client.get(f"/api/1/cron/{slug}/{key_of(app)}/?status=ok")
    assert answer.status_code == 400
    assert "slug: a slug has at most 200 characters" in answer.headers["X-Sentry-Error"]
    for given in (slug, "ﬁ" * 150):
        answer = client.post("/api/monitors", json={"project_id": 1, "slug": given})
        assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, "slug")
    send(app, check_in(slug))
    assert client.get("/api/monitors").json["monitors"] == []
    assert left_out(app) == {"slug": 1}
    page = admin_client.get("/admin/monitors").text
    assert "1 check-in was left out" in page and "a slug has at most 200 characters" in page
    (delivery,) = client.get("/api/deliveries").json["deliveries"]
    path = f"/deliveries/{delivery['id']}"
    assert "of no monitor here" in client.get(f"/api{path}").text
    assert "of no monitor here" in admin_client.get(f"/admin{path}").text


@pytest.mark.one_database
def test_slug_is_read_before_its_length_is_checked(
    client: FlaskClient, admin_client: FlaskClient
) -> None:
    names = {"project_id": 1, "slug": f"a{' ' * 250}b"}
    assert client.post("/api/monitors", json=names).json["slug"] == "a-b"
    form = {"project": 1, "slug": f"c{' ' * 250}d", "timezone": "UTC"}
    form |= {"csrf_token": csrf_token(admin_client, "/admin/account"), "checkin_margin": 1}
    form |= {"max_runtime": 30, "failure_issue_threshold": 1, "recovery_threshold": 1}
    answer = admin_client.post("/admin/monitors/new", data=form)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/admin/monitors/1/c-d")


@pytest.mark.one_database
def test_slug_is_read_the_same_whichever_way_it_comes(app: Flask, client: FlaskClient) -> None:
    given, quoted, names = "Sdk Jöb!", "Sdk%20J%C3%B6b!", {"project_id": 1}
    client.post("/api/monitors", json={**names, "slug": given, "schedule": CONFIG["schedule"]})
    with program(app, 1):
        sentry_sdk.monitor(monitor_slug=given)(lambda: None)()
    send(app, check_in(given))  # As sentry-cli sends it.
    path = f"/api/1/cron/{quoted}/{key_of(app)}/"
    client.get(f"{path}?status=ok")
    client.post(path, json={"status": "ok"})
    read(app)
    (monitor,) = client.get("/api/monitors").json["monitors"]
    assert monitor["slug"] == "sdk-job"
    for spelling in (quoted, "sdk-job", "SDK-Job"):
        path = f"/api/monitors/{spelling}"
        assert client.get(path, query_string=names).json == monitor
        runs = client.get(f"{path}/checkins", query_string=names).json["checkins"]
        assert [run["status"] for run in runs] == ["ok"] * 4
        assert client.patch(path, query_string=names, json={"name": "Job"}).status_code == 200
        monitor["name"] = "Job"
    taken = client.post("/api/monitors", json={**names, "slug": "SDK job"})
    assert taken.status_code == 409
    assert client.delete(f"/api/monitors/{quoted}", query_string=names).status_code == 204
    assert client.get("/api/monitors").json["monitors"] == []


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("given", "slug"),
    [
        ("Nightly Report!", "nightly-report"),
        ("../../etc", "etc"),
        ("<script>alert(1)</script>", "script-alert-1-script"),
        ("Übersicht", "ubersicht"),
        ("x" * 5000, "x" * 5000),
        ("\x00\ud800", ""),
        (["x"], ""),
        (None, ""),
    ],
)
def test_hostile_slug_becomes_a_plain_one(given: object, slug: str) -> None:
    assert read_slug(given) == slug


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"schedule": {"type": "crontab", "value": "99 * * * *"}}, "schedule"),
        (
            {"schedule": {"type": "crontab", "value": "0 0 31 2 *"}},
            "schedule: this crontab is never",
        ),
        ({"schedule": {"type": "interval", "value": 10**30, "unit": "year"}}, "schedule"),
        ({"schedule": "hourly"}, "schedule"),
        ({**CONFIG, "timezone": "Mars/Base\x00" + "x" * 10_000}, "timezone"),
        ({**CONFIG, "timezone": ["UTC"]}, "timezone"),
    ],
)
def test_schedule_that_cannot_be_followed_changes_nothing_and_is_named(
    app: Flask, client: FlaskClient, config: dict, field: str
) -> None:
    send(app, check_in(monitor_config=CONFIG), check_in(monitor_config=config))
    monitor = monitor_of(client)
    assert monitor["schedule"]["value"] == "0 2 * * *"
    assert monitor["config_error"].startswith(field)
    assert statuses(client) == ["ok", "ok"]
    send(app, check_in(monitor_config={**CONFIG, "checkin_margin": 10**30, "max_runtime": -4}))
    monitor = monitor_of(client)
    assert (monitor["config_error"], monitor["checkin_margin"], monitor["max_runtime"]) == (
        None,
        40_320,
        1,
    )


def left_out(app: Flask) -> dict[str, int]:
    with parts_of(app).store.read() as conn:
        return {row.reason: row.count for row in recording.left_out(conn, [1])}


def test_old_runs_go_exactly_and_many_are_bounded(app: Flask, client: FlaskClient) -> None:
    with time_machine.travel(NIGHT, tick=False) as clock:
        for name in ("old", "new"):
            send(app, check_in(name), check_in(status="happy"))
            clock.shift(30 * DAY)
        clock.shift(timedelta(seconds=-1))
        prune(parts_of(app).store, Limits(days=30, events=0, bytes=0))
        assert (len(runs_of(client, "old")), len(runs_of(client, "new"))) == (0, 1)
        assert left_out(app) == {"malformed": 2}
        clock.shift(2)
        prune(parts_of(app).store, Limits(days=30, events=0, bytes=0))
        assert (runs_of(client, "new"), left_out(app)) == ([], {})
        send(app, *[check_in("many", check_in_id=f"{n + 1:032x}") for n in range(6)])
        expiry.bound_runs(parts_of(app).store, most=4)
        assert [run["check_in_id"][-1] for run in runs_of(client, "many")] == list("3456")


def test_removed_project_leaves_nothing(app: Flask) -> None:
    from app.intake.removed_projects import remove_deleted_projects

    parts = parts_of(app)
    create_project(parts.store, "Shop")
    send(app, check_in(monitor_config=CONFIG), {}, project_id=2)
    send(app, check_in())
    delete_project(parts.store, 2)
    remove_deleted_projects(parts.store, parts.destinations)
    assert len(rows(app)) == 1


def test_archived_project_misses_nothing_and_expects_nothing_until_a_check_in(
    app: Flask, client: FlaskClient
) -> None:
    store = parts_of(app).store
    create_project(store, "Shop")
    hourly = CONFIG | {"schedule": {"type": "crontab", "value": "0 * * * *"}}
    with time_machine.travel(NIGHT, tick=False) as clock:
        send(app, check_in(monitor_config=hourly), project_id=2)
        archive_project(store, 2)
        for _ in range(3):
            clock.shift(3 * HOUR)
            pretend_watched(app, datetime.now(UTC))
            watch(app)
        restore_project(store, 2)
        clock.shift(3 * HOUR)
        pretend_watched(app, datetime.now(UTC))
        watch(app)
        monitor = monitor_of(client, project_id=2)
        assert (monitor["status"], monitor["next_expected"]) == ("waiting", None)
        send(app, check_in(), project_id=2)
        assert statuses(client, project_id=2) == ["ok", "ok"]
        assert monitor_of(client, project_id=2)["next_expected"] == "2026-03-27T14:00:00Z"


def test_project_that_was_archived_shortly_expects_nothing_of_before(
    app: Flask, client: FlaskClient
) -> None:
    store = parts_of(app).store
    create_project(store, "Shop")
    often = CONFIG | {"schedule": {"type": "interval", "value": 1, "unit": "minute"}}
    often |= {"checkin_margin": 2, "max_runtime": 2}
    with time_machine.travel(NIGHT, tick=False) as clock:
        send(app, check_in("often", monitor_config=often), project_id=2)
        send(app, check_in("open", "in_progress", monitor_config=often), project_id=2)
        for wait, change in ((20, archive_project), (60, restore_project)):
            clock.shift(timedelta(seconds=wait))
            watch(app)
            change(store, 2)
        clock.shift(HOUR)
        pretend_watched(app, datetime.now(UTC))
        watch(app)
        for slug in ("often", "open"):
            monitor = monitor_of(client, slug, 2)
            assert (monitor["status"], monitor["next_expected"]) == ("waiting", None)
        (run,) = runs_of(client, "open", project_id=2)
        assert (run["status"], run["away"]) == ("timeout", True)
        restore_project(store, 2)
        send(app, check_in("often"), project_id=2)
        restore_project(store, 2)  # It is restored already.
        assert monitor_of(client, "often", 2)["next_expected"]


@pytest.mark.one_database
def test_check_in_is_delivered_as_it_came(app: Flask, client: FlaskClient) -> None:
    from sqlalchemy import select

    from app.events.tables import envelopes
    from app.protocol.packing import unpack

    client.get(f"/api/1/cron/nightly/{key_of(app)}/?status=ok&environment=live&duration=3")
    with parts_of(app).store.read() as conn:
        (body,) = conn.scalars(select(envelopes.c.body))
    (item,) = parse_envelope(unpack(body)).items
    assert item.payload == {
        "monitor_slug": "nightly",
        "status": "ok",
        "environment": "live",
        "duration": 3,
    }


def test_person_in_an_environment_is_erased_and_the_runs_stay(
    app: Flask, client: FlaskClient, runner: FlaskCliRunner
) -> None:
    email, wrong = "ann.lee@shop.example", {"schedule": {"type": "crontab", "value": "99 * * * *"}}
    send(app, check_in(environment=email, release=f"{email}@1", monitor_config=wrong))
    client.patch("/api/monitors/nightly?project_id=1", json={"name": f"Report for {email}"})
    assert runner.invoke(args=["erase", "--email", email, "--yes"]).exit_code == 0
    monitor, (run,) = monitor_of(client), runs_of(client)
    assert "ann.lee" not in str((monitor, run))
    assert (run["status"], monitor["name"].startswith("Report for ")) == ("ok", True)


@pytest.mark.parametrize(
    "name", ["ann.lee@shop.example", "Ann.Lee+jobs@a-very-long-name.shop.example"]
)
def test_slug_made_of_an_address_is_erased_and_its_monitor_is_still_found(
    app: Flask, client: FlaskClient, runner: FlaskCliRunner, name: str
) -> None:
    slugs = [name, f"report for {name}", f"of {name}"]
    send(app, *[check_in(slug, "error") for slug in slugs])
    client.post("/api/monitors", json={"project_id": 1, "slug": "erased"})
    client.patch("/api/monitors/erased?project_id=1", json={"name": "Of another one"})
    client.delete(f"/api/monitors/{slugs[2]}?project_id=1")
    assert runner.invoke(args=["erase", "--email", name, "--yes"]).exit_code == 0
    found = client.get("/api/monitors").json["monitors"]
    assert [one["slug"] for one in found] == ["erased-2", "report-for-erased", "erased"]
    assert [monitor_of(client, one["slug"])["status"] for one in found[:2]] == ["error"] * 2
    everything = f"{found}{client.get('/api/audit').json}"
    assert "ann" not in everything.lower(), everything


def test_lease_that_passes_to_another_process_is_no_outage(app: Flask, client: FlaskClient) -> None:
    """The new holder waited for the lease, and took check-ins all the time."""
    store = parts_of(app).store
    first, second = (MonitorTask(store, new_owner()) for _ in range(2))
    hourly = CONFIG | {"schedule": {"type": "crontab", "value": "0 * * * *"}, "checkin_margin": 1}
    with time_machine.travel(NIGHT, tick=False) as clock:
        send(app, check_in(monitor_config=hourly), check_in("other", monitor_config=hourly))
        clock.move_to(NIGHT + HOUR - timedelta(seconds=13))
        assert (first.run_once(), second.run_once()) == (True, False)
        for number in range(4):  # The first one was killed on another host.
            clock.shift(20)
            assert not second.run_once()
            send(app, *([] if number else [check_in()]))
        let_leases_pass(store, MonitorTask.lasts)
        clock.shift(25)
        assert second.run_once()
        found = [(run["status"], run["away"]) for run in runs_of(client)]
        other = [(run["status"], run["away"]) for run in runs_of(client, "other")]
    assert found == [("ok", False)] * 2
    assert other == [("ok", False), ("missed", False)]


def test_time_in_which_no_process_was_there_is_an_outage_whoever_comes_first(
    app: Flask, client: FlaskClient
) -> None:
    store = parts_of(app).store
    first, second = (MonitorTask(store, new_owner()) for _ in range(2))
    hourly = CONFIG | {"schedule": {"type": "crontab", "value": "0 * * * *"}, "checkin_margin": 1}
    with time_machine.travel(NIGHT, tick=False) as clock:
        send(app, check_in(monitor_config=hourly))
        assert first.run_once()
        clock.shift(2 * HOUR - 5 * MINUTE)
        second.run_once()  # It notes the outage. On SQLite it is the holder already.
        let_leases_pass(store, MonitorTask.lasts)
        assert second.run_once()
        found = [(run["status"], run["away"]) for run in runs_of(client)]
    assert found == [("ok", False), ("missed", True)]


def test_monitors_and_runs_are_in_a_backup() -> None:
    names = {table.name for table in tables_of_backup()}
    assert {"monitors", "monitor_states", "check_ins", "monitor_watch", "monitor_outages"} <= names


@pytest.mark.one_database
def test_run_of_an_archived_project_leaves_its_monitor_waiting(
    app: Flask, client: FlaskClient
) -> None:
    """Its check-ins may be read when it is archived already, and no schedule makes it due."""
    store = parts_of(app).store
    create_project(store, "Shop")
    send(app, check_in(status="error"), project_id=2)
    archive_project(store, 2)
    send(app, check_in(status="error"), check_in("new", "error"), project_id=2)
    for slug, recorded in (("nightly", 2), ("new", 1)):
        assert monitor_of(client, slug, 2)["status"] == "waiting"
        assert statuses(client, slug, project_id=2) == ["error"] * recorded


@pytest.mark.one_database
@pytest.mark.parametrize("paused", [False, True])
def test_changed_schedule_of_a_restored_project_expects_nothing_until_a_check_in(
    app: Flask, client: FlaskClient, paused: bool
) -> None:
    store, path = parts_of(app).store, "/api/monitors/nightly?project_id=2"
    create_project(store, "Shop")
    with time_machine.travel(NIGHT, tick=False) as clock:
        send(app, check_in(monitor_config=CONFIG), project_id=2)
        client.patch(path, json={"paused": paused})
        archive_project(store, 2)
        clock.shift(3 * DAY)
        restore_project(store, 2)
        for fields in (
            {"schedule": {"type": "interval", "value": 1, "unit": "hour"}},
            {"schedule": {"type": "crontab", "value": "0 * * * *"}},
            {"paused": False},
        ):
            assert client.patch(path, json=fields).json["next_expected"] is None
        clock.shift(3 * HOUR)
        pretend_watched(app, datetime.now(UTC))
        watch(app)
        assert monitor_of(client, project_id=2)["status"] == "waiting"
        send(app, check_in(), project_id=2)
        assert monitor_of(client, project_id=2)["next_expected"] == "2026-03-30T05:00:00Z"


@pytest.mark.parametrize("again", ["error", "in_progress"])
def test_run_beyond_the_rate_counts_once_whatever_comes_of_it_later(
    app: Flask, client: FlaskClient, again: str
) -> None:
    with time_machine.travel(NIGHT, tick=False) as clock:
        send(app, *[check_in(monitor_config=CONFIG) for _ in range(rate.MAX_RUNS_A_MINUTE)])
        beyond = [check_in(status="error", check_in_id=id * 32) for id in "abc"]
        send(app, *beyond, check_in())
        assert monitor_of(client)["status"] == "ok"
        for _ in range(2):
            send(app, *[one | {"status": again} for one in beyond])
            assert monitor_of(client)["status"] == "ok"
            clock.shift(HOUR)
            watch(app)
        assert {run["status"] for run in runs_of(client)} == {"ok", "error"}
        assert sum(run["runs"] for run in runs_of(client)) == rate.MAX_RUNS_A_MINUTE + 4


@pytest.mark.one_database
def test_ids_of_runs_beyond_the_rate_are_bounded_and_go_with_old_runs(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate, "MAX_REMEMBERED", 5)
    ended = [check_in(check_in_id=f"{n + 1:032x}") for n in range(30)]
    with time_machine.travel(NIGHT, tick=False) as clock:
        send(app, *ended)
        send(app, *ended[-5:], *ended[: rate.MAX_RUNS_A_MINUTE])
        assert sum(run["runs"] for run in runs_of(client)) == 30
        assert remembered(app) == 5
        clock.shift(DAY)
        expiry.expire(parts_of(app).store, 1, datetime.now(UTC) - HOUR)
        assert (runs_of(client), remembered(app)) == ([], 0)


def remembered(app: Flask) -> int:
    with parts_of(app).store.read() as conn:
        return conn.scalar(select(func.count()).select_from(runs_without_row))
