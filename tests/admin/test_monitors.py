"""The pages of monitors: the list, one monitor, its form, and what a failed run sent."""

from __future__ import annotations

import html
import os
import re
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sentry_sdk
import time_machine
from flask import Flask
from flask.testing import FlaskClient

from app.admin.monitor_form import read_schedule
from app.projects import create_project
from app.search.indexing import catch_up as make_searchable
from tests.alert_steps import store_events
from tests.conftest import csrf_token, parts_of
from tests.issues.payloads import calls
from tests.monitors.steps import CONFIG, check_in, key_of, monitor_of, read, rows, send, watch
from tests.monitors.test_recording import NIGHT, pretend_watched
from tests.questions import questions
from tests.traces.steps import program

pytestmark = pytest.mark.one_database

PAGE = "/admin/monitors/1/nightly"
Login = Callable[[FlaskClient], FlaskClient]
TRACE = "abcdef0123456789abcdef0123456789"


def post(client: FlaskClient, path: str, **fields: object) -> Any:
    return client.post(path, data={**fields, "csrf_token": csrf_token(client, "/admin/rules")})


FORM = {
    "name": "Nightly report",
    "schedule": "every 2 hours",
    "timezone": "Europe/Berlin",
    "checkin_margin": "5",
    "max_runtime": "60",
    "failure_issue_threshold": "1",
    "recovery_threshold": "1",
}


def test_empty_page_leads_on(app: Flask, admin_client: FlaskClient) -> None:
    page = admin_client.get("/admin/monitors").text
    assert "No job has sent a check-in yet." in page
    assert f"/api/1/cron/nightly-report/{key_of(app)}/?status=in_progress" in page
    assert "@sentry_sdk.monitor(" in page
    assert 'href="/admin/monitors/new"' in page


def test_list_and_page_show_states_runs_and_what_is_expected(
    app: Flask, client: FlaskClient, login: Login
) -> None:
    with time_machine.travel(NIGHT, tick=False) as clock:
        send(app, check_in(monitor_config=CONFIG), check_in(environment="test"))
        send(app, check_in("import", "error", duration=75))
        clock.shift(timedelta(days=1, minutes=6))
        pretend_watched(app, NIGHT + timedelta(days=1, minutes=6))
        watch(app)
        admin_client = login(client)
        found = admin_client.get("/admin/monitors").text
        page = admin_client.get(PAGE).text
        other = admin_client.get("/admin/monitors/1/import").text
        assert admin_client.get("/admin/monitors/1/nothing").status_code == 404
    assert found.count('data-state="missed"') == 3  # The monitor, and its two environments.
    assert "0 2 * * * (Europe/Berlin)" in found and "no schedule" in found
    assert 'aria-label="The latest 2 runs, 1 of them failed"' in found
    assert 'data-run="missed"' in page and "next expected" in page
    assert "managed by the program" in page
    assert "1 min 15 s" in other and 'data-run="error"' in other


def test_error_of_a_failed_run_is_linked(app: Flask, admin_client: FlaskClient) -> None:
    trace = {"trace": {"trace_id": TRACE, "span_id": "a" * 16}}
    (event_id,) = store_events(app, calls("report", value="no rows") | {"contexts": trace})
    make_searchable(parts_of(app).store)
    send(app, check_in(), check_in(status="error", contexts=trace))
    page = admin_client.get(PAGE).text
    assert f'<a href="/admin/events/{event_id}">ValueError: no rows</a>' in page
    assert f"query=trace:{TRACE}" in page.replace("%3A", ":")
    assert f'href="/admin/traces/{TRACE}"' in page


def test_error_that_names_its_monitor_or_check_in_is_linked_without_a_trace(
    app: Flask, admin_client: FlaskClient
) -> None:
    """As Sentry's documentation says: the context ``monitor``, set before the job runs."""
    now = datetime.now(UTC)
    with time_machine.travel(now - timedelta(hours=3), tick=False) as clock, program(app, 1):
        sentry_sdk.capture_message("of another job")
        sentry_sdk.set_context("monitor", {"slug": "Nightly!"})
        sentry_sdk.capture_message("too early")
        clock.shift(timedelta(hours=2))
        sentry_sdk.capture_message("during the run")
        send(app, check_in(status="error", check_in_id="c" * 32, duration=60))
        sentry_sdk.set_context("monitor", {"id": "c" * 32})
        clock.shift(timedelta(minutes=30))
        sentry_sdk.capture_message("with the id of the run")
    make_searchable(parts_of(app).store)
    page = admin_client.get(PAGE).text
    section = page.partition("Errors of the failed run")[2].partition("</section>")[0]
    assert "during the run" in section and "with the id of the run" in section
    assert "too early" not in section and "of another job" not in section
    link = re.search(r'href="([^"]*monitor.slug[^"]*)"', page.replace("%3A", ":"))
    found = admin_client.get(html.unescape(link[1])).text
    assert "during the run" in found and "too early" not in found


def test_each_failed_run_leads_to_its_own_errors(app: Flask, admin_client: FlaskClient) -> None:
    now = datetime.now(UTC)
    with time_machine.travel(now - timedelta(days=3), tick=False) as clock, program(app, 1):
        for day in range(3):
            sentry_sdk.set_context("monitor", {"id": f"{day + 1:032x}"})
            sentry_sdk.capture_message(f"of day {day}")
            send(app, check_in(status="error", check_in_id=f"{day + 1:032x}", duration=60))
            clock.shift(timedelta(days=1))
        send(app, check_in(status="error"))
    make_searchable(parts_of(app).store)
    page = admin_client.get(PAGE).text
    assert "No error of this run" not in page
    links = re.findall(r'href="([^"]+run=\d+[^"]*)#errors"', page)
    assert len(links) == 4
    found = [admin_client.get(html.unescape(link)).text for link in links]
    shown = [text.partition('id="errors"')[2].partition("</section>")[0] for text in found]
    assert "No error of this run was received" in shown[0]
    assert [re.findall(r"of day \d", text) for text in shown] == [
        [],
        ["of day 2"],
        ["of day 1"],
        ["of day 0"],
    ]
    for unknown in ("999999", "0", "x"):
        assert admin_client.get(f"{PAGE}?run={unknown}").status_code == 404


def test_run_that_ended_well_is_not_called_failed(app: Flask, admin_client: FlaskClient) -> None:
    send(app, check_in(status="error"), check_in())
    failed, good = rows(app)
    assert "Errors of the run" in admin_client.get(f"{PAGE}?run={good.id}").text
    assert "Errors of the failed run" in admin_client.get(f"{PAGE}?run={failed.id}").text


@pytest.mark.parametrize(("slug", "whose"), [("nightly", "this job"), ("quiet", "no job")])
def test_jobs_of_a_process_with_one_trace_have_their_own_errors(
    app: Flask, admin_client: FlaskClient, slug: str, whose: str
) -> None:
    """As `sentry_sdk` sends them if tracing is off."""
    now, trace = datetime.now(UTC), {"trace": {"trace_id": TRACE}}
    sent = [
        ("before the run", 0, {}),
        ("of another job", 60, {"slug": "import"}),
        ("of another run", 60, {"slug": "nightly", "id": "d" * 32}),
        ("of this job", 60, {"slug": "nightly"}),
        ("of no job", 61, {}),
    ]
    with time_machine.travel(now - timedelta(hours=3), tick=False) as clock, program(app, 1):
        begin = datetime.now(UTC)
        for text, minutes, context in sent:
            clock.move_to(begin + timedelta(minutes=minutes))
            with sentry_sdk.new_scope() as scope:
                scope.set_context("trace", trace["trace"])
                if context:
                    scope.set_context("monitor", context)
                scope.capture_message(text)
        end = check_in(slug, "error", check_in_id="c" * 32, duration=120, contexts=trace)
        send(app, end)
    make_searchable(parts_of(app).store)
    page = admin_client.get(f"/admin/monitors/1/{slug}").text
    shown = page.partition('id="errors"')[2].partition("</section>")[0]
    assert re.findall(r">(before the run|of [^<]+)</a>", shown) == [f"of {whose}"]
    (link,) = re.findall(r'href="([^"]+)">All errors', shown)
    found = admin_client.get(html.unescape(link)).text
    texts = {text for text, _, _ in sent if text in found}
    assert texts == {f"of {whose}"}


def test_link_to_all_errors_finds_one_that_names_the_monitor_in_another_trace(
    app: Flask, admin_client: FlaskClient
) -> None:
    contexts = {"trace": {"trace_id": "b" * 32}, "monitor": {"slug": "nightly"}}
    store_events(app, calls("report", value="no rows") | {"contexts": contexts})
    make_searchable(parts_of(app).store)
    send(app, check_in(status="error", contexts={"trace": {"trace_id": TRACE}}))
    (link,) = re.findall(r'href="([^"]+)">All errors', admin_client.get(PAGE).text)
    assert "no rows" in admin_client.get(html.unescape(link)).text


def test_runs_of_an_outage_of_ours_are_said_so(
    app: Flask, client: FlaskClient, login: Login
) -> None:
    with time_machine.travel(NIGHT, tick=False) as clock:
        admin_client = login(client)
        hourly = CONFIG | {"schedule": {"type": "crontab", "value": "0 * * * *"}}
        send(app, check_in(monitor_config=hourly))
        clock.shift(timedelta(hours=5))
        watch(app)
        page = admin_client.get(PAGE).text
    assert "4 runs expected while DevEnviro was away" in page
    assert 'data-run="away"' in page


def test_person_makes_changes_pauses_and_deletes_a_monitor(
    app: Flask, client: FlaskClient, admin_client: FlaskClient
) -> None:
    made = post(admin_client, "/admin/monitors/new", slug="nightly", project="1", **FORM)
    assert (made.status_code, made.location) == (303, PAGE)
    assert monitor_of(client)["schedule"] == {"type": "interval", "value": 2, "unit": "hour"}
    twice = post(admin_client, "/admin/monitors/new", slug="nightly", project="1", **FORM)
    assert twice.status_code == 422 and "has a monitor with this slug" in twice.text
    wrong = post(admin_client, PAGE, **{**FORM, "schedule": "99 * * * *"})
    assert wrong.status_code == 422 and "This is no crontab" in wrong.text
    wrong = post(admin_client, PAGE, **{**FORM, "timezone": "Mars/Base"})
    assert (
        wrong.status_code == 422
        and "The name of a time zone is expected, such as Europe/Berlin or UTC." in wrong.text
    )
    assert post(admin_client, PAGE, **{**FORM, "schedule": "@daily"}).status_code == 303
    assert monitor_of(client)["schedule"]["value"] == "@daily"
    for do, status, managed in (
        ("pause", "paused", "person"),
        ("resume", "waiting", "person"),
        ("manage", "waiting", "sdk"),
    ):
        assert post(admin_client, f"{PAGE}/change", do=do).status_code == 303
        monitor = monitor_of(client)
        assert (monitor["status"], monitor["managed_by"]) == (status, managed)
    assert post(admin_client, f"{PAGE}/delete").status_code == 303
    assert admin_client.get(PAGE).status_code == 404


def test_person_deletes_one_environment(app: Flask, admin_client: FlaskClient) -> None:
    send(app, check_in(environment="live"), check_in(environment="retired"))
    assert "Delete the environment retired" in admin_client.get(PAGE).text
    path = f"{PAGE}/environments/delete"
    assert post(admin_client, path, environment="retired").status_code == 303
    page = admin_client.get(PAGE).text
    assert "retired is deleted" in page and "Delete the environment live" in page
    assert "Delete the environment retired" not in page
    assert post(admin_client, path, environment="retired").status_code == 404


@pytest.mark.parametrize(
    ("expected", "shown", "hidden"),
    [
        (
            CONFIG | {"recovery_threshold": 3},
            ['"value": "0 2 * * *"', '"timezone": "Europe/Berlin"', '"checkin_margin": 5']
            + ['"max_runtime": 30', '"recovery_threshold": 3'],
            ["failure_issue_threshold"],
        ),
        (
            {"schedule": {"type": "interval", "value": 2, "unit": "hour"}, "checkin_margin": 7},
            ['{"type": "interval", "value": 2, "unit": "hour"}', '"checkin_margin": 7'],
            ["timezone", "crontab"],
        ),
        (None, ['monitor_slug="nightly"'], ["monitor_config"]),
    ],
)
def test_lines_for_python_expect_what_the_monitor_expects(
    app: Flask,
    client: FlaskClient,
    admin_client: FlaskClient,
    expected: dict[str, Any] | None,
    shown: list[str],
    hidden: list[str],
) -> None:
    send(app, check_in(monitor_config=expected))
    page = html.unescape(admin_client.get(PAGE).text)
    lines = page.split('aria-label="Lines for Python">')[1].split("</pre>")[0]
    assert [one for one in shown if one not in lines] == []
    assert [one for one in hidden if one in lines] == []
    before = monitor_of(client)
    with program(app, 1):
        namespace: dict[str, Any] = {"sentry_sdk": sentry_sdk}
        exec(lines, namespace)  # noqa: S102 -- as a person copies them
        namespace["job"]()
    read(app)
    after = monitor_of(client)
    for name in ("schedule", "timezone", "checkin_margin", "max_runtime", "recovery_threshold"):
        assert after[name] == before[name]


@pytest.mark.parametrize("slug", ["", "../", "x" * 201])
def test_slug_of_a_form_is_checked(admin_client: FlaskClient, slug: str) -> None:
    answer = post(admin_client, "/admin/monitors/new", slug=slug, project="1", **FORM)
    assert answer.status_code == 422


def test_slug_of_forms_and_addresses_is_read_as_that_of_a_check_in(
    admin_client: FlaskClient,
) -> None:
    made = post(admin_client, "/admin/monitors/new", slug="Nightly!", project="1", **FORM)
    assert (made.status_code, made.location) == (303, PAGE)
    path = "/admin/monitors/1/NIGHTLY%20"
    assert "/cron/nightly/" in admin_client.get(path).text
    for place, fields in (
        (path, FORM),
        (f"{path}/change", {"do": "pause"}),
        (f"{path}/delete", {}),
    ):
        assert post(admin_client, place, **fields).status_code == 303
    assert admin_client.get(PAGE).status_code == 404


def test_left_out_check_ins_are_said(
    app: Flask, admin_client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.monitors.recording.MAX_MONITORS", 1)
    send(app, *[check_in(f"job-{n}") for n in range(4)])
    page = admin_client.get("/admin/monitors").text
    assert "3 check-ins were left out" in page
    assert "a project has at most 500 monitors" in page


def test_hostile_texts_are_escaped_and_wrong_configuration_is_named(
    app: Flask, admin_client: FlaskClient
) -> None:
    evil = "<script>alert(1)</script>"
    send(
        app,
        check_in(environment=evil, release=evil, monitor_config={"schedule": {"type": evil}}),
    )
    for path in ("/admin/monitors", PAGE):
        assert evil not in admin_client.get(path).text
    page = admin_client.get(PAGE).text
    assert "a configuration that cannot be followed. Schedule: crontab or interval" in page


def test_pages_ask_a_bounded_number_of_questions(app: Flask, admin_client: FlaskClient) -> None:
    create_project(parts_of(app).store, "Shop")
    send(app, *[check_in(f"job-{n}", environment=f"e{n % 3}") for n in range(60)])
    send(app, *[check_in("job-0", environment=f"e{n}") for n in range(19)])
    failed = check_in("job-0", "error", check_in_id="d" * 32, duration=5)
    send(app, failed | {"contexts": {"trace": {"trace_id": TRACE}}})
    named = {"contexts": {"monitor": {"slug": "job-0"}}}
    store_events(app, calls("report", value="no rows") | named)
    make_searchable(parts_of(app).store)
    for path in ("/admin/monitors", "/admin/monitors/1/job-0"):
        with questions() as asked:
            page = admin_client.get(path)
        assert page.status_code == 200
        assert len(asked) <= 12, (path, asked)
    assert "after=" in admin_client.get("/admin/monitors").text


@pytest.mark.parametrize(
    ("text", "schedule"),
    [
        ("", None),
        ("every day", ("interval", 1, "day")),
        ("Every 15 minutes", ("interval", 15, "minute")),
        ("0 2 * * *", ("crontab", "0 2 * * *", None)),
        ("every now and then", ("crontab", "every now and then", None)),
    ],
)
def test_schedule_is_read_as_a_person_writes_it(text: str, schedule: tuple | None) -> None:
    found = read_schedule(text)
    assert (found and tuple(found.values())) == schedule


def program_file(path: Path, code: str) -> None:
    path.write_text(f"#!/bin/sh\n{code}\n")
    path.chmod(0o755)


@pytest.mark.one_database
@pytest.mark.parametrize("refused", [0, 7])
@pytest.mark.parametrize(("code", "status"), [(0, "ok"), (3, "error")])
def test_lines_for_a_shell_say_how_the_job_ended_and_end_like_it(
    admin_client: FlaskClient, tmp_path: Path, code: int, status: str, refused: int
) -> None:
    page = admin_client.get("/admin/monitors").text
    shown = html.unescape(page.split('aria-label="Lines for a shell">')[1].split("</pre>")[0])
    guide = Path("docs/monitors.md").read_text().split("\nURL=")[1].split("```")[0]
    for name in ("job.sh", "report.sh"):
        program_file(tmp_path / name, f"exit {code}")
    program_file(tmp_path / "curl", f'echo "$1" >> asked; exit {refused}')
    for lines in (shown, "URL=" + guide.replace("<key>", "key")):
        path = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
        done = subprocess.run(["/bin/sh", "-c", lines], cwd=tmp_path, env=path, check=False)
        assert done.returncode == code
        asked = (tmp_path / "asked").read_text().splitlines()
        assert [one.split("?")[1] for one in asked] == ["status=in_progress", f"status={status}"]
        (tmp_path / "asked").unlink()
