"""The fake Sentry does what its moods say, and its record outlives it."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import uuid
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import brotli
import pytest
import sentry_sdk

from benchmarks import upstream
from tests.fake_sentry import FakeSentry
from tests.fake_sentry.record import Entry

AUTH = {"X-Sentry-Auth": "Sentry sentry_version=7, sentry_key=publickey"}
Answer = tuple[int, dict[str, str], bytes]


def envelope_of(
    event_id: str, item_type: str = "event", sent_at: str = "2026-11-24T00:00Z"
) -> bytes:
    payload = json.dumps({"event_id": event_id, "message": "boom"})
    return b"".join(
        json.dumps(line).encode() + b"\n"
        for line in (
            {"event_id": event_id, "sent_at": sent_at},
            {"type": item_type, "length": len(payload)},
        )
    ) + payload.encode()  # fmt: skip


@contextmanager
def connected(fake: FakeSentry, timeout: float = 10.0) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", fake.port, timeout=timeout)
    try:
        yield connection
    finally:
        connection.close()


def post(
    connection: http.client.HTTPConnection, body: Any, project: int = 42, **headers: str
) -> Answer:
    sent = AUTH | {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request("POST", f"/api/{project}/envelope/", body, sent)
    answer = connection.getresponse()
    return answer.status, dict(answer.headers), answer.read()


def send(
    fake: FakeSentry, event_id: str | None = None, timeout: float = 10.0, **how: Any
) -> Answer:
    """One envelope on a connection of its own."""
    with connected(fake, timeout) as connection:
        return post(connection, envelope_of(event_id or uuid.uuid4().hex, **how))


def ended_requests(fake: FakeSentry) -> list[Entry]:
    """Every request, when all have ended: the client may have its answer a moment before that."""
    fake.wait_for(lambda fake: all(entry["ended"] for entry in fake.requests()))
    return fake.requests()


def test_healthy_one_answers_the_id_and_notes_what_came(fake_sentry: FakeSentry) -> None:
    event_id = uuid.uuid4().hex
    with connected(fake_sentry) as connection:
        status, _, body = post(connection, envelope_of(event_id), X_DevEnviro_Instance="web-1")
        post(connection, envelope_of(uuid.uuid4().hex))
    assert (status, json.loads(body)) == (200, {"id": event_id})
    first, second = ended_requests(fake_sentry)
    assert [first, second] == fake_sentry.record()
    assert first["event_ids"] == [first["event_id"]] == [event_id]
    assert (first["item_types"], first["project"], first["answered"]) == (["event"], "42", True)
    assert (first["key"], first["key_in"], first["instance"]) == ("publickey", "header", "web-1")
    assert first["sent_at"] == "2026-11-24T00:00Z"
    assert first["started"] <= first["ended"] <= second["started"]
    assert first["connection"] == second["connection"]


@pytest.mark.parametrize(
    ("coding", "encode"),
    [
        ("identity", bytes),
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("br", brotli.compress),
    ],
)
@pytest.mark.parametrize("is_chunked", [False, True])
def test_body_is_read_whatever_its_coding(
    fake_sentry: FakeSentry, coding: str, encode: Callable[[bytes], bytes], is_chunked: bool
) -> None:
    event_id = uuid.uuid4().hex
    body = encode(envelope_of(event_id))
    # An iterator has no length: http.client sends it in chunks.
    sent = iter([body[:9], body[9:]]) if is_chunked else body
    with connected(fake_sentry) as connection:
        assert post(connection, sent, Content_Encoding=coding)[0] == 200
    assert fake_sentry.event_ids() == [event_id]


def test_stored_event_is_accepted_by_the_key_in_the_query(fake_sentry: FakeSentry) -> None:
    with connected(fake_sentry) as connection:
        connection.request("POST", "/api/7/store/?sentry_key=abc", b'{"event_id": "e1"}')
        assert connection.getresponse().status == 200
    (entry,) = fake_sentry.record()
    assert (entry["event_ids"], entry["project"], entry["key_in"]) == (["e1"], "7", "query")


def test_path_in_front_of_the_project_is_allowed_and_other_paths_are_not(
    fake_sentry: FakeSentry,
) -> None:
    with connected(fake_sentry) as connection:
        for path, status in (("/sentry/api/9/envelope/", 200), ("/api/9/minidump/", 404)):
            connection.request("POST", path, envelope_of("e1"), AUTH)
            answer = connection.getresponse()
            assert (answer.status, answer.read()[:1]) == (status, b"{")
    assert [entry["project"] for entry in fake_sentry.record()] == ["9"]


def test_client_report_is_noted_with_its_contents(fake_sentry: FakeSentry) -> None:
    report = {"discarded_events": [{"reason": "queue_overflow", "category": "error"}]}
    with connected(fake_sentry) as connection:
        post(connection, b'{}\n{"type":"client_report"}\n' + json.dumps(report).encode())
    (entry,) = fake_sentry.record()
    assert entry["client_reports"] == [report]


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({}, envelope_of("e1"), 401),
        (AUTH, b"this is no envelope", 400),
        (AUTH, envelope_of("e1")[:-3], 400),
        (AUTH | {"Content-Encoding": "gzip"}, b"this is no gzip", 400),
    ],
)
def test_what_sentry_would_not_read_is_refused(
    fake_sentry: FakeSentry, headers: dict[str, str], body: bytes, status: int
) -> None:
    with connected(fake_sentry) as connection:
        connection.request("POST", "/api/42/envelope/", body, headers)
        assert connection.getresponse().status == status
    assert [entry["state"] for entry in fake_sentry.requests()] == ["refused"]


@pytest.mark.parametrize("name", ["503", "413", "429", "400"])
def test_status_is_answered_and_nothing_is_accepted(fake_sentry: FakeSentry, name: str) -> None:
    fake_sentry.set_mood(name, headers={"X-Error": "told so"}, body="no")
    status, headers, body = send(fake_sentry)
    assert (status, headers["X-Error"], body) == (int(name), "told so", b"no")
    (entry,) = ended_requests(fake_sentry)
    assert (entry["state"], entry["status"], entry["answered"]) == ("refused", int(name), True)


def test_rate_limits_are_told_with_any_status(fake_sentry: FakeSentry) -> None:
    fake_sentry.set_mood("429", retry_after=7)
    assert send(fake_sentry)[1]["Retry-After"] == "7"
    fake_sentry.set_mood("429", retry_after_date=3600)
    date = parsedate_to_datetime(send(fake_sentry)[1]["Retry-After"])
    assert date > datetime.now(UTC) + timedelta(minutes=30)
    fake_sentry.set_mood("ok", rate_limits="60:error:key")
    status, headers, _ = send(fake_sentry)
    assert (status, headers["X-Sentry-Rate-Limits"]) == (200, "60:error:key")
    assert len(fake_sentry.record()) == 1


def test_hanging_one_never_answers(fake_sentry: FakeSentry) -> None:
    fake_sentry.set_mood("hang")
    with pytest.raises(TimeoutError):
        send(fake_sentry, timeout=0.3)
    (entry,) = ended_requests(fake_sentry)
    assert entry["answered"] is False
    assert fake_sentry.record() == []


def test_slow_one_accepts_before_it_answers(fake_sentry: FakeSentry) -> None:
    fake_sentry.set_mood("slow", seconds=60)
    with pytest.raises(TimeoutError):
        send(fake_sentry, "e1", timeout=0.3)
    assert fake_sentry.event_ids() == ["e1"]
    fake_sentry.set_mood("slow", seconds=0.05)
    assert send(fake_sentry)[0] == 200


def test_distant_one_is_late_in_any_mood() -> None:
    with FakeSentry(latency_s=60) as fake:
        fake.set_mood("503")
        with pytest.raises(TimeoutError):
            send(fake, timeout=0.3)
        assert [entry["state"] for entry in fake.requests()] == ["refused"]


def test_dripping_answer_arrives_in_pieces(fake_sentry: FakeSentry) -> None:
    fake_sentry.set_mood("drip", seconds=0.01)
    body = envelope_of("e1")
    head = f"POST /api/1/envelope/?sentry_key=k HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", fake_sentry.port), timeout=10) as raw:
        raw.sendall(head.encode() + body)
        assert len(raw.recv(4096)) < 10
    fake_sentry.set_mood("drip", seconds=0.0)
    assert json.loads(send(fake_sentry, "e2")[2]) == {"id": "e2"}


def test_reset_leaves_nothing_and_the_other_reset_leaves_the_envelope(
    fake_sentry: FakeSentry,
) -> None:
    fake_sentry.set_mood("reset")
    with pytest.raises(ConnectionResetError):
        send(fake_sentry, "e1")
    assert fake_sentry.record() == []
    fake_sentry.set_mood("accept_then_reset")
    with pytest.raises(ConnectionResetError):
        send(fake_sentry, "e1")
    assert fake_sentry.event_ids() == ["e1"]


def test_repeat_is_avoidable_only_after_an_answer(fake_sentry: FakeSentry) -> None:
    fake_sentry.set_mood("accept_then_reset", times=1)
    with pytest.raises(ConnectionResetError):
        send(fake_sentry, "e1")
    send(fake_sentry, "e1")
    send(fake_sentry, "e1")
    send(fake_sentry, "e2")
    found = [(repeat.event_id, repeat.answered_before) for repeat in fake_sentry.repeats()]
    assert found == [("e1", False), ("e1", True)]


def test_closed_door_refuses_and_opens_again_on_the_same_port(fake_sentry: FakeSentry) -> None:
    with connected(fake_sentry) as kept_alive:
        assert post(kept_alive, envelope_of("e1"))[0] == 200
        fake_sentry.set_mood("refused")
        with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
            post(kept_alive, envelope_of("e2"))
    with pytest.raises(ConnectionRefusedError):
        send(fake_sentry, "e2")
    fake_sentry.set_mood("ok")
    assert send(fake_sentry, "e3")[0] == 200
    assert fake_sentry.event_ids() == ["e1", "e3"]


def test_page_with_200_is_no_acceptance(fake_sentry: FakeSentry) -> None:
    fake_sentry.set_mood("html")
    status, headers, body = send(fake_sentry)
    assert (status, headers["Content-Type"][:9], body[:9]) == (200, "text/html", b"<!doctype")
    assert fake_sentry.record() == []


def test_redirect_leads_to_a_page(fake_sentry: FakeSentry) -> None:
    fake_sentry.set_mood("redirect")
    status, headers, _ = send(fake_sentry)
    with connected(fake_sentry) as connection:
        connection.request("GET", headers["Location"])
        assert (status, connection.getresponse().status) == (302, 200)
    assert fake_sentry.record() == []


def test_garbage_is_no_http(fake_sentry: FakeSentry) -> None:
    fake_sentry.set_mood("broken")
    with pytest.raises(http.client.BadStatusLine):
        send(fake_sentry)
    assert fake_sentry.record() == []


def test_answer_ends_after_its_headers(fake_sentry: FakeSentry) -> None:
    fake_sentry.set_mood("close_after_headers")
    with pytest.raises(http.client.IncompleteRead):
        send(fake_sentry)
    assert fake_sentry.record() == []


def test_big_body_is_as_big_as_told(fake_sentry: FakeSentry) -> None:
    fake_sentry.set_mood("big_body", size=3_000_001)
    status, _, body = send(fake_sentry)
    assert (status, len(body)) == (200, 3_000_001)


def test_connection_is_closed_after_an_answer_that_did_not_say_so(fake_sentry: FakeSentry) -> None:
    fake_sentry.set_mood("ok", closes=True)
    with connected(fake_sentry) as connection:
        status, headers, _ = post(connection, envelope_of("e1"))
        assert (status, "Connection" in headers) == (200, False)
        assert connection.sock.recv(1) == b""


def test_mood_is_met_only_by_those_that_are_meant(fake_sentry: FakeSentry) -> None:
    fake_sentry.set_mood("503", only_every=3)
    assert [send(fake_sentry)[0] for _ in range(6)] == [200, 200, 503] * 2
    fake_sentry.set_mood("503", times=2)
    assert [send(fake_sentry)[0] for _ in range(4)] == [503, 503, 200, 200]
    fake_sentry.set_mood("503", only_item_type="transaction")
    assert send(fake_sentry)[0] == 200
    assert send(fake_sentry, item_type="transaction")[0] == 503
    fake_sentry.set_mood("503", only_project="7")
    with connected(fake_sentry) as connection:
        projects = [post(connection, envelope_of("e1"), project)[0] for project in (42, 7)]
    assert projects == [200, 503]


def test_unknown_mood_is_an_error(fake_sentry: FakeSentry) -> None:
    with pytest.raises(ValueError, match="mood merry is unknown"):
        fake_sentry.set_mood("merry")


def test_record_survives_a_sigkill_and_goes_on_after_it(fake_sentry: FakeSentry) -> None:
    port = fake_sentry.port
    fake_sentry.set_mood("slow", seconds=60)
    with pytest.raises(TimeoutError):
        send(fake_sentry, "e1", timeout=0.3)
    fake_sentry.kill()
    with pytest.raises(ConnectionRefusedError):
        send(fake_sentry, "e2")
    fake_sentry.start()
    assert send(fake_sentry, "e3")[0] == 200
    assert (fake_sentry.event_ids(), fake_sentry.port) == (["e1", "e3"], port)


def test_same_envelope_under_way_on_two_connections_is_an_overlap(fake_sentry: FakeSentry) -> None:
    fake_sentry.set_mood("slow", seconds=60, times=1)
    with connected(fake_sentry) as first:
        first.request("POST", "/api/42/envelope/", envelope_of("e1"), AUTH)
        fake_sentry.wait_for(lambda fake: fake.event_ids() == ["e1"])
        send(fake_sentry, "e1", sent_at="2026-11-25T00:00Z")
        send(fake_sentry, "e2")
        ((one, other),) = fake_sentry.overlaps()
        assert (one["event_id"], other["event_id"]) == ("e1", "e1")
        assert one["digest"] == other["digest"]


def test_one_after_the_other_is_no_overlap(fake_sentry: FakeSentry) -> None:
    fake_sentry.set_mood("hang", times=1)
    with pytest.raises(TimeoutError):
        send(fake_sentry, "e1", timeout=0.3)
    send(fake_sentry, "e1")
    assert len(ended_requests(fake_sentry)) == 2
    assert fake_sentry.overlaps() == []


def test_fake_ends_with_whoever_started_it(fake_sentry: FakeSentry) -> None:
    process = fake_sentry.process
    assert process is not None and process.stdin is not None
    process.stdin.close()
    assert process.wait(10) == 0


def test_envelope_of_the_sdk_is_accepted(fake_sentry: FakeSentry) -> None:
    client = sentry_sdk.Client(dsn=fake_sentry.dsn(project=3), default_integrations=False)
    event_id = client.capture_event({"message": "from the SDK"})
    client.close()
    assert fake_sentry.event_ids() == [event_id]
    assert fake_sentry.record()[0]["project"] == "3"


def test_changing_upstream_meets_every_mood_in_an_order_that_follows_from_the_seed(
    fake_sentry: FakeSentry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream, "MOOD_S", (0.0, 0.02))
    every = len(upstream.BAD_MOODS) + 2
    orders = []
    for _ in range(2):
        with upstream.ChangingUpstream(fake_sentry, seed=3) as changing:
            fake_sentry.wait_for(lambda _, met=changing.met: len(met) == every)
        assert send(fake_sentry)[0] == 200
        orders.append(list(changing.met))
    assert orders[0] == orders[1]
