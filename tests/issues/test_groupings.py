"""A new version of the rules splits no issue, and what is attached is nothing new."""

from __future__ import annotations

import functools
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config as AlembicConfig
from flask import Flask
from sqlalchemy import func, select, text, update

from app.issues.grouping import Grouping
from app.issues.groupings import OLDER_DAYS, find_groupings, groupings_of
from app.issues.occurrence import Occurrence
from app.issues.queries import list_issues, transitions_of
from app.issues.recording import Recorded, record_occurrences
from app.issues.tables import groupings, older_groupings
from app.store import Store, utc_now
from app.store.migrations import MIGRATIONS
from tests.conftest import parts_of
from tests.issues.test_recording import occurrence


@pytest.fixture
def store(app: Flask) -> Store:
    return parts_of(app).store


def seen_by(new: str, old: str) -> Occurrence:
    """An event that the rules of this version give one key, and those before another."""
    one = occurrence(new)
    return replace(one, grouping=Grouping("2", new), older=functools.partial(Grouping, "1", old))


def record(store: Store, *occurrences: Occurrence, limit: int = 0) -> list[Recorded]:
    with store.write() as conn:
        return record_occurrences(conn, list(occurrences), max_new_an_hour=limit)


def made_before(store: Store, *keys: str) -> list[int]:
    """Have issues as the version before made them, and its project known for that."""
    found = record(store, *(replace(occurrence(key), grouping=Grouping("1", key)) for key in keys))
    with store.write() as conn:
        conn.execute(older_groupings.insert().values(project_id=1, matched_at=utc_now()))
    return [one.issue_id for one in found]


def kinds(store: Store, issue_id: int) -> list[str]:
    with store.read() as conn:
        return [row.kind for row in transitions_of(conn, issue_id)]


def test_event_with_a_new_key_goes_to_the_issue_that_the_old_key_knows(store: Store) -> None:
    (issue,) = made_before(store, "old")
    assert record(store, seen_by("new", "old"))[0][:2] == (issue, False)
    assert record(store, seen_by("new", "other"))[0].issue_id == issue
    with store.read() as conn:
        found = {(row.version, row.key): row.times_seen for row in groupings_of(conn, issue)}
        assert [row.times_seen for row in list_issues(conn)] == [3]
    assert found == {("1", "old"): 1, ("2", "new"): 2}
    assert kinds(store, issue) == ["first_seen"]


def test_what_was_glued_stays_glued_and_what_was_split_is_not_glued(store: Store) -> None:
    glued, split = made_before(store, "glued", "split")
    first = record(store, seen_by("a", "glued"), seen_by("b", "glued"))
    assert [one.issue_id for one in first] == [glued, glued]
    assert record(store, seen_by("c", "split"))[0].issue_id == split
    assert record(store, seen_by("c", "glued"))[0].issue_id == split


def test_error_that_neither_version_knows_makes_one_issue(store: Store) -> None:
    made_before(store, "old")
    first, again = record(store, seen_by("new", "unknown"), seen_by("new", "unknown"))
    assert (first.is_first, again.is_first) == (True, False)
    assert first.issue_id == again.issue_id


def test_attached_keys_do_not_count_as_new_issues(store: Store) -> None:
    ids = made_before(store, *"abc")
    found = record(store, *(seen_by(f"new {key}", key) for key in "abc"), limit=1)
    assert [one.issue_id for one in found] == ids


def test_old_rules_are_asked_no_more_when_they_led_nowhere_for_long(store: Store) -> None:
    made_before(store, "old")
    with store.write() as conn:
        long_ago = utc_now() - timedelta(days=OLDER_DAYS + 1)
        conn.execute(update(older_groupings).values(matched_at=long_ago))

    def fail() -> Grouping:
        raise AssertionError("the old rules were asked")

    one = replace(occurrence(), grouping=Grouping("2", "new"), older=fail)
    assert record(store, one)[0].is_first


def test_match_is_noted_so_that_the_old_rules_go_on_being_asked(store: Store) -> None:
    made_before(store, "old")
    with store.write() as conn:
        before = utc_now() - timedelta(days=OLDER_DAYS - 1)
        conn.execute(update(older_groupings).values(matched_at=before))
    record(store, seen_by("new", "old"))
    with store.read() as conn:
        noted = conn.scalar(select(older_groupings.c.matched_at))
    assert noted is not None and utc_now() - noted < timedelta(minutes=5)


def test_deleted_issue_has_no_groupings_and_its_error_is_new_again(
    app: Flask, store: Store
) -> None:
    from app.issues import triage

    (one,) = record(store, seen_by("new", "old"))
    with store.write() as conn:
        triage.delete(conn, [one.issue_id])
        assert conn.scalar(select(func.count()).select_from(groupings)) == 0
    assert record(store, seen_by("new", "old"))[0].is_first


_OF_0021 = (
    "INSERT INTO envelopes (id, uid, project_id, item_types, state, received_at, size_bytes, body)"
    " VALUES (1, 'u', 1, 'event', 'local', '2026-11-01 00:00:00', 1, 'x')",
    "INSERT INTO issues (id, project_id, grouping_version, grouping_hash, grouping_key, title,"
    " culprit, type, level, status, times_seen, stored_event_count, users, first_seen, last_seen)"
    " VALUES (7, 1, '1', 'h7', 'k7', 't', 'c', 'message', 'error', 'ignored', 5, 1, 0,"
    " '2026-11-01 00:00:00', '2026-11-02 00:00:00'), (8, 1, 'other', 'ho', '<other>', '<other>',"
    " 'c', '<other>', 'error', 'unresolved', 1, 0, 0, '2026-11-01 00:00:00',"
    " '2026-11-01 00:00:00'), (9, 1, '1', 'deleted:9', 'k9', 't', 'c', 'message', 'error',"
    " 'deleted', 1, 0, 0, '2026-11-01 00:00:00', '2026-11-01 00:00:00')",
    "INSERT INTO events (event_id, project_id, issue_id, envelope_id, level, title, culprit,"
    " timestamp, received_at, stored_at, scrub_ms, scrubbed, duplicates) VALUES ('e', 1, 7, 1,"
    " 'error', 't', 'c', '2026-11-01 00:00:00', '2026-11-01 00:00:00', '2026-11-01 00:00:00', 0,"
    " '[]', 0)",
    "INSERT INTO transitions (issue_id, at, kind) VALUES (7, '2026-11-01 00:00:00', 'ignored')",
)


def test_upgraded_store_keeps_its_issues_with_their_groupings(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'store.sqlite3'}")
    with store.write(foreign_keys=False) as conn:
        config = AlembicConfig(attributes={"connection": conn})
        config.set_main_option("script_location", str(MIGRATIONS))
        command.upgrade(config, "0021")
    with store.write() as conn:
        for statement in _OF_0021:
            conn.execute(text(statement))
    store.migrate()
    with store.read() as conn:
        known: dict[Any, Any] = find_groupings(conn, {(1, "1", "h7"), (1, "other", "ho")})
        assert {key[2]: one.issue_id for key, one in known.items()} == {"h7": 7, "ho": 8}
        assert conn.scalar(text("SELECT grouping_id FROM events")) == known[1, "1", "h7"].id
        listed = {row.id: (row.status, row.times_seen, row.is_other) for row in list_issues(conn)}
        assert len(transitions_of(conn, 7)) == 1
    assert listed == {7: ("ignored", 5, False), 8: ("unresolved", 1, True)}
    one = replace(occurrence(), grouping=Grouping("2", "x"), older=lambda: _Fixed("1", "k7"))
    assert record(store, one)[0].issue_id == 7
    store.dispose()


class _Fixed(Grouping):
    """The grouping of the issue that was there, whose hash is short."""

    @property
    def hash(self) -> str:
        return "h7"
