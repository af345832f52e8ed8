"""Reading: whatever is asked by GET, the store's only writer is left alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import sentry
from app.events.tables import envelopes
from app.issues.tables import issues
from app.stats.releases import Release, make
from app.store import Store, utc_now
from tests.conftest import API_TOKEN, parts_of

# One records an error, which is what it is for; the other notes in the audit log that data leaves.
RECORDS = {"/sentry-debug", "/api/deliveries.csv"}
# Signed for one event, or a place for any text.
TEXTS = {"prefix": "a", "filename": "app.css", "path": "app.css", "name": "a"}


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch, app: Flask) -> list[str]:
    """What is asked for while somebody writes; only requests of this thread count."""
    asked: list[str] = []
    write = Store.write

    @contextmanager
    def noted(self: Store, *args: Any, **kwargs: Any) -> Iterator[Any]:
        from flask import has_request_context, request

        if has_request_context() and request.method == "GET":
            asked.append(request.path)
        with write(self, *args, **kwargs) as conn:
            yield conn

    monkeypatch.setattr(Store, "write", noted)
    return asked


def test_get_never_takes_the_writer(
    app: Flask,
    written: list[str],
    login: Callable[[FlaskClient], FlaskClient],
) -> None:
    event_id = str(sentry.capture_message("nobody has compared this yet"))
    parts = parts_of(app)
    with parts.store.write() as conn:
        (release,) = make(conn, [Release(1, "shop@9")], first_seen=utc_now()).values()
        conn.execute(envelopes.update().values(state="parked"))
        issue = conn.scalar(issues.select().with_only_columns(issues.c.id))
    values = {
        "event_id": event_id, "issue_id": issue, "envelope_id": 1, "project_id": 1,
        "release_id": release, "number": 1, **TEXTS,
    }  # fmt: skip
    clients = {"admin": login(app.test_client()), "api": app.test_client()}
    answered = set()
    for rule in app.url_map.iter_rules():
        if "GET" not in (rule.methods or ()) or rule.rule in RECORDS:
            continue
        arguments = {name: values.get(name, 1) for name in rule.arguments}
        path = app.url_map.bind("localhost").build(rule.endpoint, arguments, method="GET")
        for name, client in clients.items():
            headers = {"Authorization": f"Bearer {API_TOKEN}"} if name == "api" else {}
            status = client.get(path, headers=headers).status_code
            answered |= {rule.rule} if status == 200 else set()
    assert written == []
    # It was no walk past closed doors.
    assert {"/admin/issues/<int:issue_id>", "/api/issues/<int:issue_id>/similar"} <= answered
    assert len(answered) > 40, sorted(answered)
