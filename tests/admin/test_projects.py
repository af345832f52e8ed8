"""Projects in the pages: made, changed, keyed, set up; and the printed lines really work."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.admin.setup_lines import snippets
from app.project_service.changing import amend, register_project
from app.project_service.details import first_event
from app.projects import create_project, dsn_of, project_of_key
from app.store import Store
from tests.conftest import csrf_token, parts_of
from tests.server_process import serving, wait_for

pytestmark = pytest.mark.one_database

KEY = "a1b2c3d4e5f60718293a4b5c6d7e8f90"
UPSTREAM = "https://5ec2e7ca11ab1e0f@o1.sentry.example:8443/77"
EVENT = b'{}\n{"type":"event"}\n{"message":"<b>the first</b>"}\n'


@pytest.fixture
def shop(app: Flask) -> int:
    create_project(parts_of(app).store, "Shop & <Sons>", 42, KEY)
    return 42


def submit(client: FlaskClient, page: str, path: str | None = None, **form: str) -> TestResponse:
    return client.post(path or page, data={"csrf_token": csrf_token(client, page), **form})


def report(client: FlaskClient, body: bytes = EVENT) -> int:
    return client.post(f"/api/42/envelope/?sentry_key={KEY}", data=body).status_code


def opens(app: Flask, key: str) -> int | None:
    with parts_of(app).store.read() as conn:
        return project_of_key(conn, key)


def texts(page: str, tag: str = "pre") -> list[str]:
    return [html.unescape(text) for text in re.findall(rf"<{tag}[^>]*>([^<]*)</{tag}>", page)]


def test_new_project_leads_to_its_set_up_page(app: Flask, admin_client: FlaskClient) -> None:
    made = submit(
        admin_client,
        "/admin/projects/new",
        name="Shop",
        upstream_dsn=UPSTREAM,
        events_per_minute="600",
        retention_days="",
    )
    assert (made.status_code, made.location) == (303, "/admin/projects/2/setup")
    found = admin_client.get("/api/projects/2").json
    assert found["upstream_host"] == "https://o1.sentry.example:8443"
    assert (found["events_per_minute"], found["retention_days"]) == (600, None)
    page = admin_client.get(made.location).text
    assert found["dsn"] in texts(page)
    assert "5ec2e7ca11ab1e0f" not in page


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"name": ""}, "A project has a name."),
        ({"name": "x" * 201}, "cannot be longer than 200"),
        ({"name": "   "}, "1 to 200 characters are expected."),
        ({"events_per_minute": "-1"}, "A number from 0 is expected."),
        ({"events_per_minute": "many"}, "Not a valid integer value."),
        ({"retention_days": "99999"}, "A number of days from 0 is expected."),
        ({"upstream_dsn": "no-dsn-5ec2e7ca11ab1e0f"}, "A DSN such as https://key@host/1"),
        ({"upstream_dsn": "http://5ec2e7ca11ab1e0f@127.0.0.1:8000/1"}, "leads back to this"),
    ],
)
def test_wrong_field_of_a_new_project_is_named_at_the_field(
    admin_client: FlaskClient, form: dict[str, str], words: str
) -> None:
    answer = submit(admin_client, "/admin/projects/new", **{"name": "Shop", **form})
    assert answer.status_code == 422
    assert words in answer.text and "is-invalid" in answer.text
    assert "5ec2e7ca11ab1e0f" not in answer.text
    assert len(admin_client.get("/api/projects").json["projects"]) == 1


def test_list_shows_what_each_project_sends_and_where_it_goes(
    app: Flask, admin_client: FlaskClient, shop: int
) -> None:
    parts = parts_of(app)
    assert "Set up</a>" in admin_client.get("/admin/projects").text
    amend(parts.store, parts.config, shop, {"events_per_minute": 1, "upstream_dsn": UPSTREAM})
    codes = [report(admin_client) for _ in range(4)]
    parts.intake.flush()
    page = admin_client.get("/admin/projects").text
    row = page[page.index("/admin/projects/42") : page.index("</tr>", page.index("projects/42"))]
    assert "Shop &amp; &lt;Sons&gt;" in row and "https://o1.sentry.example:8443" in row
    assert f"{codes.count(429)} refused" in row and "1 a minute" in row
    assert "just now" in row


def test_name_and_limits_are_changed(admin_client: FlaskClient, shop: int) -> None:
    path = "/admin/projects/42"
    saved = submit(admin_client, path, name="Books", events_per_minute="5", retention_days="0")
    assert (saved.status_code, saved.location) == (303, path)
    found = admin_client.get("/api/projects/42").json
    assert (found["name"], found["events_per_minute"], found["retention_days"]) == ("Books", 5, 0)
    page = admin_client.get(path).text
    assert 'value="Books"' in page and 'value="5"' in page and 'value="0"' in page
    wrong = submit(admin_client, path, name="", events_per_minute="5")
    assert wrong.status_code == 422 and "A project has a name." in wrong.text
    submit(admin_client, path, name="Books", events_per_minute="", retention_days="")
    found = admin_client.get("/api/projects/42").json
    assert (found["events_per_minute"], found["retention_days"]) == (None, None)


def test_dsn_of_an_upstream_is_saved_and_not_shown(
    app: Flask, admin_client: FlaskClient, shop: int
) -> None:
    path = "/admin/projects/42"
    assert "stays here" in admin_client.get(path).text
    saved = submit(admin_client, path, f"{path}/upstream", upstream_dsn=f" {UPSTREAM} ")
    assert (saved.status_code, saved.location) == (303, path)
    page = admin_client.get(path).text
    assert "https://o1.sentry.example:8443" in page and "5ec2e7ca11ab1e0f" not in page
    with parts_of(app).store.read() as conn:
        assert parts_of(app).destinations.find(conn, 42).dsn == UPSTREAM
    for wrong in ("", "http://5ec2e7ca11ab1e0f@localhost:8000/1"):
        answer = submit(admin_client, path, f"{path}/upstream", upstream_dsn=wrong)
        assert answer.status_code == 422 and "5ec2e7ca11ab1e0f" not in answer.text
    assert "Go on sending" in admin_client.get(f"{path}/upstream/remove").text
    assert admin_client.get("/api/projects/42").json["upstream"] is True
    submit(admin_client, f"{path}/upstream/remove")
    assert admin_client.get("/api/projects/42").json["upstream"] is False
    assert admin_client.get(f"{path}/upstream/remove").status_code == 404


def test_upstream_of_this_application_is_a_setting(
    make_app: Callable[..., Flask], login: Callable[[FlaskClient], FlaskClient]
) -> None:
    client = login(make_app(SENTRY_DSN="http://5ec2e7ca@127.0.0.1:9/1").test_client())
    page = client.get("/admin/projects/1").text
    assert "SENTRY_DSN" in page and "http://127.0.0.1:9" in page
    assert "5ec2e7ca" not in page and "upstream_dsn" not in page
    answer = submit(
        client, "/admin/projects/1", "/admin/projects/1/upstream", upstream_dsn=UPSTREAM
    )
    assert answer.status_code == 422
    assert client.get("/admin/projects/1/upstream/remove").status_code == 404


def test_key_is_added_and_another_revoked_after_a_question(
    app: Flask, admin_client: FlaskClient, shop: int
) -> None:
    path = "/admin/projects/42"
    submit(admin_client, path, f"{path}/keys")
    keys = admin_client.get("/api/projects/42").json["keys"]
    page = admin_client.get(path).text
    assert len(keys) == 2 and all(f"{key}@127.0.0.1:8000/42</code>" in page for key in keys)
    question = admin_client.get(f"{path}/keys/{KEY}/revoke")
    assert question.status_code == 200 and "It is the only key" not in question.text
    assert opens(app, KEY) == 42
    assert submit(admin_client, f"{path}/keys/{KEY}/revoke").status_code == 303
    assert opens(app, KEY) is None
    assert admin_client.get(f"{path}/keys/{KEY}/revoke").status_code == 404
    assert "It is the only key" in admin_client.get(f"{path}/keys/{keys[1]}/revoke").text
    submit(admin_client, f"{path}/keys/{keys[1]}/revoke")
    assert "No key works" in admin_client.get(path).text
    setup = admin_client.get(f"{path}/setup").text
    assert "Make a key" in setup and KEY not in setup


@pytest.mark.parametrize(
    "path", ["", "/setup", "/upstream", "/upstream/remove", "/keys", f"/keys/{KEY}/revoke"]
)
@pytest.mark.parametrize("project_id", [7, 2**31, 10**30])
def test_unknown_project_is_a_404_page(
    admin_client: FlaskClient, project_id: int, path: str
) -> None:
    where = f"/admin/projects/{project_id}{path}"
    token = csrf_token(admin_client, "/admin/projects")
    if path not in ("/upstream", "/keys"):
        assert admin_client.get(where).status_code == 404
    if path != "/setup":
        assert admin_client.post(where, data={"csrf_token": token}).status_code == 404


def test_change_without_the_token_is_refused(admin_client: FlaskClient, shop: int) -> None:
    for path in ("", "/upstream", "/keys", f"/keys/{KEY}/revoke"):
        answer = admin_client.post(f"/admin/projects/42{path}", data={"name": "Forged"})
        assert answer.status_code == 400
    assert admin_client.get("/api/projects/42").json["name"] == "Shop & <Sons>"


def test_set_up_page_turns_green_when_the_first_event_arrives(
    app: Flask, admin_client: FlaskClient, shop: int
) -> None:
    page = admin_client.get("/admin/projects/42/setup").text
    url = re.search(r'data-poll="2" data-poll-url="([^"]+)"', page)
    assert url and "Waiting for the first event" in page
    headers = {"X-Fragment": "1"}
    assert "Waiting" in admin_client.get(url[1], headers=headers).text
    assert report(admin_client, b'{}\n{"type":"session"}\n{"sid":"1"}\n') == 200
    assert "Waiting" in admin_client.get(url[1], headers=headers).text
    assert report(admin_client) == 200
    assert report(admin_client, EVENT.replace(b"first", b"second")) == 200
    fragment = admin_client.get(url[1], headers=headers).text
    assert fragment.lstrip().startswith("<p") and "data-poll" not in fragment
    assert 'data-tone="good"' in fragment and "&lt;b&gt;the first" in fragment
    event_id = re.search(r'href="/admin/events/([0-9a-f]{32})"', fragment)
    assert event_id and admin_client.get(f"/admin/events/{event_id[1]}").status_code == 200
    assert "The first event has arrived" in admin_client.get("/admin/projects/42/setup").text
    # Of its own project only.
    register_project(parts_of(app).store, parts_of(app).config, {"name": "Other"}, 43)
    assert "Waiting" in admin_client.get("/admin/projects/43/setup").text


def test_lines_carry_the_public_address(
    make_app: Callable[..., Flask], login: Callable[[FlaskClient], FlaskClient]
) -> None:
    client = login(make_app(PUBLIC_URL="https://errors.example/base/").test_client())
    page = client.get("/admin/projects/1/setup").text
    dsn = client.get("/api/projects/1").json["dsn"]
    lines = texts(page)
    # The DSN alone, ten platforms, sentry-cli and curl.
    assert len(lines) == 13 and all(dsn in text for text in lines[:12])
    assert "https://errors.example/base/api/1/store/?sentry_key=" in lines[12]
    for text in lines[1:]:
        assert "production" in text and "my-app@1.0.0" in text
    assert "connect-src https://errors.example;" in html.unescape(page)
    assert "transport_queue_size=1000" in lines[1] and "bufferSize: 1000" in lines[5]
    assert "PUBLIC_URL" not in page


def test_lines_for_python_and_curl_report(tmp_path: Path, database_url: str) -> None:
    with serving(tmp_path / "data", DATABASE_URL=database_url) as server:
        store = Store(database_url)
        for project_id, name in ((42, "python"), (43, "curl"), (44, "flask"), (45, "django")):
            key = create_project(store, name, project_id).keys[0]
            lines = {snippet.id: snippet.lines for snippet in snippets(server.url, project_id, key)}
            assert dsn_of(server.url, project_id, key) in lines["python"]
            run = ["sh", "-c"] if name == "curl" else [sys.executable, "-c"]
            subprocess.run([*run, lines[name]], check=True, timeout=60, capture_output=True)

            def arrived(project_id: int = project_id) -> bool:
                with store.read() as conn:
                    return first_event(conn, project_id) is not None

            wait_for(arrived)
        store.dispose()
        titles = server.event_titles()
    assert sorted(titles) == [
        f"Hello from {name}" for name in ("Django", "Flask", "Python", "curl")
    ]
