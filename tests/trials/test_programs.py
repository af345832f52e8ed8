"""Test errors for programs: `POST /test-error` with `project_id` and `wait`, and `flask verify`."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from flask import Flask, Response
from flask.testing import FlaskClient, FlaskCliRunner

from app.trials import waiting
from tests.delivery_steps import forwarding
from tests.mini_sentry import MiniSentry
from tests.trials.test_all_projects import revoke_keys

pytestmark = pytest.mark.one_database

AddProject = Callable[..., int]
HOPS = ["captured", "scrubbed", "stored", "sent", "accepted"]


def post(client: FlaskClient, **body: object) -> Response:
    return client.post("/test-error", json={"error_type": "exception", "message": "x", **body})


def disabled(envelope: object) -> Response:
    return Response('{"detail": "disabled"}', 403)


def test_waiting_request_is_answered_with_the_trail_once_sentry_accepted(
    app: Flask, client: FlaskClient, add_project: AddProject, mini_sentry: MiniSentry
) -> None:
    shop = add_project("Shop", upstream_dsn=mini_sentry.dsn)
    with forwarding(app):
        answer = post(client, project_id=shop, wait="accepted")
    assert (answer.status_code, answer.json["waited"]) == (200, True)
    trail = answer.json["trail"]
    assert [hop["hop"] for hop in trail][:5] == HOPS
    assert [hop["ok"] for hop in trail][:5] == [True] * 5
    assert "accepted by Sentry in" in answer.json["sentence"]
    assert mini_sentry.event_ids() == [answer.json["event_id"]]
    event = client.get(answer.json["links"]["event"]).json
    assert (event["project_id"], event["tags"]["test"]) == (shop, "true")


def test_waiting_ends_when_the_destination_is_held_up(
    app: Flask, client: FlaskClient, add_project: AddProject, mini_sentry: MiniSentry
) -> None:
    mini_sentry.answer = disabled
    shop = add_project("Shop", upstream_dsn=mini_sentry.dsn)
    with forwarding(app):
        answer = post(client, project_id=shop, wait="accepted")
    assert "Stopped at" in answer.json["sentence"] and "403" in answer.json["sentence"]
    assert "accepted by Sentry" not in answer.json["sentence"]


def test_request_beyond_the_bound_is_answered_without_waiting(
    client: FlaskClient, add_project: AddProject, mini_sentry: MiniSentry
) -> None:
    shop = add_project("Shop", upstream_dsn=mini_sentry.dsn)
    for _ in range(waiting.MAX_WAITERS):
        assert waiting._waiters.acquire(blocking=False)
    try:
        answer = post(client, project_id=shop, wait="accepted")  # Nothing forwards here.
    finally:
        for _ in range(waiting.MAX_WAITERS):
            waiting._waiters.release()
    assert (answer.status_code, answer.json["waited"]) == (200, False)
    assert answer.json["trail"][3] | {"detail": ""} == {
        "hop": "sent",
        "at": None,
        "ms": None,
        "ok": None,
        "detail": "",
    }


@pytest.mark.parametrize("kind", ["message", "exception", "http"])
def test_every_kind_is_recorded_in_the_project_and_in_this_application(
    client: FlaskClient, add_project: AddProject, kind: str
) -> None:
    for project in (add_project("Shop"), 1):
        answer = post(client, error_type=kind, project_id=project, user_id="u-7")
        assert answer.status_code == 200 and len(answer.json["trail"]) >= 5
        event = client.get(answer.json["links"]["event"]).json
        assert (event["project_id"], event["user"]["id"]) == (project, "u-7")
    local = post(client, wait="accepted")
    assert "has no Sentry destination" in local.json["sentence"] and local.json["waited"]


def test_wrong_project_or_wait_is_named_and_nothing_is_recorded(client: FlaskClient) -> None:
    for body in ({"project_id": 99}, {"project_id": "1"}, {"wait": "delivered"}):
        answer = post(client, **body)
        assert answer.status_code == 422
        assert [error["field"] for error in answer.json["errors"]] == list(body)
    assert client.get("/api/events").json["events"] == []


def test_project_that_refuses_the_error_is_a_conflict(
    app: Flask, client: FlaskClient, add_project: AddProject
) -> None:
    shop = add_project("Shop")
    revoke_keys(app, shop)
    answer = post(client, project_id=shop)
    assert answer.status_code == 409
    assert "the project has no key that works" in answer.json["detail"]


def test_plain_test_error_is_marked_and_shares_an_issue_with_the_next(client: FlaskClient) -> None:
    for _ in range(2):
        assert post(client).status_code == 500
    [issue] = client.get("/api/issues").json["issues"]
    assert (issue["is_test"], issue["times_seen"]) == (True, 2)


# ---- flask verify -------------------------------------------------------------------------------


@pytest.fixture
def verify(app: Flask) -> Callable[..., tuple[int, str]]:
    runner: FlaskCliRunner = app.test_cli_runner()

    def run(*arguments: str) -> tuple[int, str]:
        result = runner.invoke(args=["verify", *arguments])
        return result.exit_code, result.output

    return run


def test_command_prints_where_the_errors_are_and_exits_0_if_all_are_accepted_or_local(
    verify: Callable[..., tuple[int, str]], add_project: AddProject, mini_sentry: MiniSentry
) -> None:
    shop = add_project("Shop", upstream_dsn=mini_sentry.dsn)
    code, output = verify("--project", "all")
    assert code == 0, output
    lines = output.splitlines()
    assert lines[0].split() == ["project", "recorded", "sent", "accepted", "notified"]
    assert lines[1].startswith("1 DevEnviro ") and lines[2].startswith(f"{shop} Shop ")
    assert lines[2].count("✓") == 3
    assert lines[-1] == "2 of 2 accepted, or kept here on purpose"
    assert len(mini_sentry.events()) == 1


def test_command_exits_2_and_says_the_cause_if_one_is_not_accepted(
    verify: Callable[..., tuple[int, str]], add_project: AddProject, mini_sentry: MiniSentry
) -> None:
    mini_sentry.answer = disabled
    shop = add_project("Shop", upstream_dsn=mini_sentry.dsn)
    code, output = verify("--project", str(shop))
    assert code == 2
    assert "403: the key is disabled" in output and "→ Replace the DSN" in output
    assert "DevEnviro" not in output


def test_command_prints_json(
    verify: Callable[..., tuple[int, str]], add_project: AddProject
) -> None:
    shop = add_project("Shop")
    code, output = verify("--project", str(shop), "--json")
    [project] = json.loads(output)["projects"]
    assert (code, project["project_id"]) == (0, shop)
    assert (project["ok"], project["state"]) == (True, "local")
    assert [hop["hop"] for hop in project["trail"]][:5] == HOPS


def test_command_names_a_project_that_does_not_exist(
    verify: Callable[..., tuple[int, str]],
) -> None:
    code, output = verify("--project", "99")
    assert code == 2 and "there is no project 99" in output
