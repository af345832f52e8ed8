"""Nothing lives for ever: payloads go by age, and what a person decided stays without them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from alembic import command
from alembic.config import Config as AlembicConfig
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Table, func, select, text, update

from app.delivery import accounting
from app.delivery.tables import attempts, issue_deliveries
from app.events.tables import envelopes, events
from app.intake.pruning import candidates, remove
from app.intake.retention import Limits, prune
from app.issues import triage
from app.issues.similarity_index import read_unread
from app.issues.tables import (
    feedback,
    issue_hours,
    issue_similarity,
    issue_tags,
    issue_terms,
    issues,
    transitions,
)
from app.projects import create_project
from app.protocol.envelope import Envelope, Item
from app.stats.row_bounds import bound_rows, bounded
from app.stats.sessions import session_series
from app.stats.tables import (
    affected_users,
    ai_calls,
    known_sessions,
    releases,
    session_users,
)
from app.store import Store, metadata, utc_now
from app.store.migrations import MIGRATIONS
from tests.conftest import parts_of

LIMITS = Limits(days=90, events=0, bytes=0)
LONG_AGO = "2025-01-01T00:00:00Z"
WHO = "ada@example.org"
ADDRESS = "203.0.113.77"


def accept(app: Flask, *items: Item, headers: dict[str, Any] | None = None) -> None:
    envelope = Envelope(headers or {}, list(items))
    parts_of(app).intake.accept(envelope, project_id=1, timeout_s=10)


def error(app: Flask, type: str = "OrderError", release: str = "shop@1") -> None:
    """Send an error that names a person wherever one can be named."""
    payload = {
        "exception": {"values": [{"type": type, "value": f"{WHO} at {ADDRESS} has no order"}]},
        "user": {"email": WHO, "ip_address": ADDRESS},
        "tags": {"customer": WHO},
        "transaction": f"/customers/{WHO}",
        "release": release,
    }
    accept(app, Item({"type": "event"}, payload))


def message(app: Flask, text: str = f"no order of {WHO} at {ADDRESS}") -> None:
    accept(app, Item({"type": "event"}, {"message": text, "transaction": f"/of/{WHO}"}))


def set_states(store: Store, states: Iterable[str]) -> None:
    """Bring the first envelopes to these states, and the accounting with them."""
    with store.write() as conn:
        for envelope_id, state in enumerate(states, 1):
            its_row = update(envelopes).where(envelopes.c.id == envelope_id)
            conn.execute(its_row.values(state=state))
            accounting.move(conn, [("state:local", f"state:{state}")])


def rows_of(store: Store, table: Table) -> int:
    with store.read() as conn:
        return conn.execute(select(func.count()).select_from(table)).scalar_one()


def all_issues(app: Flask) -> dict[str, dict[str, Any]]:
    found = app.test_client().get("/api/issues").json["issues"]
    return {issue["type"]: issue for issue in found}


def contents(store: Store) -> str:
    """Everything that stands in the tables of issues, as text."""
    with store.read() as conn:
        return "\n".join(
            str(tuple(row))
            for table in metadata.sorted_tables
            if table.name.startswith(("issue", "transitions", "affected", "event", "feedback"))
            for row in conn.execute(select(table))
        )


# ---- age wins -----------------------------------------------------------------------------------


def test_no_payload_is_left_of_what_is_400_days_old(app: Flask) -> None:
    store = parts_of(app).store
    with time_machine.travel(utc_now() - timedelta(days=400)):
        for _ in range(3):
            error(app)
        message(app)
        attachment = Item({"type": "attachment", "filename": "a.txt"}, b"of " + WHO.encode())
        accept(app, Item({"type": "event"}, {"message": "with a file"}), attachment)
        said = {"contexts": {"feedback": {"message": "it broke", "contact_email": WHO}}}
        accept(app, Item({"type": "feedback"}, said))
        accept(app, Item({"type": "session"}, {"sid": "1"}))
        accept(app, Item({"type": "user_report"}, {"event_id": "a" * 32, "comments": "hm"}))
        read_unread(store, 100)
        set_states(store, ("parked", "expired", "delivered"))
        row = {"envelope_id": 1, "ms": 1.0, "state": "retry", "worker": "a:1", "at": utc_now()}
        with store.write() as conn:
            conn.execute(attempts.insert(), [row])
            conn.execute(issue_deliveries.insert().values(issue_id=1, hour=utc_now(), sent=1))
    assert app.test_cli_runner().invoke(args=["prune"]).exit_code == 0
    left = {
        table.name: rows_of(store, table)
        for table in (
            envelopes, events, issues, transitions, issue_hours, issue_tags, issue_similarity,
            issue_terms, issue_deliveries, affected_users, feedback, attempts,
            ai_calls,
        )
    }  # fmt: skip
    assert not any(left.values()), left
    with store.read() as conn:
        accounts = accounting.accounting(conn)
    assert accounts["balanced"]
    assert accounts["discarded"] == {"too_old": 2}
    assert (accounts["parked"], accounts["expired"], accounts["delivered"]) == (0, 0, 1)


def test_what_is_still_to_be_sent_is_kept_whatever_its_age(app: Flask) -> None:
    store = parts_of(app).store
    with time_machine.travel(utc_now() - timedelta(days=400)):
        for _ in range(3):
            error(app)
        set_states(store, ("pending", "retry", "parked"))
    assert prune(store, LIMITS).envelopes == 1
    [issue] = all_issues(app).values()
    assert (issue["stored_event_count"], issue["times_seen"]) == (2, 3)
    with store.read() as conn:
        assert accounting.accounting(conn)["balanced"]


def test_envelope_that_is_replayed_after_it_was_chosen_stays(app: Flask) -> None:
    store = parts_of(app).store
    message(app)
    message(app)
    chosen = list(candidates(store))
    assert [one.id for one in chosen] == [1, 2]
    set_states(store, ("pending",))
    assert remove(store, chosen) == 1
    with store.read() as conn:
        assert list(conn.scalars(select(envelopes.c.id))) == [1]


def test_issue_whose_client_has_a_clock_ahead_goes_too(app: Flask) -> None:
    with time_machine.travel(LONG_AGO):
        late = (utc_now() + timedelta(days=9000)).isoformat()
        accept(app, Item({"type": "event"}, {"message": "ahead", "timestamp": late}))
    prune(parts_of(app).store, LIMITS)
    assert rows_of(parts_of(app).store, issues) == 0


# ---- what a person decided ----------------------------------------------------------------------


def decide(app: Flask) -> None:
    """Have an issue of each kind that outlives its events, and one that does not."""
    store = parts_of(app).store
    for type in ("Ignored", "Resolved", "Commented", "Open"):
        error(app, type)
    message(app)
    ids = {type: issue["id"] for type, issue in all_issues(app).items()}
    read_unread(store, 100)
    with store.write() as conn:
        triage.ignore(conn, [ids["Ignored"], ids["message"]], "ada")
        triage.set_status(conn, [ids["Resolved"]], "resolved", "ada", fix=triage.Fix(in_next=True))
        triage.comment(conn, ids["Commented"], "known at the bank", "ada")


def test_what_a_person_decided_outlives_the_events_without_personal_data(app: Flask) -> None:
    store = parts_of(app).store
    with time_machine.travel(LONG_AGO):
        decide(app)
    prune(store, LIMITS)
    found = all_issues(app)
    assert {type: issue["status"] for type, issue in found.items()} == {
        "Ignored": "ignored",
        "Resolved": "resolved",
        "Commented": "unresolved",
        "message": "ignored",
    }
    assert {found[type]["title"] for type in ("Ignored", "Commented")} == {"Ignored", "Commented"}
    assert "no order of" in found["message"]["title"]
    assert all(issue["times_seen"] == 1 for issue in found.values())
    stored = contents(store)
    assert WHO not in stored and ADDRESS not in stored
    assert "known at the bank" in stored
    client = app.test_client()
    issue_id = found["Commented"]["id"]
    history = client.get(f"/api/issues/{issue_id}/transitions").json["transitions"]
    assert [(row["kind"], row["actor"]) for row in history] == [
        ("commented", "ada"),
        ("first_seen", None),
    ]


def test_kept_issue_can_be_read_everywhere(app: Flask, admin_client: FlaskClient) -> None:
    with time_machine.travel(LONG_AGO):
        decide(app)
    prune(parts_of(app).store, LIMITS)
    client = app.test_client()
    for issue in all_issues(app).values():
        page = admin_client.get(f"/admin/issues/{issue['id']}")
        assert page.status_code == 200
        assert "Its events are no longer kept" in page.text
        for part in ("", "/tags", "/users", "/transitions", "/similar"):
            answer = client.get(f"/api/issues/{issue['id']}{part}")
            assert answer.status_code == 200, part
    assert admin_client.get("/admin/issues?status=all").status_code == 200


def test_kept_issue_that_is_seen_again_is_never_new(app: Flask) -> None:
    store = parts_of(app).store
    with time_machine.travel(LONG_AGO):
        decide(app)
        before = {type: issue["id"] for type, issue in all_issues(app).items()}
    prune(store, LIMITS)
    for type in ("Ignored", "Resolved", "Commented", "Open"):
        error(app, type, release="shop@2")
    message(app)
    found = all_issues(app)
    assert {type: (issue["status"], issue["regressed"]) for type, issue in found.items()} == {
        "Ignored": ("ignored", False),
        "Resolved": ("unresolved", True),
        "Commented": ("unresolved", False),
        "message": ("ignored", False),
        "Open": ("unresolved", False),
    }
    kept = before.keys() - {"Open"}
    assert {type: found[type]["id"] for type in kept} == {type: before[type] for type in kept}
    assert found["Commented"]["title"].startswith("Commented: ")
    assert found["Commented"]["grouping"]["key"].startswith("Commented")
    assert found["Commented"]["times_seen"] == 2
    # It is compared with others again.
    read_unread(store, 100)
    assert rows_of(store, issue_similarity) == 5
    with store.read() as conn:
        assert "" not in set(conn.scalars(select(issue_similarity.c.terms)))
    # And is pruned again when that time is over.
    with time_machine.travel(utc_now() + timedelta(days=400)):
        prune(store, LIMITS)
    assert WHO not in contents(store)


def test_rows_that_outlive_their_events_are_bounded(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.intake.expired_issues.MAX_KEPT", 2)
    store = parts_of(app).store
    for day in range(4):
        with time_machine.travel(f"2025-01-0{day + 1}T00:00:00Z"):
            error(app, f"Error{'ABCD'[day]}")
            with store.write() as conn:
                triage.ignore(conn, [day + 1], "ada")
        with time_machine.travel(f"2025-04-1{day}T00:00:00Z"):
            prune(store, Limits(days=80, events=0, bytes=0))
    assert sorted(all_issues(app)) == ["ErrorC", "ErrorD"]


# ---- bounds -------------------------------------------------------------------------------------


def test_history_of_an_issue_is_bounded_and_keeps_its_comments(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.issues.history.MAX_HISTORY", 5)
    store = parts_of(app).store
    message(app)
    with store.write() as conn:
        triage.comment(conn, 1, "look at it", "ada")
        for _ in range(20):
            triage.resolve(conn, [1], "ada")
            triage.reopen(conn, [1], "ada")
        conn.execute(update(transitions).values(alerts_due=None))
    prune(store, Limits(days=0, events=0, bytes=0))
    with store.read() as conn:
        kinds = list(conn.scalars(select(transitions.c.kind).order_by(transitions.c.id)))
    newest = ["reopened", "resolved", "reopened", "resolved", "reopened"]
    assert kinds == ["first_seen", "commented", *newest]


def of_sessions(app: Flask, count: int, release: str) -> None:
    attributes = {"release": release}
    for number in range(count):
        sid = f"{release}{number}".encode().hex().zfill(32)
        payload = {"sid": sid, "did": f"user {number}", "init": True, "attrs": attributes}
        accept(app, Item({"type": "session"}, payload))


def test_users_of_sessions_are_bounded_by_project_and_day(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.stats.sessions.MAX_USERS_A_DAY", 6)
    monkeypatch.setattr("app.stats.sessions.LOOKS_AFTER", 2)
    for release in ("a", "b", "c"):
        of_sessions(app, 4, release)
    # Two of each new series come before its day is looked at again.
    assert rows_of(parts_of(app).store, session_users) <= 6 + 2
    of_sessions(app, 4, "a")
    assert rows_of(parts_of(app).store, session_users) <= 6 + 2


def test_users_of_old_sessions_go_where_a_project_has_too_many(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.stats.session_expiry.MAX_USERS_KEPT", 5)
    store = parts_of(app).store
    for days in (3, 2, 1):
        with time_machine.travel(utc_now() - timedelta(days=days)):
            of_sessions(app, 2, f"shop@{days}")
    prune(store, Limits(days=0, events=0, bytes=0))
    with store.read() as conn:
        query = select(session_series.c.release, session_series.c.users)
        left = {release: users for release, users in conn.execute(query)}
    assert left == {"shop@3": 0, "shop@2": 2, "shop@1": 2}
    assert rows_of(store, session_users) == 4


@pytest.mark.parametrize("named", [by.name for _, tables in bounded() for by in tables])
def test_rows_of_series_are_bounded_in_all_and_the_oldest_days_lose_theirs(
    app: Flask, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    monkeypatch.setattr("app.stats.row_bounds.MAX_ROWS", 4)
    store = parts_of(app).store
    create_project(store, "Honest", 2, "b" * 32)
    series, table = next((s, by) for s, tables in bounded() for by in tables if by.name == named)
    today, ids = utc_now().date(), {}
    with store.write() as conn:
        for project_id, days in ((1, 3), (1, 2), (1, 1), (2, 3)):
            row = filled(series, project_id=project_id, day=today - timedelta(days=days))
            number = conn.execute(series.insert().values(row)).inserted_primary_key[0]
            ids[project_id, days] = number
            for moment in range(2):
                time_name = "hour" if "hour" in table.c else "minute"
                row = filled(table, series_id=number, **{time_name: moment * 60})
                conn.execute(table.insert().values(row))
    bound_rows(store)
    with store.read() as conn:
        left = set(conn.scalars(select(table.c.series_id)))
    assert left == {ids[1, 2], ids[1, 1], ids[2, 3]}


def filled(table: Table, **given: object) -> dict[str, object]:
    """Return a row with something in each column that has to have a value."""
    row: dict[str, object] = {}
    for column in table.c:
        if column.name in given:
            row[column.name] = given[column.name]
        elif not column.nullable and column.server_default is None and column.name != "id":
            kind = column.type.python_type
            row[column.name] = utc_now() if kind is datetime else kind()
    return row


def test_sessions_that_may_change_are_bounded_and_the_oldest_go(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.stats.row_bounds.MAX_KNOWN_SESSIONS", 5)
    store, now = parts_of(app).store, utc_now()
    for minutes in (30, 20, 10):
        with time_machine.travel(now - timedelta(minutes=minutes)):
            of_sessions(app, 2, f"shop@{minutes}")
    bound_rows(store)
    with store.read() as conn:
        left = list(conn.scalars(select(known_sessions.c.minute)))
    assert (len(left), min(left)) == (4, int((now - timedelta(minutes=20)).timestamp()) // 60)


# ---- stores of earlier versions -----------------------------------------------------------------


def test_upgraded_store_knows_which_releases_have_events_and_ages_as_a_new_one(
    tmp_path: Path,
) -> None:
    store = Store(f"sqlite:///{tmp_path / 'store.sqlite3'}")
    with store.write(foreign_keys=False) as conn:
        config = AlembicConfig(attributes={"connection": conn})
        config.set_main_option("script_location", str(MIGRATIONS))
        command.upgrade(config, "0015")
    with store.write() as conn:
        for version in ("of an event", "of an issue", "of sessions"):
            row = "INSERT INTO releases (project_id, version) VALUES (1, :version)"
            conn.execute(text(row), {"version": version})
        for statement in _OF_0015:
            conn.execute(text(statement))
    store.migrate()
    with store.read() as conn:
        named = select(releases.c.version).where(releases.c.has_events).order_by(releases.c.id)
        assert list(conn.scalars(named)) == ["of an event", "of an issue"]
    assert prune(store, LIMITS).envelopes == 1
    assert rows_of(store, issues) == rows_of(store, envelopes) == 0
    store.dispose()


_OF_0015 = (
    "INSERT INTO envelopes (id, uid, project_id, item_types, state, received_at, size_bytes, body)"
    " VALUES (1, 'u', 1, 'event', 'local', '2025-01-01 00:00:00', 1, 'x')",
    "INSERT INTO issues (id, project_id, grouping_version, grouping_hash, grouping_key, title,"
    " culprit, type, level, times_seen, stored_event_count, users, first_seen, last_seen,"
    " first_release) VALUES (1, 1, '1', 'h', 'k', 't', 'c', 'message', 'error', 1, 1, 0,"
    " '2025-01-01 00:00:00', '2025-01-01 00:00:00', 'of an issue')",
    "INSERT INTO events (event_id, project_id, issue_id, envelope_id, level, title, culprit,"
    " release, timestamp, received_at, stored_at, scrub_ms, scrubbed, duplicates) VALUES ('e', 1,"
    " 1, 1, 'error', 't', 'c', 'of an event', '2025-01-01 00:00:00', '2025-01-01 00:00:00',"
    " '2025-01-01 00:00:00', 0, '[]', 0)",
)


# ---- indexes ------------------------------------------------------------------------------------


def test_every_foreign_key_has_an_index_that_begins_with_it() -> None:
    """Or each row that is deleted has the whole table of its children read."""
    missing = []
    for table in metadata.sorted_tables:
        leading = [tuple(column.name for column in table.primary_key)[:1]]
        leading += [tuple(column.name for column in index.columns)[:1] for index in table.indexes]
        leading += [
            tuple(column.name for column in constraint.columns)[:1]  # type: ignore[attr-defined]
            for constraint in table.constraints
            if hasattr(constraint, "columns") and type(constraint).__name__ == "UniqueConstraint"
        ]
        for key in table.foreign_keys:
            if (key.parent.name,) not in leading:
                missing.append(f"{table.name}.{key.parent.name}")
    assert missing == []
