"""Erasing by page, API and command: count first, then erase; the identifier is kept nowhere."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import pytest
import sentry_sdk
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner
from sqlalchemy import select

from app.erasing import records
from app.erasing.identifier import Identifier
from app.erasing.tables import erasures
from app.events.states import EnvelopeState
from app.events.tables import envelopes
from app.project_service.changing import amend
from app.projects import create_project
from app.protocol.envelope import Envelope, Item
from app.protocol.packing import unpack
from app.store.leases import new_owner, release
from tests.conftest import csrf_token, parts_of

EMAIL, UPSTREAM = "ann.lee@shop.example", "https://5ec2e7ca11ab1e0f@o1.sentry.example/77"

pytestmark = pytest.mark.one_database


@pytest.fixture
def shop(app: Flask) -> Flask:
    """Store an event of the person that waits for Sentry, and one that Sentry has."""
    parts = parts_of(app)
    create_project(parts.store, "Shop", 2)
    amend(parts.store, parts.config, 2, {"upstream_dsn": UPSTREAM})
    for text in ("waits", "delivered"):
        event = {"message": f"{text} for {EMAIL}", "user": {"email": EMAIL}}
        parts.intake.accept(
            Envelope({}, [Item({"type": "event"}, event)]), project_id=2, timeout_s=9
        )
    with parts.store.write() as conn:
        last = select(envelopes.c.id).order_by(envelopes.c.id.desc()).limit(1)
        delivered = envelopes.update().where(envelopes.c.id == last.scalar_subquery())
        conn.execute(delivered.values(state=EnvelopeState.DELIVERED))
    return app


def finished(read: Callable[[], Any], seconds: float = 60) -> Any:
    """Return what a run answers when it has ended."""
    end = time.monotonic() + seconds
    while (answer := read())["state"] == "running" and time.monotonic() < end:
        time.sleep(0.02)
    return answer


def states(app: Flask) -> list[tuple[str, str | None]]:
    with parts_of(app).store.read() as conn:
        query = select(envelopes.c.state, envelopes.c.reason).order_by(envelopes.c.id)
        return [(row.state, row.reason) for row in conn.execute(query)]


def test_api_counts_and_then_erases_what_waits_for_sentry(
    shop: Flask, client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    body = {"kind": "email", "value": EMAIL.upper(), "dry_run": True}

    def run(**more: Any) -> Any:
        answer = client.post("/api/erasures", json=body | more)
        assert answer.status_code == 202, answer.text
        return finished(lambda: client.get(f"/api/erasures/{answer.json['id']}").json)

    counted = run()
    assert counted["report"]["counts"]["envelopes"] == 2 and counted["state"] == "done"
    assert states(shop)[0] == ("pending", None)
    erased = run(dry_run=False)
    assert erased["report"]["left"] == 0 and erased["report"]["counts"]["discarded"] == 1
    assert [one["project_id"] for one in erased["report"]["forwarded"]] == [2]
    assert states(shop) == [("discarded", "erased"), ("delivered", None)]
    listed = client.get("/api/erasures").json["erasures"]
    assert [one["dry_run"] for one in listed] == [False, True]
    with parts_of(shop).store.read() as conn:
        rows = str(conn.execute(select(erasures)).all())
    assert EMAIL not in (rows + caplog.text).lower()


def test_api_refuses_what_is_no_identifier_and_a_second_run(
    shop: Flask, client: FlaskClient
) -> None:
    wrong = client.post("/api/erasures", json={"kind": "ip", "value": "1.2", "dry_run": True})
    assert wrong.status_code == 422 and wrong.json["errors"][0]["field"] == "value"
    store, identifier = parts_of(shop).store, Identifier.of("email", EMAIL)
    owner = new_owner()
    run_id = records.begin(store, identifier, "secret", "sam", owner, is_dry=True)
    body = {"kind": "email", "value": EMAIL, "dry_run": True}
    assert client.post("/api/erasures", json=body).status_code == 409
    assert client.get(f"/api/erasures/{run_id}").json["state"] == "running"
    # Its process ended, and another run has begun since.
    release(store, records.LEASE, owner)
    assert client.get(f"/api/erasures/{run_id}").json["state"] == "stopped"


def test_page_erases_only_if_the_same_identifier_is_typed_again(
    shop: Flask, admin_client: FlaskClient
) -> None:
    page = "/admin/erasures"
    token = {"csrf_token": csrf_token(admin_client, page)}
    wrong = admin_client.post(page, data=token | {"kind": "email", "value": "no address"})
    assert "an e-mail address is expected" in wrong.text
    begun = admin_client.post(page, data=token | {"kind": "email", "value": EMAIL})
    here = begun.headers["Location"]
    shown = finished(lambda: read(admin_client, here))["text"]
    assert "Envelopes rewritten" in shown and "Erase the person" in shown
    assert EMAIL not in shown
    another = admin_client.post(here, data=token | {"value": "bo@shop.example"})
    assert "not what was counted" in another.text
    begun = admin_client.post(here, data=token | {"value": EMAIL.title()})
    shown = finished(lambda: read(admin_client, begun.headers["Location"]))["text"]
    assert "Nothing was found when it looked again" in shown and "Sentry has already" in shown
    assert states(shop)[0] == ("discarded", "erased")
    assert "Erase a person" in admin_client.get("/admin/projects").text


def read(client: FlaskClient, path: str) -> dict[str, str]:
    text = client.get(path).text
    return {"text": text, "state": "running" if "data-poll=" in text else "done"}


def test_command_asks_and_reads_the_identifier_from_stdin(
    shop: Flask, runner: FlaskCliRunner
) -> None:
    refused = runner.invoke(args=["erase", "--email", "-"], input=f"{EMAIL}\nn\n")
    assert refused.exit_code == 1 and "2 envelopes rewritten" in refused.stdout
    assert states(shop)[0] == ("pending", None)
    done = runner.invoke(args=["erase", "--email", "-"], input=f"{EMAIL}\ny\n")
    assert done.exit_code == 0 and "0 found when it looked again" in done.stdout
    assert "Sentry has 1 of project 2" in done.stdout and EMAIL not in done.output
    nobody = runner.invoke(args=["erase", "--email", "bo@shop.example"])
    assert nobody.exit_code == 0 and "nothing was found" in nobody.stdout
    both = runner.invoke(args=["erase", "--email", EMAIL, "--ip", "1.2.3.4"])
    assert both.exit_code == 2 and "give one of" in both.output


def test_request_that_names_a_person_is_recorded_nowhere(
    make_app: Callable[..., Flask], login: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(SENTRY_SEND_PII=True, SENTRY_TRACES_SAMPLE_RATE=1.0)
    client = login(app.test_client())
    token = {"csrf_token": csrf_token(client, "/admin/erasures"), "kind": "email", "value": EMAIL}
    body = {"kind": "email", "value": EMAIL, "dry_run": True}
    begun = client.post("/admin/erasures", data=token).headers["Location"]
    finished(lambda: read(client, begun))

    def broken(identifier: Identifier, secret: str, **more: Any) -> int:
        private = identifier.value
        raise RuntimeError("broken" if private else "")

    monkeypatch.setattr("app.erasing.jobs.start", broken)
    assert client.post("/api/erasures", json=body).status_code == 500
    assert client.post("/admin/erasures", data=token).status_code == 500
    parts_of(app).intake.flush()
    sentry_sdk.flush()
    with parts_of(app).store.read() as conn:
        bodies = [unpack(stored) for stored in conn.scalars(select(envelopes.c.body))]
    assert sum(b'"RuntimeError"' in one for one in bodies) == 2
    assert not any(EMAIL.encode() in one for one in bodies)
