"""What the door refuses is counted by project and reason, wherever a person looks."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.ingest import door
from app.intake.refusals import refused_by_reason
from app.protocol.envelope import Limits
from app.store import Store
from tests.conftest import parts_of
from tests.ingest.test_door import AUTH, PATH, envelope

UNKNOWN = {"X-Sentry-Auth": f"Sentry sentry_key={'0' * 32}"}
REFUSED: dict[str, tuple[str, dict[str, str], bytes, int]] = {
    "malformed": (PATH, AUTH, b"no envelope", 400),
    "no_key": (PATH, {}, envelope(), 401),
    "unknown_key": (PATH, UNKNOWN, envelope(), 403),
    "key_of_another_project": ("/api/43/envelope/", AUTH, envelope(), 403),
    "too_large": (PATH, AUTH, envelope(b'{"x":' + b"[]," * 3 + b"}"), 413),
}


@pytest.fixture
def store(app: Flask) -> Store:
    return parts_of(app).store


@pytest.fixture(autouse=True)
def _few_values(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = door.LIMITS
    few = Limits(limits.items, limits.header_bytes, limits.json_bytes, 2, 2, limits.depth)
    monkeypatch.setattr(door, "LIMITS", few)


def counted(app: Flask) -> dict[tuple[int | None, str], int]:
    parts_of(app).intake.flush()
    with parts_of(app).store.read() as conn:
        return {(one.project_id, one.reason): one.count for one in refused_by_reason(conn)}


@pytest.mark.parametrize("reason", REFUSED)
def test_refusal_is_counted_once_at_its_project_by_its_reason(
    app: Flask, admin_client: FlaskClient, reason: str
) -> None:
    path, headers, body, status = REFUSED[reason]
    for _ in range(2):
        assert admin_client.post(path, data=body, headers=headers).status_code == status
    project = 43 if reason == "key_of_another_project" else 42
    assert counted(app) == {(project, reason): 2}
    sample = f'devenviro_refused_total{{project="{project}",reason="{reason}"}} 2'
    assert sample in admin_client.get("/metrics").text
    [row] = admin_client.get("/system/status").json["refused"]
    assert (row["project_id"], row["reason"], row["status"], row["count"]) == (
        project,
        reason,
        status,
        2,
    )
    assert admin_client.get(f"/api/projects/{project}").json["refused"] == {reason: 2}
    for page in (f"/admin/projects/{project}", "/admin/status"):
        assert row["words"] in admin_client.get(page).text


def test_strangers_who_name_projects_that_are_none_share_one_row(
    app: Flask, client: FlaskClient
) -> None:
    for number in range(100, 120):
        client.post(f"/api/{number}/envelope/", data=envelope(), headers=UNKNOWN)
    client.post("/api/envelope/", data=envelope(), headers=UNKNOWN)
    assert counted(app) == {(None, "unknown_key"): 21}


def test_refusals_are_written_together_and_none_by_itself(
    app: Flask, client: FlaskClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes: list[Any] = []
    write = store.write
    intake = parts_of(app).intake
    monkeypatch.setattr(intake._buffer, "wake", lambda: None)
    monkeypatch.setattr(store, "write", lambda *a, **k: (writes.append(a), write(*a, **k))[1])
    for _ in range(50):
        client.post(PATH, data=b"no envelope", headers=AUTH)
    assert writes == []
    assert counted(app) == {(42, "malformed"): 50}
    assert len(writes) == 1
