"""What is kept of logs: age and bytes of their own, bodies that go, projects that are removed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from app.delivery.accounting import accounting
from app.events.tables import envelopes, events
from app.intake.read_logs import remove_read_logs
from app.intake.removed_projects import remove_project_data
from app.intake.retention import Limits, prune
from app.projects import create_project
from app.protocol.envelope import Envelope, Item
from app.signals.logs import blocks
from app.signals.logs.expiry import bytes_of_lines, expire_lines
from app.signals.logs.line import Line
from app.signals.logs.merging import merge_blocks
from app.signals.logs.removing import remove_lines
from app.signals.logs.signal import write_lines
from app.signals.logs.tables import log_blocks, log_lines
from app.store import Store, utc_now
from tests.conftest import Parts, parts_of
from tests.signals.logs.steps import ago, entry, found, send

NO_LIMITS = Limits(0, 0, 0)


@pytest.fixture
def parts(app: Flask) -> Parts:
    return parts_of(app)


def count(store: Store, *tables: object) -> list[int]:
    with store.read() as conn:
        return [conn.scalar(select(func.count()).select_from(table)) for table in tables]


def check_blocks(store: Store) -> None:
    """Compare the counts of the blocks with the lines."""
    with store.read() as conn:
        of_blocks = select(func.sum(log_blocks.c.lines), func.sum(log_blocks.c.size_bytes))
        of_lines = select(func.count(), func.sum(log_lines.c.size_bytes))
        assert tuple(conn.execute(of_blocks).one()) == tuple(conn.execute(of_lines).one())


def test_lines_older_than_their_days_go_and_errors_stay(parts: Parts) -> None:
    send(parts, *(entry(f"day {n}", ago(days=n, minutes=1)) for n in range(1, 6)))
    error = Envelope({}, [Item({"type": "event"}, {"message": "old error"})])
    parts.intake.accept(error, project_id=1, timeout_s=5)
    prune(parts.store, replace(NO_LIMITS, log_days=3))
    assert found(parts) == ["day 1", "day 2"]
    assert count(parts.store, events) == [1]
    check_blocks(parts.store)


@pytest.mark.one_database
def test_lines_beyond_their_bytes_go_oldest_first_and_no_more_than_needed(parts: Parts) -> None:
    send(parts, *(entry(f"line {n:04}", ago(minutes=2000 - n)) for n in range(900)))
    with parts.store.read() as conn:
        size = bytes_of_lines(conn)
    limit = size * 2 // 3
    expire_lines(parts.store, 0, limit, utc_now())
    left = found(parts)
    assert left == [f"line {n:04}" for n in range(899, 899 - len(left), -1)]
    assert limit - size / 900 < size / 900 * len(left) <= limit
    check_blocks(parts.store)


def test_project_with_many_lines_pushes_out_none_of_projects_with_few(parts: Parts) -> None:
    few, some = (create_project(parts.store, name).id for name in ("few", "some"))
    counts = {few: 30, some: 200, 1: 700}
    for project_id, lines in counts.items():
        # Those of the small projects are older than all of the large one.
        times = [ago(minutes=2000 * (project_id != 1) + lines - n) for n in range(lines)]
        send(
            parts,
            *(entry(f"{n:03}", at) for n, at in enumerate(times)),
            project_id=project_id,
        )
    with parts.store.read() as conn:
        size = bytes_of_lines(conn) // 930

    def left() -> dict[int, int]:
        bodies = {project_id: found(parts, project_id=project_id) for project_id in counts}
        for project_id, own in bodies.items():
            last = counts[project_id] - 1
            assert own == [f"{n:03}" for n in range(last, last - len(own), -1)]
        return {project_id: len(own) for project_id, own in bodies.items()}

    # Room for 600 lines of which 200 are a share: the largest project has what the others leave.
    expire_lines(parts.store, 0, 600 * size, utc_now())
    assert left() == {few: 30, some: 200, 1: 370}
    expire_lines(parts.store, 0, 330 * size, utc_now())
    assert left() == {few: 30, some: 150, 1: 150}
    expire_lines(parts.store, 0, 330 * size, utc_now())
    assert sum(left().values()) == 330
    check_blocks(parts.store)
    expire_lines(parts.store, 0, 12 * size, utc_now())
    assert left() == {few: 4, some: 4, 1: 4}
    check_blocks(parts.store)


def test_few_lines_that_are_left_share_a_block_and_are_found(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "MAX_LINES", 20)
    monkeypatch.setattr(blocks, "STEP", 10)
    other, now = create_project(parts.store, "few").id, utc_now()
    lines = [
        Line(1 if n % 10 else other, now - timedelta(seconds=n), "info", f"line {n:03}")
        for n in range(600, 0, -1)
    ]
    with parts.store.write() as conn:
        write_lines(conn, lines)
    before = count(parts.store, log_blocks)[0]
    remove_lines(parts.store, log_lines.c.project_id == 1)
    few = [f"line {n:03}" for n in range(10, 601, 10)]
    assert found(parts, "line") == few and found(parts, "500") == ["line 500"]
    assert before == 30 and count(parts.store, log_blocks)[0] < 15
    check_blocks(parts.store)
    after = count(parts.store, log_blocks)
    assert merge_blocks(parts.store) == 0 and count(parts.store, log_blocks) == after
    with parts.store.write() as conn:
        write_lines(conn, [Line(other, now - timedelta(seconds=305), "info", "line late")])
    assert found(parts, "line")[30] == "line late"


def test_body_goes_when_it_is_local_and_read_and_the_accounting_stays_right(parts: Parts) -> None:
    send(parts, entry("one"), entry("two"))
    error = Envelope({}, [Item({"type": "event"}, {"message": "an error"})])
    parts.intake.accept(error, project_id=1, timeout_s=5)
    unread = Envelope({}, [Item({"type": "log"}, {"items": [entry("unread")]})])
    parts.intake.accept(unread, project_id=1, timeout_s=5)
    assert remove_read_logs(parts.store) == 1
    assert count(parts.store, envelopes, events) == [2, 1]
    assert set(found(parts)) == {"one", "two"}
    with parts.store.read() as conn:
        assert accounting(conn)["balanced"], accounting(conn)


@pytest.mark.one_database
@pytest.mark.parametrize(("state", "is_removed"), [("delivered", 1), ("pending", 0), ("parked", 0)])
def test_body_stays_until_sentry_has_it(parts: Parts, state: str, is_removed: int) -> None:
    send(parts, entry("one"))
    with parts.store.write() as conn:
        conn.execute(update(envelopes).values(state=state))
    assert remove_read_logs(parts.store) == is_removed
    assert found(parts) == ["one"]


def test_body_whose_lines_cannot_be_read_stays(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("no line can be read")

    monkeypatch.setattr("app.signals.logs.signal.read_lines", fail)
    send(parts, entry("one"))
    monkeypatch.undo()
    send(parts, entry("two"))
    assert remove_read_logs(parts.store) == 1
    assert count(parts.store, envelopes) == [1] and found(parts) == ["two"]


@pytest.mark.parametrize("state", ["local", "discarded", "delivered"])
def test_body_with_more_than_its_lines_stays_unless_sentry_has_it(parts: Parts, state: str) -> None:
    send(parts, entry("long " * 3000))
    send(parts, *(entry(f"line {number}") for number in range(1001)))
    with parts.store.write() as conn:
        conn.execute(update(envelopes).values(state=state))
    kept = 0 if state == "delivered" else 2
    assert remove_read_logs(parts.store) == 2 - kept
    assert count(parts.store, envelopes, log_lines) == [kept, 1001]


def test_lines_of_a_removed_project_go_with_it(parts: Parts) -> None:
    other = create_project(parts.store, "shop").id
    times = [ago(seconds=n) for n in range(300)]
    send(parts, *(entry("ours", at) for at in times))
    send(parts, *(entry("theirs", at) for at in times), project_id=other)
    assert remove_project_data(parts.store, parts.destinations, other)
    assert set(found(parts)) == {"ours"}
    check_blocks(parts.store)
