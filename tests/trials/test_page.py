"""The page "Test error": one sentence says where the error is, and a button leads to the remedy."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape

import pytest
from flask import Flask, Response
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.delivery.actions import pause
from app.delivery.destinations import set_dsn
from app.projects import find_project
from app.trials import kinds
from tests.alert_steps import add_webhook, evaluate, only, send_due
from tests.conftest import csrf_token, parts_of
from tests.delivery_steps import deliver, deliver_until
from tests.mini_sentry import MiniSentry
from tests.receivers import Receiver

pytestmark = [
    pytest.mark.one_database,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]

AddProject = Callable[..., int]
PAGE = "/admin/test-error"


def send(person: FlaskClient, project: int = 1, **fields: str) -> TestResponse:
    data = {"project": str(project), "kind": "exception", "message": "on purpose", "level": "error"}
    return person.post(PAGE, data={**data, "csrf_token": csrf_token(person, PAGE), **fields})


def sent(person: FlaskClient, project: int = 1, **fields: str) -> str:
    answer = send(person, project, **fields)
    assert answer.status_code == 303, answer.text
    return answer.location.rpartition("=")[2]


def words(page: str) -> str:
    found = re.search(r'<p class="test-words"[^>]*>(.*?)</p>', page, re.DOTALL)
    assert found, page
    text = " ".join(unescape(re.sub(r"<[^>]+>", " ", found[1])).split())
    return re.sub(r"\d+ ms|\d+\.\d s", "N ms", text)


def answer_to(person: FlaskClient, event_id: str) -> str:
    return words(person.get(f"{PAGE}?event={event_id}").text)


def test_error_of_another_project_goes_through_its_own_dsn_like_a_clients(
    app: Flask, person: FlaskClient, add_project: AddProject, mini_sentry: MiniSentry
) -> None:
    shop = add_project("Shop", upstream_dsn=mini_sentry.dsn)
    event_id = sent(person, shop, environment="staging", tags="cart=7")
    assert answer_to(person, event_id).startswith("Recorded in N ms, on its way to Sentry.")
    deliver(app)
    assert answer_to(person, event_id).startswith(
        "Recorded in N ms, accepted by Sentry in N ms. Alert rules look at it"
    )
    [event] = mini_sentry.events()
    assert (event["event_id"], event["environment"]) == (event_id, "staging")
    assert {"test": "true", "cart": "7"}.items() <= event["tags"].items()
    # Neither the person at the page nor the request of the page belongs to the other program.
    assert "user" not in event and "request" not in event
    read = person.get(f"/api/events/{event_id}").json
    assert read["project_id"] == shop and read["exceptions"][0]["type"] == "TrialError"


def test_every_kind_arrives_in_another_project(
    person: FlaskClient, add_project: AddProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kinds, "SLOW_S", 0.01)
    shop = add_project("Shop")
    for kind in kinds.KINDS:
        event = person.get(f"/api/events/{sent(person, shop, kind=kind)}").json
        assert (event["project_id"], event["tags"]["trial"]) == (shop, kind)


def test_project_without_a_destination_is_said_and_leads_to_its_dsn(
    person: FlaskClient, add_project: AddProject
) -> None:
    shop = add_project("Shop")
    page = person.get(f"{PAGE}?event={sent(person, shop)}").text
    assert "Recorded in N ms. This project has no Sentry destination" in words(page)
    assert f'href="/admin/projects/{shop}#upstream">Add one</a>' in page
    assert 'id="upstream"' in person.get(f"/admin/projects/{shop}").text


def test_disabled_key_at_sentry_is_the_cause_and_leads_to_the_dsn(
    app: Flask, person: FlaskClient, add_project: AddProject, mini_sentry: MiniSentry
) -> None:
    mini_sentry.answer = lambda envelope: Response('{"detail": "disabled"}', 403)
    shop = add_project("Shop", upstream_dsn=mini_sentry.dsn)
    event_id = sent(person, shop)
    deliver_until(app, lambda: "Stopped at" in answer_to(person, event_id))
    page = person.get(f"{PAGE}?event={event_id}").text
    assert "Stopped at “" in words(page) and "403: the key is disabled" in words(page)
    assert f'href="/admin/projects/{shop}#upstream">Replace the DSN</a>' in page
    assert 'data-tone="bad"' in page


def test_error_that_sentry_cannot_read_leads_to_its_delivery(
    app: Flask, person: FlaskClient, add_project: AddProject, mini_sentry: MiniSentry
) -> None:
    mini_sentry.answer = lambda envelope: Response('{"detail": "no"}', 400)
    event_id = sent(person, add_project("Shop", upstream_dsn=mini_sentry.dsn))
    deliver(app)
    page = person.get(f"{PAGE}?event={event_id}").text
    assert "Stopped at “accepted”: 400" in words(page)
    assert re.search(r'btn[^>]*href="/admin/deliveries/\d+">Delivery details</a>', page)


def test_address_where_nobody_answers_leads_to_the_dsn(
    app: Flask, person: FlaskClient, add_project: AddProject
) -> None:
    shop = add_project("Shop")
    with parts_of(app).store.write() as conn:
        set_dsn(conn, shop, "http://key@127.0.0.1:9/1")
    event_id = sent(person, shop)
    deliver_until(app, lambda: "Stopped at “sent”" in answer_to(person, event_id))
    assert "Check the DSN" in person.get(f"{PAGE}?event={event_id}").text


def test_project_without_a_key_is_refused_and_nothing_is_recorded(
    app: Flask, person: FlaskClient, add_project: AddProject
) -> None:
    shop = add_project("Shop")
    with parts_of(app).store.read() as conn:
        [key] = find_project(conn, shop).keys
    path = f"/admin/projects/{shop}/keys/{key}/revoke"
    person.post(path, data={"csrf_token": csrf_token(person, path)})
    answer = send(person, shop)
    assert answer.status_code == 422
    assert "Stopped at “recorded”: the project has no key that works" in words(answer.text)
    assert f'href="/admin/projects/{shop}#keys"' in answer.text
    assert person.get("/api/events").json["events"] == []


def test_project_beyond_its_quota_is_refused_like_its_program(
    person: FlaskClient, add_project: AddProject
) -> None:
    shop = add_project("Shop", events_per_minute=1)
    sent(person, shop)
    answers = [send(person, shop) for _ in range(2)]
    assert answers[-1].status_code == 422
    assert "Stopped at “recorded”: 429" in words(answers[-1].text)


def test_notification_is_the_last_hop_and_names_the_channel(
    app: Flask, person: FlaskClient, add_project: AddProject, mini_sentry: MiniSentry
) -> None:
    shop = add_project("Shop", upstream_dsn=mini_sentry.dsn)
    with Receiver() as receiver:
        only(app, "new_issue", project_id=shop, name="New ones")
        add_webhook(app, receiver.url, name="#shop")
        event_id = sent(person, shop)
        deliver(app)
        evaluate(app)
        assert "notification on its way to #shop" in answer_to(person, event_id).lower()
        send_due(app)
    page = person.get(f"{PAGE}?event={event_id}").text
    expected = "Recorded in N ms, accepted by Sentry in N ms, notification sent to #shop."
    assert words(page) == expected
    assert "data-poll" not in page
    hop = person.get(f"/api/events/{event_id}").json["trail"][-1]
    assert (hop["hop"], hop["ok"]) == ("notified", True)
    assert hop["detail"] == "New ones: sent to #shop"


def test_channel_that_fails_is_named_with_its_cause(app: Flask, person: FlaskClient) -> None:
    only(app, "new_issue")
    with Receiver() as receiver:
        channel = add_webhook(app, receiver.url, name="#shop")
        receiver.answer = lambda: Response(status=410)
        event_id = sent(person)
        evaluate(app)
        send_due(app)
    page = person.get(f"{PAGE}?event={event_id}").text
    assert "Notification on its way to #shop (answered 410)" in words(page)
    assert f'href="/admin/alerts/channels/{channel.id}">Look at the channel</a>' in page


def test_event_without_a_rule_says_so_and_leads_to_the_rules(
    app: Flask, person: FlaskClient
) -> None:
    only(app, "new_issue", filters={"level": "fatal"})
    event_id = sent(person)
    assert "Alert rules look at it within a minute" in answer_to(person, event_id)
    evaluate(app)
    page = person.get(f"{PAGE}?event={event_id}").text
    assert "No rule matches." in words(page)
    assert 'href="/admin/alerts/rules?project=1">Make a rule</a>' in page
    trail = person.get(f"/api/events/{event_id}").json["trail"]
    assert trail[-1] | {"at": None} == {
        "hop": "notified",
        "at": None,
        "ms": None,
        "ok": None,
        "detail": "no rule matches",
    }


def test_rule_without_a_channel_leads_to_the_channels(app: Flask, person: FlaskClient) -> None:
    only(app, "new_issue", name="New ones")
    event_id = sent(person)
    evaluate(app)
    page = person.get(f"{PAGE}?event={event_id}").text
    assert "New ones matches, but no channel is on." in words(page)
    assert 'href="/admin/alerts/channels">Add a channel</a>' in page


def test_rule_in_its_cool_down_holds_the_second_test_error(app: Flask, person: FlaskClient) -> None:
    only(app, "new_issue", name="New ones", cooldown_minutes=10)
    with Receiver() as receiver:
        add_webhook(app, receiver.url)
        for _ in range(2):
            event_id = sent(person)
            evaluate(app)
    assert "New ones notified a short while ago and holds it until" in answer_to(person, event_id)


def test_repeat_counts_in_the_issue_of_the_last_one_and_notifies_nobody(
    app: Flask, person: FlaskClient
) -> None:
    only(app, "new_issue")
    issues = []
    for _ in range(2):
        event_id = sent(person, repeat="y")
        evaluate(app)
        issues.append(person.get(f"/api/events/{event_id}").json["issue_id"])
    assert issues[0] == issues[1]
    assert "No notification: it is in a known issue." in answer_to(person, event_id)
    assert person.get(f"/api/events/{sent(person)}").json["issue_id"] != issues[0]


def test_paused_project_leads_to_its_deliveries(
    app: Flask, person: FlaskClient, add_project: AddProject, mini_sentry: MiniSentry
) -> None:
    shop = add_project("Shop", upstream_dsn=mini_sentry.dsn)
    event_id = sent(person, shop)
    pause(parts_of(app).store, parts_of(app).destinations, shop, "me")
    page = person.get(f"{PAGE}?event={event_id}").text
    assert "Stopped at “sent”: paused by a person" in words(page)
    assert f'href="/admin/deliveries?project={shop}">Resume its deliveries</a>' in page


def test_old_address_leads_to_the_page(person: FlaskClient) -> None:
    answer = person.get(f"/admin/trigger?event={'e' * 32}")
    assert (answer.status_code, answer.location) == (308, f"{PAGE}?event={'e' * 32}")


def test_project_that_does_not_exist_is_named(person: FlaskClient) -> None:
    for wrong in ("99", "shop"):
        answer = send(person, project=wrong)  # type: ignore[arg-type]
        assert answer.status_code == 422 and "project-help" in answer.text
