"""The table project × hop, on the page and by `flask verify`."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape

import pytest
from flask import Flask, Response
from flask.testing import FlaskClient

from app.projects import archive_project, find_project, revoke_key
from app.trials import everywhere
from tests.conftest import csrf_token, parts_of
from tests.delivery_steps import deliver, deliver_until
from tests.mini_sentry import MiniSentry
from tests.questions import questions

pytestmark = pytest.mark.one_database

AddProject = Callable[..., int]
PAGE = "/admin/test-error/all"


def start(person: FlaskClient, **fields: str) -> str:
    answer = person.post(PAGE, data={"csrf_token": csrf_token(person, PAGE), **fields})
    assert answer.status_code == 303, answer.text
    return answer.location


def text_of(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def rows(page: str) -> dict[str, list[str]]:
    found = re.findall(r"<tr>\s*<th scope=\"row\"(.*?)</tr>", page, re.DOTALL)
    texts = [re.split(r"</t[hd]>", row) for row in found]
    cells = [[text_of(one) for one in row] for row in texts]
    return {row[0].removeprefix('class="what"> '): row[1:6] for row in cells}


def revoke_keys(app: Flask, project_id: int) -> None:
    with parts_of(app).store.read() as conn:
        keys = find_project(conn, project_id).keys
    for key in keys:
        revoke_key(parts_of(app).store, project_id, key)


def test_table_says_of_each_project_how_far_its_error_came_and_what_to_do(
    app: Flask, person: FlaskClient, add_project: AddProject, mini_sentry: MiniSentry
) -> None:
    add_project("Well", upstream_dsn=mini_sentry.dsn)
    add_project("Local")
    keyless = add_project("Keyless")
    revoke_keys(app, keyless)
    path = start(person)
    assert "data-poll=" in person.get(path).text
    deliver(app)
    page = person.get(path).text
    found = rows(page)
    assert list(found) == ["DevEnviro", "Well", "Local", "Keyless"]
    assert [cell[:3] for cell in found["Well"][:3]] == ["Rec", "Sen", "Acc"]
    assert all("✓" in cell for cell in found["Well"][:3])
    assert "stays here: its project has no DSN" in found["Local"][1]
    assert found["Local"][4] == "Add a DSN of Local"
    assert "✗ the project has no key that works" in found["Keyless"][0]
    assert found["Keyless"][4] == "Look at its keys and limits of Keyless"
    assert "3 of 4 projects are well" in page
    assert len(mini_sentry.events()) == 1


def test_project_whose_key_sentry_disabled_stops_at_that_hop(
    app: Flask, person: FlaskClient, add_project: AddProject, mini_sentry: MiniSentry
) -> None:
    mini_sentry.answer = lambda envelope: Response('{"detail": "disabled"}', 403)
    shop = add_project("Shop", upstream_dsn=mini_sentry.dsn)
    path = start(person)
    deliver_until(app, lambda: "403" in person.get(path).text)
    page = person.get(path).text
    stopped = [cell for cell in rows(page)["Shop"] if "✗" in cell]
    assert len(stopped) == 1 and "403: the key is disabled" in stopped[0]
    assert f'href="/admin/projects/{shop}#upstream">Replace the DSN' in page
    fragment = person.get(path.replace("/admin/", "/admin/live/")).text
    assert fragment.lstrip().startswith("<section") and "Replace the DSN" in fragment


def test_further_runs_count_in_the_same_issues(
    person: FlaskClient, add_project: AddProject
) -> None:
    add_project("Shop")
    for _ in range(2):
        start(person)
    found = person.get("/api/issues").json["issues"]
    assert sorted((issue["project_id"], issue["times_seen"]) for issue in found) == [(1, 2), (2, 2)]
    assert all(issue["is_test"] for issue in found)


def test_run_is_bounded_and_says_how_many_projects_are_left(
    person: FlaskClient, add_project: AddProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.admin.test_all_projects.MAX_PROJECTS", 2)
    for name in "abc":
        add_project(name)
    page = person.get(start(person)).text
    assert list(rows(page)) == ["DevEnviro", "a"] and "2 projects were not tested" in page
    [after] = re.findall(r'name="after" value="(\d+)"', page)
    page = person.get(start(person, after=after)).text
    assert list(rows(page)) == ["b", "c"] and "not tested" not in page


def test_page_asks_as_often_for_many_projects_as_for_one(
    app: Flask, person: FlaskClient, add_project: AddProject
) -> None:
    with questions() as asked:

        def ask() -> int:
            path = start(person)
            asked.clear()
            assert person.get(path).status_code == 200
            return len(asked)

        add_project("a")
        before = ask()
        for name in "bcdef":
            add_project(name)
        assert ask() == before <= 12


def test_id_of_an_event_follows_from_run_and_project() -> None:
    run = everywhere.new_run()
    ids = {everywhere.event_of(run, project) for project in (1, 2, 1)}
    assert len(ids) == 2 and all(re.fullmatch("[0-9a-f]{32}", id) for id in ids)


def test_archived_project_is_left_out_and_named_and_refused_if_it_is_asked_for(
    app: Flask, person: FlaskClient, add_project: AddProject
) -> None:
    shop = add_project("Old shop")
    archive_project(parts_of(app).store, shop)
    page = person.get(start(person)).text
    assert list(rows(page)) == ["DevEnviro"] and "Left out" in page and "Old shop." in page
    assert person.get("/api/events").json["events"][0]["project_id"] == 1
    fields = {"project": str(shop), "kind": "message", "message": "x", "level": "error"}
    token = csrf_token(person, "/admin/test-error")
    answer = person.post("/admin/test-error", data={**fields, "csrf_token": token})
    assert answer.status_code == 422
    assert "the project is archived: it accepts nothing" in answer.text
    assert f'href="/admin/projects/{shop}#upstream">Restore the project</a>' in answer.text
