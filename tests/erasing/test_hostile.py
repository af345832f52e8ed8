"""Where a person is easily forgotten: merged issues, archived projects, cut texts, numbers."""

from __future__ import annotations

import json
import os
import zlib
from pathlib import Path
from typing import Any

from flask import Flask
from flask.testing import FlaskCliRunner
from sqlalchemy import select

from app.accounts.tables import users
from app.delivery.accounting import accounting
from app.erasing.identifier import Identifier
from app.erasing.jobs import places_here
from app.erasing.run import erase
from app.events.tables import envelopes, events
from app.issues.merging import merge
from app.issues.tables import issue_tags, issues
from app.projects import archive_project, create_project
from app.protocol.envelope import Item
from app.protocol.packing import unpack
from app.search.indexing import catch_up
from app.stats.tables import affected_users, session_users
from app.store import Store, utc_now
from tests.conftest import Parts, parts_of
from tests.erasing.planted import accept, hits
from tests.search.steps import found, issues_found

EMAIL = "ann.lee@shop.example"


def send(parts: Parts, project_id: int = 2, **payload: Any) -> str:
    return accept(parts, Item({"type": "event"}, payload), project_id=project_id)


def bodies(store: Store) -> str:
    with store.read() as conn:
        found = conn.scalars(select(envelopes.c.body).order_by(envelopes.c.id))
        return "\n".join(unpack(body).decode() for body in found)


def rows(store: Store, column: Any) -> list[Any]:
    with store.read() as conn:
        return list(conn.scalars(select(column).order_by(column)))


def test_number_is_erased_as_the_id_of_a_user_and_stays_everywhere_else(
    app: Flask, runner: FlaskCliRunner
) -> None:
    parts = parts_of(app)
    create_project(parts.store, "Shop", 2)
    send(
        parts,
        message="42 items of user_id=42",
        user={"id": 42, "email": EMAIL, "username": "ann"},
        tags={"user_id": "42", "shelf": "42", "user.email": EMAIL},
        extra={"stock": 42, "params": {"user_id": 42, "order": 42}, "text": '{"user": {"id": 42}}'},
        contexts={"account": {"mail": EMAIL}},
    )
    send(parts, message="42 more", user={"id": 421, "email": "bo@shop.example"})
    session = {"sid": "e" * 32, "did": "42", "attrs": {"release": "shop@1"}}
    accept(parts, Item({"type": "session"}, session), project_id=2)
    parts.intake.flush()
    catch_up(parts.store)
    assert len(found(parts.store, "user.id:42")) == 1
    users = len(rows(parts.store, affected_users.c.user_hash))
    answer = runner.invoke(args=["erase", "--user-id", "42", "--yes", "--json"])
    assert answer.exit_code == 0 and json.loads(answer.stdout.splitlines()[-1])["left"] == 0
    text = bodies(parts.store)
    assert "42 items of user_id=[erased]" in text and '"stock":42' in text and '"order":42' in text
    assert '"shelf":"42"' in text and '"user_id":"[erased]"' in text and '"user":{}' in text
    # What stood beside the id in its user is erased from the same event.
    assert EMAIL not in text and '"id":421' in text and '"did":"42"' not in text
    assert found(parts.store, "user.id:42") == [] and len(found(parts.store, "user.id:421")) == 1
    assert rows(parts.store, session_users.c.user_hash) == []
    assert len(rows(parts.store, affected_users.c.user_hash)) == users // 2
    assert set(rows(parts.store, issue_tags.c.value)) >= {"[erased]"}


def test_merged_archived_cut_and_encoded_texts_are_found(app: Flask) -> None:
    parts = parts_of(app)
    create_project(parts.store, "Shop", 2)
    create_project(parts.store, "Old", 3)
    cut = "x" * (500 - 13) + " " + EMAIL  # A title has 500 characters.
    send(parts, message=cut)
    send(parts, message="first", fingerprint=[EMAIL, "a"], logger=EMAIL)
    send(parts, message="second", fingerprint=["b"], request={"query_string": [["mail", EMAIL]]})
    send(parts, 3, message="of an archived project", tags={EMAIL: "1", "mail": f"~{EMAIL}"})
    recording = json.dumps({"segment_id": 0}).encode() + b"\n" + zlib.compress(EMAIL.encode())
    accept(parts, Item({"type": "replay_recording"}, recording), project_id=2)
    catch_up(parts.store)
    ids = rows(parts.store, issues.c.id)
    with parts.store.write() as conn:
        merge(conn, ids[1:3], "sam")
    archive_project(parts.store, 3)
    with app.app_context():
        report = erase(places_here(), Identifier.of("email", EMAIL))
    assert report.left == 0
    assert hits(app, EMAIL) == []
    # Not even the beginning of it.
    everything = "".join(rows(parts.store, events.c.title) + rows(parts.store, issues.c.title))
    assert "ann.lee" not in everything
    assert issues_found(parts.store, EMAIL) == set()
    with parts.store.read() as conn:
        assert accounting(conn)["balanced"]


def test_event_that_arrives_while_erasing_is_erased_or_reported(app: Flask) -> None:
    parts = parts_of(app)
    send(parts, 1, message=f"before {EMAIL}")
    arrived = []

    def arrive(count: int) -> None:
        if len(arrived) < 30:
            arrived.append(send(parts, 1, message=f"meanwhile {EMAIL} {len(arrived)}"))

    with app.app_context():
        report = erase(places_here(), Identifier.of("email", EMAIL), arrive)
        text = bodies(parts.store)
        assert f"before {EMAIL}" not in text and len(rows(parts.store, events.c.id)) == 31
        assert bool(report.left) == (EMAIL in text)
        assert erase(places_here(), Identifier.of("email", EMAIL)).left == 0
    assert EMAIL not in bodies(parts.store)


def test_what_stays_and_what_is_being_written_is_said_and_not_destroyed(app: Flask) -> None:
    parts = parts_of(app)
    folder, store = parts.intake.emergency.path, Path(str(parts.store.url.database))
    folder.mkdir(parents=True, exist_ok=True)
    young, old = folder / "a.part", folder / "b.part"
    for path in (young, old):
        path.write_text(f"half of an event of {EMAIL}")
    os.utime(old, (1, 1))
    with parts.store.write() as conn:
        row = {"username": EMAIL, "password_hash": "x", "role": "viewer", "session_key": "x"}
        conn.execute(users.insert().values(row | {"created_at": utc_now()}))
    send(parts, 1, message=f"order of {EMAIL}", user={"id": 42, "email": EMAIL})
    if parts.store.is_sqlite:
        store.with_name(f"{store.name}.restoring").touch()
    with app.app_context():
        by_id = erase(places_here(), Identifier.of("user_id", "42"))
        assert rows(parts.store, events.c.title) == rows(parts.store, issues.c.title)
        assert rows(parts.store, events.c.title) == ["order of [erased]"]
        report = erase(places_here(), Identifier.of("email", EMAIL))
    assert "run this for each that you know" in " ".join(by_id.notes)
    assert ("restore that was stopped" in " ".join(report.notes)) == parts.store.is_sqlite
    assert "was being written" in " ".join(report.notes)
    assert (young.exists(), old.exists()) == (True, False)
    # Running it again would not erase what stays.
    assert report.left == 0 and "the account of a user" in report.stays[0]


def test_short_address_fits_into_a_full_column(app: Flask) -> None:
    parts = parts_of(app)
    text = f"{'x' * 192} 1.1.1.1"
    send(parts, 1, message="full", logger=text, platform="x" * 56 + " 1.1.1.1")
    with app.app_context():
        assert erase(places_here(), Identifier.of("ip", "1.1.1.1")).left == 0
    assert len(rows(parts.store, events.c.logger)[0]) <= 200
