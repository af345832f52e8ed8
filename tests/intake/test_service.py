"""The intake under stress: bounded waits, transactions, the emergency folder, the accounting."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sentry_sdk
from flask import Flask

from app import sentry
from app.delivery import accounting
from app.intake import Intake
from app.intake.batching import Buffer, GroupCommit, _Ticket
from app.intake.prepared import Prepared
from app.protocol.envelope import Envelope, Item
from app.store import StoreBusy, StoreUnavailable, utc_now
from app.web import access
from tests.conftest import parts_of


def titles(app: Flask) -> list[str]:
    events = app.test_client().get("/api/events").json["events"]
    return [event["title"] for event in reversed(events)]


def envelope(event_id: str, message: str = "hello") -> Envelope:
    payload = {"event_id": event_id, "message": message}
    return Envelope({"event_id": event_id}, [Item({"type": "event"}, payload)])


def wait_until(condition: Callable[[], bool], timeout_s: float = 15.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


# ---- waiting ------------------------------------------------------------------------------------


def test_error_raised_inside_an_open_write_transaction_is_answered_and_comes_back(
    app: Flask,
) -> None:
    store = parts_of(app).store

    def fails() -> None:
        with store.write():
            raise RuntimeError("inside my own transaction")

    app.add_url_rule("/fails", "fails", access.anyone(fails))
    answer = app.test_client().get("/fails")
    assert (answer.status_code, bool(answer.json["event_id"])) == (500, True)
    wait_until(lambda: titles(app) == ["RuntimeError: inside my own transaction"])


def test_error_logged_inside_an_open_write_transaction_waits_bounded_and_comes_back(
    app: Flask,
) -> None:
    parts = parts_of(app)
    with parts.store.write():
        event_id = sentry.capture_message("logged inside")
        assert parts.intake.emergency.count() == 1
    wait_until(lambda: titles(app) == ["logged inside"])
    event = app.test_client().get(f"/api/events/{event_id}").json
    assert event["event_id"] == event_id
    assert parts.intake.emergency.count() == 0
    sentry.capture_message("the next commit counts what was set aside")
    counters = app.test_client().get("/system/status").json["counters"]
    assert counters["emergency:set_aside"] == 1


def test_store_that_another_program_holds_costs_a_bounded_wait(
    make_app: Callable[..., Flask], tmp_path: Path
) -> None:
    path = tmp_path / "held.sqlite3"
    app = make_app(DATABASE_URL=f"sqlite:///{path}")
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    assert sentry.capture_message("meanwhile")
    assert parts_of(app).intake.emergency.count() == 1
    holder.execute("ROLLBACK")
    holder.close()
    wait_until(lambda: titles(app) == ["meanwhile"])


def test_store_that_is_gone_leaves_answers_as_they_were_and_events_in_the_emergency_folder(
    make_app: Callable[..., Flask], tmp_path: Path
) -> None:
    (tmp_path / "a-file").write_text("")
    app = make_app(DATABASE_URL=f"sqlite:///{tmp_path}/a-file/store.sqlite3")
    app.add_url_rule("/fine", "fine", access.anyone(lambda: "fine"))
    client = app.test_client()
    assert client.get("/fine").text == "fine"
    answer = client.get("/sentry-debug")
    assert answer.status_code == 500 and answer.json["event_id"]
    assert parts_of(app).intake.emergency.count() == 1


def test_accept_raises_while_the_store_is_held(app: Flask) -> None:
    parts = parts_of(app)
    with parts.store.write(), pytest.raises(StoreBusy):
        parts.intake.accept(envelope("a" * 32), project_id=1, timeout_s=0.05)
    assert titles(app) == []


# ---- the emergency folder -----------------------------------------------------------------------


def test_what_a_dead_process_set_aside_is_taken_in_at_the_next_start(
    make_app: Callable[..., Flask],
) -> None:
    app = make_app()
    parts = parts_of(app)
    body = b'{"event_id":"%s"}\n{"type":"event"}\n{"message":"left behind"}\n' % (b"b" * 32)
    receipt = [{"path": "extra.token", "rule": "name"}]
    parts.intake.emergency.put("c" * 32, 1, parts.started_at, body, receipt)
    parts.intake.emergency.put("c" * 32, 1, parts.started_at, body, receipt)
    again = make_app()
    assert titles(again) == ["left behind"]
    event = again.test_client().get(f"/api/events/{'b' * 32}").json
    assert event["scrubbed"] == receipt
    assert parts.intake.emergency.count() == 0


def test_envelope_taken_in_twice_is_stored_once(app: Flask) -> None:
    parts = parts_of(app)
    body = b'{}\n{"type":"session"}\n{"sid":"1"}\n'
    for _ in range(2):
        parts.intake.emergency.put("d" * 32, 1, parts.started_at, body, [])
        parts.intake.recover()
    accounting = app.test_client().get("/system/status").json["accounting"]
    assert (accounting["accepted"], accounting["balanced"]) == (1, True)


@pytest.mark.parametrize("content", [b"", b"{}", b'{"uid": 1', b"\x00\xff"])
def test_damaged_file_is_put_out_of_the_way_and_blocks_nothing(app: Flask, content: bytes) -> None:
    parts = parts_of(app)
    folder = parts.intake.emergency.path
    parts.intake.emergency.put("e" * 32, 1, parts.started_at, b'{}\n{"type":"event"}\n{}\n', [])
    (folder / "damaged.envelope").write_bytes(content)
    record = json.loads((folder / f"{'e' * 32}.envelope").read_bytes())
    (folder / "poison.envelope").write_text(json.dumps(record | {"project_id": 999, "uid": "f"}))
    assert parts.intake.recover() == 1
    assert sorted(path.suffix for path in folder.iterdir()) == [".damaged", ".damaged"]
    assert titles(app) == ["(no message)"]


def test_nothing_writable_puts_the_event_on_stderr_and_counts_it(
    make_app: Callable[..., Flask], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a-file").write_text("")
    app = make_app(EMERGENCY_DIR=tmp_path / "a-file" / "emergency")
    with parts_of(app).store.write():
        sentry.capture_message("nowhere to go")
    assert "devenviro: event on stderr" in capsys.readouterr().err
    sentry.capture_message("the next one")
    assert app.test_client().get("/system/status").json["counters"]["emergency:stderr"] == 1


# ---- sharing transactions -----------------------------------------------------------------------


def test_many_threads_capture_at_once_and_each_event_is_there_once(app: Flask) -> None:
    intake = parts_of(app).intake
    barrier = threading.Barrier(8)

    def send(worker: int) -> None:
        barrier.wait()
        for i in range(25):
            intake.accept(envelope(f"{worker:016x}{i:016x}"), project_id=1, timeout_s=20)

    threads = [threading.Thread(target=send, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    client = app.test_client()
    events = client.get("/api/events?limit=1000").json["events"]
    assert len({event["event_id"] for event in events}) == len(events) == 200
    issues = client.get("/api/issues").json["issues"]
    assert [issue["times_seen"] for issue in issues] == [200]
    assert client.get("/system/status").json["accounting"]["balanced"]


def test_same_event_id_twice_is_one_row_and_a_counter(app: Flask) -> None:
    intake = parts_of(app).intake
    first = intake.accept(envelope("a" * 32), project_id=1, timeout_s=5)
    second = intake.accept(envelope("a" * 32, "another text"), project_id=1, timeout_s=5)
    assert (first.duplicate, second.duplicate) == (False, True)
    client = app.test_client()
    assert titles(app) == ["hello"]
    assert client.get(f"/api/events/{'a' * 32}").json["duplicates"] == 1
    status = client.get("/system/status").json
    assert status["counters"]["duplicates"] == 1
    assert (status["accounting"]["accepted"], status["accounting"]["balanced"]) == (1, True)


def test_accepting_a_batch_reads_no_table_from_end_to_end(
    make_app: Callable[..., Flask], tmp_path: Path
) -> None:
    parts = parts_of(make_app(DATABASE_URL=f"sqlite:///{tmp_path / 'plans.sqlite3'}"))
    sent: list[str] = []
    batch = [prepared_of(parts.intake, one) for one in one_of_each_kind()]
    with parts.store.write() as conn:  # The next write has the same connection.
        conn.connection.dbapi_connection.set_trace_callback(sent.append)
    parts.intake._commit(lambda: batch, timeout_s=5.0)
    asked = [one for one in sent if not one.startswith(("BEGIN", "COMMIT", "ROLLBACK"))]
    assert len(asked) > 20
    with parts.store.read() as conn:
        driver = conn.connection.dbapi_connection
        for statement in asked:
            plan = driver.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()
            steps = [step for *_, step in plan if "CONSTANT ROW" not in step]
            assert not [step for step in steps if step.startswith("SCAN")], (statement, steps)


def one_of_each_kind() -> list[Envelope]:
    """Two events, and whatever else is counted or kept beside its envelope, twice each."""
    now = utc_now().timestamp()
    request = {"transaction": "GET /", "start_timestamp": now - 1, "timestamp": now}
    asked = {"op": "gen_ai.chat", "trace_id": "c" * 32, "span_id": "d" * 16, **request}
    said = {"event_id": "f" * 32, "name": "Ada", "comments": "it broke"}
    measured = {"name": "latency", "type": "distribution", "value": 3.5, "timestamp": now}
    visit = {"sid": "e" * 32, "did": "ada", "init": True, "attrs": {"release": "1.0"}}
    items = {
        "session": visit,
        "transaction": request | {"spans": [asked]},
        "user_report": said,
        "trace_metric": {"items": [measured]},
    }
    return [
        envelope("a" * 32, "one"),
        envelope("b" * 32, "another"),
        *(
            Envelope({"event_id": digit * 32}, [Item({"type": kind}, payload)])
            for kind, payload in items.items()
            for digit in "cd"
        ),
    ]


def prepared_of(intake: Intake, envelope: Envelope) -> Prepared:
    return intake.prepare(envelope, project_id=1)


def test_poisoned_item_fails_alone() -> None:
    entered, release = threading.Event(), threading.Event()

    def commit(take: Callable[[], list[str]], timeout_s: float) -> list[str]:
        items = take()
        if items == ["first"]:
            entered.set()
            release.wait(5)
        if "poison" in items:
            raise ValueError("poison")
        return [item.upper() for item in items]

    group: GroupCommit[str, str] = GroupCommit(commit)
    outcomes: dict[str, object] = {}

    def submit(item: str) -> None:
        try:
            outcomes[item] = group.submit(item, 5.0)
        except ValueError as error:
            outcomes[item] = error

    threads = [threading.Thread(target=submit, args=("first",))]
    threads[0].start()
    entered.wait(5)
    threads += [threading.Thread(target=submit, args=(item,)) for item in ("a", "poison", "b")]
    for thread in threads[1:]:
        thread.start()
    wait_until(lambda: len(group._waiting) == 3)
    release.set()
    for thread in threads:
        thread.join()
    assert (outcomes["first"], outcomes["a"], outcomes["b"]) == ("FIRST", "A", "B")
    assert isinstance(outcomes["poison"], ValueError)


def test_failure_of_the_store_reaches_everyone_who_waited() -> None:
    refusing, go_on = threading.Event(), threading.Event()

    def commit(take: Callable[[], list[str]], timeout_s: float) -> list[str]:
        refusing.set()
        go_on.wait(5)
        raise StoreUnavailable("gone")

    group: GroupCommit[str, str] = GroupCommit(commit)
    with ThreadPoolExecutor(3) as pool:
        leader = pool.submit(group.submit, "a", 5.0)
        refusing.wait(5)
        followers = [pool.submit(group.submit, item, 5.0) for item in ("b", "c")]
        wait_until(lambda: len(group._waiting) == 3)
        go_on.set()
        for one in (leader, *followers):
            assert isinstance(one.exception(5), StoreUnavailable)


def test_whoever_came_while_the_store_was_busy_is_in_the_same_transaction() -> None:
    waiting, go_on = threading.Event(), threading.Event()
    batches: list[list[str]] = []

    def commit(take: Callable[[], list[str]], timeout_s: float) -> list[str]:
        waiting.set()
        go_on.wait(5)
        batches.append(take())
        return batches[-1]

    group: GroupCommit[str, str] = GroupCommit(commit)
    with ThreadPoolExecutor(3) as pool:
        found = [pool.submit(group.submit, "a", 5.0)]
        waiting.wait(5)
        found += [pool.submit(group.submit, item, 5.0) for item in ("b", "c")]
        wait_until(lambda: len(group._waiting) == 3)
        go_on.set()
        assert [one.result(5) for one in found] == ["a", "b", "c"]
    assert [sorted(batch) for batch in batches] == [["a", "b", "c"]]


def test_one_that_may_not_wait_any_longer_takes_no_other_one_with_it() -> None:
    leading, go_on = threading.Event(), threading.Event()
    committed: list[str] = []

    def commit(take: Callable[[], list[str]], timeout_s: float) -> list[str]:
        if not go_on.is_set():
            leading.set()
            go_on.wait(5)
            raise StoreBusy("held")
        committed.extend(items := take())
        return items

    group: GroupCommit[str, str] = GroupCommit(commit)
    with ThreadPoolExecutor(2) as pool:
        hasty = pool.submit(group.submit, "hasty", 0.2)
        leading.wait(5)
        patient = pool.submit(group.submit, "patient", 5.0)
        wait_until(lambda: len(group._waiting) == 2)
        go_on.set()
        assert isinstance(hasty.exception(5), StoreBusy)
        assert patient.result(5) == "patient"
    assert "patient" in committed and committed.count("hasty") <= 1


def test_whoever_is_committed_is_answered_while_the_next_ones_are_being_committed() -> None:
    entered = {item: threading.Event() for item in ("a", "b", "late")}
    go_on = {item: threading.Event() for item in entered}

    def commit(take: Callable[[], list[str]], timeout_s: float) -> list[str]:
        items = take()
        for item in entered.keys() & items:
            entered[item].set()
            go_on[item].wait(5)
        return items

    group: GroupCommit[str, str] = GroupCommit(commit)
    with ThreadPoolExecutor(8) as pool:
        found = [pool.submit(group.submit, "a", 5.0)]
        entered["a"].wait(5)
        found += [pool.submit(group.submit, item, 5.0) for item in "bcdef"]
        wait_until(lambda: len(group._waiting) == 5)
        go_on["a"].set()
        entered["b"].wait(5)
        late = pool.submit(group.submit, "late", 5.0)
        wait_until(lambda: len(group._waiting) == 1)
        go_on["b"].set()
        entered["late"].wait(5)
        assert [one.result(1) for one in found] == [*"abcdef"]
        go_on["late"].set()
        assert late.result(5) == "late"


def test_caller_that_stops_waiting_while_it_is_called_loses_nobody() -> None:
    committed: list[int] = []
    lock = threading.Lock()

    def commit(take: Callable[[], list[int]], timeout_s: float) -> list[int]:
        items = take()
        with lock:
            committed.extend(items)
        return items

    group: GroupCommit[int, int] = GroupCommit(commit)

    def submit(number: int) -> bool:
        try:
            # Some for next to no time: they give up just when it is their turn.
            return group.submit(number, 60.0 if number % 3 else 1e-5 * (number % 7)) == number
        except StoreBusy:
            return False

    with ThreadPoolExecutor(8) as pool:
        answered = list(pool.map(submit, range(3000)))
    assert all(answered[number] for number in range(3000) if number % 3)
    assert len(committed) == len(set(committed)) and not group._waiting and not group._is_led


def test_caller_that_is_called_just_after_its_wait_ended_commits_for_everyone() -> None:
    group: GroupCommit[int, int] = GroupCommit(lambda take, timeout_s: take())
    before, own, other = _Ticket[int, int](1), _Ticket[int, int](2), _Ticket[int, int](3)
    held = own.call

    class Call:
        release = staticmethod(held.release)

        @staticmethod
        def acquire(timeout: float | None = None) -> bool:
            if timeout is None:
                return held.acquire()
            group._hand_on(before)
            return False

    own.call = Call()  # type: ignore[assignment]  # a lock whose wait ends too early
    group._waiting, group._is_led = [own, other], True
    assert group._outcome_by(time.monotonic(), own) == 2
    assert group._outcome_by(time.monotonic(), other) == 3
    assert not group._is_led


def test_buffer_keeps_what_could_not_be_stored_and_refuses_beyond_its_limit() -> None:
    broken = [True]
    stored: list[int] = []

    def drain(items: list[int]) -> None:
        if broken[0]:
            raise StoreUnavailable("gone")
        stored.extend(items)

    buffer: Buffer[int] = Buffer(drain, limit=3, name="test")
    assert [buffer.offer(i) for i in range(4)] == [True, True, True, False]
    assert buffer.flush() is False
    broken[0] = False
    assert buffer.flush() is True
    assert stored == [0, 1, 2]


def test_flush_ends_while_the_store_is_gone_and_events_are_set_aside(
    make_app: Callable[..., Flask], tmp_path: Path
) -> None:
    (tmp_path / "a-file").write_text("")
    make_app(DATABASE_URL=f"sqlite:///{tmp_path}/a-file/store.sqlite3")
    sentry.capture_message("set aside")
    sentry.flush()  # used to spin for ever, and with it the end of the process


def test_what_was_offered_is_stored_once_although_taking_in_fails(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    intake = parts_of(app).intake
    monkeypatch.setattr(intake.emergency, "waiting", _raise_unavailable)
    intake.offer(Envelope({}, [Item({"type": "session"}, {"sid": "1"})]))
    intake.flush()
    intake.flush()
    assert app.test_client().get("/system/status").json["accounting"]["accepted"] == 1


def _raise_unavailable() -> None:
    raise StoreUnavailable("gone")


# ---- odd input ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"exception": {"values": [None, 3, {"type": 5, "stacktrace": {"frames": ["x", None]}}]}},
        {"exception": [{"type": "E", "value": "x\x00\ud800y"}]},
        {"message": {"formatted": "hi"}, "tags": [["a", "b"], ["c"], 3], "level": 40},
        {"timestamp": float("nan"), "extra": {"n": float("inf"), "big": 2**70}},
        {"timestamp": "the day before", "user": "ada", "breadcrumbs": "none", "request": []},
        {"release": "r" * 9000, "environment": "e" * 9000, "transaction": "t" * 9000},
        {"message": "m" * 100_000, "fingerprint": "x", "platform": {"a": 1}, "sdk": "?"},
        {"contexts": {"\ud800": {"\x00": "\x00"}}, "timestamp": 1e18},
    ],
)
def test_odd_payload_is_kept_and_can_be_read(app: Flask, payload: dict) -> None:
    item = Item({"type": "event"}, payload)
    accepted = parts_of(app).intake.accept(
        Envelope({"event_id": "a" * 32}, [item]), project_id=1, timeout_s=5
    )
    client = app.test_client()
    assert client.get(f"/api/events/{accepted.event_id}").status_code == 200
    raw = client.get(f"/api/events/{accepted.event_id}?raw=1")
    json.loads(raw.data, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert len(client.get("/api/events").json["events"]) == 1


def test_unknown_items_are_kept_as_they_came(app: Flask) -> None:
    odd = Envelope({}, [Item({"type": "from_the_future", "x": 1}, b"\x00\xff binary")])
    parts_of(app).intake.accept(odd, project_id=1, timeout_s=5)
    accounting = app.test_client().get("/system/status").json["accounting"]
    assert (accounting["accepted"], accounting["local"]) == (1, 1)


def test_transaction_is_stored_soon_without_being_waited_for(
    make_app: Callable[..., Flask],
) -> None:
    app = make_app(SENTRY_TRACES_SAMPLE_RATE=1.0)
    with sentry_sdk.start_transaction(name="nightly"):
        pass
    parts = parts_of(app)

    def accepted() -> int:
        with parts.store.read() as conn:
            return int(accounting.accounting(conn)["accepted"])

    assert accepted() == 0
    wait_until(lambda: accepted() == 1)


def test_forwarder_is_woken_only_for_what_is_to_be_sent(make_app: Callable[..., Flask]) -> None:
    woken: list[str | None] = []
    for dsn in (None, "http://key@127.0.0.1:9/1"):
        app = make_app(SENTRY_DSN=dsn)
        intake = parts_of(app).intake
        intake.stored = lambda dsn=dsn: woken.append(dsn)  # type: ignore[misc]
        for _ in range(2):
            intake.accept(envelope("b" * 32 if dsn else "a" * 32), project_id=1, timeout_s=5)
    # Not for the second one either, which was there already.
    assert woken == ["http://key@127.0.0.1:9/1"]
