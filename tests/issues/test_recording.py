"""What recording an event makes of its issue: new, counted or back again; the counts beside it."""

from __future__ import annotations

import subprocess
import sys
import uuid
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select

from app.issues import counting, triage
from app.issues.counting import pairs_of
from app.issues.figures import hours_of
from app.issues.grouping import Grouping
from app.issues.occurrence import Occurrence
from app.issues.queries import find_issue, tags_of, transitions_of
from app.issues.recording import Recorded, record_occurrences
from app.issues.tables import issue_tags
from app.protocol.envelope import Envelope, Item
from app.protocol.event import Event
from app.store import Store, utc_now
from config import ROOT
from tests.conftest import parts_of


@pytest.fixture
def store(app: Flask) -> Store:
    return parts_of(app).store


def occurrence(key: str = "a", **fields: Any) -> Occurrence:
    event = Event(uuid.uuid4().hex, utc_now(), "error", message=key, **fields)
    return Occurrence(1, event, Grouping("0", key))


def record(store: Store, *occurrences: Occurrence) -> list[Recorded]:
    with store.write() as conn:
        return record_occurrences(conn, list(occurrences))


def history(store: Store, issue_id: int = 1) -> list[tuple[str, str | None]]:
    with store.read() as conn:
        return [(row.kind, row.event_id) for row in transitions_of(conn, issue_id)][::-1]


def kinds(store: Store, issue_id: int = 1) -> list[str]:
    return [kind for kind, _ in history(store, issue_id)]


def resolve(store: Store, issue_id: int = 1) -> None:
    with store.write() as conn:
        triage.resolve(conn, [issue_id], "ada")


def test_first_event_of_an_issue_is_told_apart_and_begins_its_history(store: Store) -> None:
    one, two, other = occurrence(release="shop@1"), occurrence(), occurrence("b")
    recorded = record(store, one, two, other)
    assert recorded == [Recorded(1, True, 1), Recorded(1, False, 1), Recorded(2, True, 2)]
    assert record(store, occurrence()) == [Recorded(1, False, 1)]
    assert history(store) == [("first_seen", one.event.event_id)]
    with store.read() as conn:
        assert transitions_of(conn, 1)[0].release == "shop@1"


def test_resolved_issue_that_recurs_is_regressed_by_one_row_for_a_whole_batch(
    store: Store,
) -> None:
    record(store, occurrence())
    resolve(store)
    batch = [occurrence(release="shop@2") for _ in range(50)]
    assert not any(recorded.is_first for recorded in record(store, *batch))
    record(store, occurrence())
    assert kinds(store) == ["first_seen", "resolved", "regressed"]
    assert history(store)[-1] == ("regressed", batch[0].event.event_id)
    with store.read() as conn:
        issue = find_issue(conn, 1)
    assert (issue.status, issue.regressed, issue.times_seen) == ("unresolved", True, 52)


def test_resolving_a_regressed_issue_lets_it_regress_again(store: Store) -> None:
    record(store, occurrence())
    for _ in range(2):
        resolve(store)
        with store.read() as conn:
            assert not find_issue(conn, 1).regressed
        record(store, occurrence())
    assert kinds(store).count("regressed") == 2


def test_ignored_issue_that_recurs_stays_ignored_and_is_counted(store: Store) -> None:
    record(store, occurrence())
    with store.write() as conn:
        triage.ignore(conn, [1], "ada")
    record(store, occurrence(), occurrence())
    with store.read() as conn:
        issue = find_issue(conn, 1)
    assert (issue.status, issue.regressed, issue.times_seen) == ("ignored", False, 3)
    assert kinds(store) == ["first_seen", "ignored"]


def test_transaction_that_fails_leaves_neither_count_nor_regression(store: Store) -> None:
    record(store, occurrence())
    resolve(store)
    with pytest.raises(ZeroDivisionError), store.write() as conn:
        record_occurrences(conn, [occurrence()])
        raise ZeroDivisionError
    with store.read() as conn:
        assert find_issue(conn, 1).status == "resolved"
    assert kinds(store) == ["first_seen", "resolved"]


SENDER = """
import sys
from pathlib import Path
from app.store import Store
from app.intake.emergency import EmergencyFolder
from app.intake import Intake
from app.protocol.envelope import Envelope, Item
from app.protocol.scrub import Scrubber

intake = Intake(Store(sys.argv[1]), EmergencyFolder(Path(sys.argv[2])), Scrubber())
print("ready", flush=True)
sys.stdin.readline()
for _ in range(10):
    envelope = Envelope({}, [Item({"type": "event"}, {"message": "again"})])
    intake.accept(envelope, project_id=1, timeout_s=30)
"""


def test_four_processes_that_see_it_recur_at_once_make_one_regression(app: Flask) -> None:
    parts = parts_of(app)
    envelope = Envelope({}, [Item({"type": "event"}, {"message": "again"})])
    parts.intake.accept(envelope, project_id=1, timeout_s=5)
    resolve(parts.store)
    url = parts.store.url.render_as_string(hide_password=False)
    command = [sys.executable, "-c", SENDER, url, str(parts.config.emergency_dir)]
    senders = [
        subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    for sender in senders:
        assert sender.stdout and sender.stdout.readline() == "ready\n"
    for sender in senders:
        assert sender.stdin
        sender.stdin.write("go\n")
        sender.stdin.flush()
    for sender in senders:
        sender.communicate(timeout=60)
        assert sender.returncode == 0
    assert kinds(parts.store) == ["first_seen", "resolved", "regressed"]
    with parts.store.read() as conn:
        assert find_issue(conn, 1).times_seen == 41


# ---- counts ------------------------------------------------------------------------------------


def test_hours_are_the_last_24_and_empty_ones_are_there(store: Store) -> None:
    with time_machine.travel("2026-11-23T10:59:00Z", tick=False):
        record(store, occurrence(), occurrence())
    with time_machine.travel("2026-11-24T08:01:00Z", tick=False):
        other = record(store, occurrence(), occurrence("b"))[1].issue_id
        record(store, occurrence())
        with store.read() as conn:
            hours = hours_of(conn, [1, other, 77], utc_now())
            later = hours_of(conn, [1], utc_now() + timedelta(hours=3))
    assert hours[1] == [0, 2, *[0] * 21, 2]
    assert (sum(hours[other]), sum(hours[77]), len(hours[77])) == (1, 0, 24)
    assert later[1] == [*[0] * 20, 2, 0, 0, 0]


def test_tags_are_counted_by_value_with_their_shares(store: Store) -> None:
    batch = [occurrence(environment="prod", tags={"shop": "books"}) for _ in range(3)]
    record(store, *batch, occurrence(tags={"shop": "toys", "empty": ""}))
    with store.read() as conn:
        tags = {tag.key: tag for tag in tags_of(conn, 1)}
    assert set(tags) == {"environment", "level", "shop"}
    assert [(v.value, v.times_seen, v.share) for v in tags["shop"].values] == [
        ("books", 3, 0.75),
        ("toys", 1, 0.25),
    ]
    assert tags["shop"].rest is None
    assert tags["environment"].times_seen == 3


def test_values_beyond_the_bound_share_one_row_and_the_old_ones_go_on(store: Store) -> None:
    for number in range(counting.MAX_VALUES + 30):
        record(store, occurrence(tags={"request": f"r{number:03}", "shop": "books"}))
    record(store, occurrence(tags={"request": "r000"}))
    with store.read() as conn:
        rows = select(func.count()).where(issue_tags.c.key == "request")
        assert conn.execute(rows).scalar_one() == counting.MAX_VALUES + 1
        tags = {tag.key: tag for tag in tags_of(conn, 1)}
    assert tags["request"].values[0][:2] == ("r000", 2)
    assert tags["request"].times_seen == counting.MAX_VALUES + 31
    assert tags["request"].rest.times_seen == counting.MAX_VALUES + 31 - 6
    assert all(value.value for value in tags["request"].values)
    assert tags["shop"].times_seen == counting.MAX_VALUES + 30


def test_keys_beyond_the_bound_are_left_out(store: Store) -> None:
    for number in range(counting.MAX_KEYS + 20):
        record(store, occurrence(tags={f"key{number:03}": "x"}))
    with store.read() as conn:
        keys = [tag.key for tag in tags_of(conn, 1)]
    assert len(keys) == counting.MAX_KEYS and "level" in keys


def test_hostile_tags_are_cut_and_one_event_has_no_more_than_its_share() -> None:
    event = occurrence(tags={f"k{n}" + "x" * 500: "v" * 5000 for n in range(500)}).event
    pairs = pairs_of(event)
    assert len(pairs) == counting.MAX_KEYS
    assert max(len(key) for key, _ in pairs) == 64 and max(len(v) for _, v in pairs) == 200
