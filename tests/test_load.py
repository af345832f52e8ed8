"""The load generator says what came back, and its word outlives it."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.issues.grouping import group
from app.protocol.event import read_event
from benchmarks.envelopes import event_of
from benchmarks.load import Load, run
from tests.fake_sentry import ROOT, FakeSentry
from tests.server_process import wait_for


def url_of(fake: FakeSentry) -> str:
    return f"{fake.url}/api/1/envelope/?sentry_key=publickey"


def test_bugs_are_as_many_issues_however_often_they_occur() -> None:
    events = [event_of(bug, number) for bug in range(30) for number in (bug, bug + 30, 997)]
    now = datetime.now(UTC)
    keys = {group(read_event(e, event_id=e["event_id"], received_at=now)).key for e in events}
    assert len(keys) == 30
    assert len({event["event_id"] for event in events}) == 90


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_every_answered_id_is_one_that_arrived(
    fake_sentry: FakeSentry, tmp_path: Path, encoding: str
) -> None:
    ids = tmp_path / "ids"
    answers = run(
        Load(url_of(fake_sentry), connections=4, events=40, encoding=encoding, ids_file=ids)
    )
    assert answers.counts == {"200": 40}
    assert set(answers.accepted_ids) == set(ids.read_text().split()) == set(fake_sentry.event_ids())
    assert answers.summary()["latency_ms"].keys() == {"p50", "p95", "p99", "max"}
    assert len({entry["connection"] for entry in fake_sentry.record()}) == 4


def test_refused_and_cut_events_are_counted_and_not_sent_again(fake_sentry: FakeSentry) -> None:
    fake_sentry.set_mood("503", only_every=4)
    answers = run(Load(url_of(fake_sentry), connections=1, events=8))
    assert answers.counts == {"200": 6, "503": 2}
    fake_sentry.set_mood("accept_then_reset", only_every=4)
    answers = run(Load(url_of(fake_sentry), connections=1, events=8))
    assert answers.counts == {"200": 6, "cut": 2}
    fake_sentry.set_mood("ok", body='{"id": "another"}')
    assert run(Load(url_of(fake_sentry), connections=1, events=1)).counts == {"wrong id": 1}
    assert fake_sentry.repeats() == []


def test_load_goes_on_with_a_server_that_was_killed(fake_sentry: FakeSentry) -> None:
    answers = []
    load = Load(url_of(fake_sentry), connections=4, events=200, per_second=200)
    sending = threading.Thread(target=lambda: answers.append(run(load)))
    sending.start()
    fake_sentry.wait_for(lambda fake: len(fake.record()) > 10)
    fake_sentry.kill()
    fake_sentry.start()
    sending.join()
    counts = answers[0].counts
    assert counts["200"] + counts["cut"] == 200
    assert set(answers[0].accepted_ids) <= set(fake_sentry.event_ids())
    assert len({entry["server"] for entry in fake_sentry.record()}) == 2


def test_ids_survive_the_generator(fake_sentry: FakeSentry, tmp_path: Path) -> None:
    ids = tmp_path / "ids"
    command = [sys.executable, "-m", "benchmarks.load", "--url", url_of(fake_sentry)]
    command += ["--events", "1500", "--per-second", "200", "--ids-file", str(ids)]
    with subprocess.Popen(command, cwd=ROOT) as generator:
        wait_for(lambda: ids.exists() and len(ids.read_text().split()) > 10)
        generator.send_signal(signal.SIGKILL)
    told = ids.read_text().split()
    assert 10 < len(told) == len(set(told))
    assert set(told) <= set(fake_sentry.event_ids())
