"""/metrics and /health: what they say is what is there, and a tampered store is told of."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient

from app.api.metrics import Metric
from app.delivery import actions
from app.delivery.accounting import check
from app.delivery.destinations import set_dsn
from app.intake.retention import Limits, prune
from app.protocol.transaction import Timing
from app.stats.observations import BOUNDS_S
from app.store import utc_now
from tests.conftest import parts_of
from tests.delivery.shop import accept, add_project, answering, park, rows_of, set_columns
from tests.delivery_steps import accounting_of, deliver, forwarding
from tests.mini_sentry import MiniSentry
from tests.server_process import wait_for

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
WAITS = ("pending", "retry", "parked")
# What the names of a metric's samples may end with, by its type.
SUFFIXES = {"counter": ("",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? (-?[0-9.e+-]+)")


@pytest.fixture
def shop(make_app: Callable[..., Flask], mini_sentry: MiniSentry) -> Flask:
    return make_app(SENTRY_DSN=mini_sentry.dsn, DELIVERY_BACKOFF_BASE_S=0.01)


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Health keeps nothing from one question to the next."""
    monkeypatch.setattr("app.web.health.CACHE_S", -1)
    monkeypatch.setattr("app.web.health.ACCOUNTING_EVERY_S", -1)
    monkeypatch.setattr("app.web.health.ACCOUNTING_SHARE", 0)


def read(text: str) -> dict[str, float]:
    """Read the text format strictly; keys are names with their labels as written."""
    samples: dict[str, float] = {}
    typed: list[str] = []
    helped = ""
    assert text.endswith("\n")
    for line in text.splitlines():
        if line.startswith("# HELP "):
            helped, words = line.split(" ", 3)[2:]
            assert words
        elif line.startswith("# TYPE "):
            typed.append(line.split()[2])
            assert typed[-1] == helped, "the help of a metric stands before its type"
            kind = line.split()[3]
            assert kind in SUFFIXES
        else:
            found = SAMPLE.fullmatch(line)
            assert found, line
            assert found[1].removeprefix(typed[-1]) in SUFFIXES[kind], "those of a metric together"
            key = f"{found[1]}{{{found[2]}}}" if found[2] else found[1]
            assert key not in samples, key
            samples[key.removeprefix("devenviro_")] = float(found[3])
    assert len(typed) == len(set(typed))
    return samples


def buckets_of(samples: dict[str, float], name: str) -> dict[float, float]:
    """Return a histogram's buckets, once it is seen that it is one."""
    prefix = f'{name}_bucket{{le="'
    found = {
        float(key.removeprefix(prefix).removesuffix('"}')): value
        for key, value in samples.items()
        if key.startswith(prefix)
    }
    assert list(found) == sorted(found) and list(found)[-1] == math.inf
    assert list(found.values()) == sorted(found.values()), "each has what is in those before"
    assert found[math.inf] == samples[f"{name}_count"]
    return found


def metrics_of(app: Flask) -> dict[str, float]:
    answer = app.test_client().get("/metrics")
    assert answer.status_code == 200
    assert answer.content_type == "text/plain; version=0.0.4; charset=utf-8"
    return read(answer.text)


def test_metrics_say_where_envelopes_are(shop: Flask, mini_sentry: MiniSentry) -> None:
    for _ in range(3):
        accept(shop)
    deliver(shop)
    park(shop, mini_sentry, 2)
    accept(shop)
    parts = parts_of(shop)
    accept(shop, "given up")
    actions.discard_one(parts.store, parts.destinations, rows_of(shop)[0].id, "a test")
    found = metrics_of(shop)
    assert found["accepted_total"] == 7
    states = {"delivered": 3, "parked": 2, "pending": 1, "discarded": 1, "local": 0, "retry": 0}
    assert {state: found[f'envelopes{{state="{state}"}}'] for state in states} == states
    assert found['discarded_total{reason="by_person"}'] == 1
    assert found['attempts_total{state="delivered"}'] == 3
    assert found["books_balanced"] == 1
    assert 0 <= found["outbox_oldest_age_seconds"] < 60
    ages = {state: found[f'oldest_envelope_age_seconds{{state="{state}"}}'] for state in WAITS}
    assert ages["retry"] == 0 and 0 < ages["pending"] < ages["parked"] < 60
    assert found['destination_up{project="1"}'] == 1
    assert found['circuit_open{project="1"}'] == 0
    assert found['client_reports_owed{project="1",reason="by_person",category="error"}'] == 1
    assert found["store_bytes"] > 0


def test_prometheus_reads_what_metrics_say(shop: Flask, mini_sentry: MiniSentry) -> None:
    parser = pytest.importorskip("prometheus_client.parser", reason="it is in requirements-dev.txt")
    park(shop, mini_sentry, 2)
    accept(shop)
    parts_of(shop).intake.observe(Timing("/cart", "1", "live", 5.0, failed=True))
    parts_of(shop).intake.flush()
    text = shop.test_client().get("/metrics").text
    parsed = list(parser.text_string_to_metric_families(text))
    assert {family.type for family in parsed} == {"counter", "gauge", "histogram"}
    assert all(family.documentation for family in parsed)
    samples = [sample for family in parsed for sample in family.samples]
    values = {(sample.name, *sorted(sample.labels.items())): sample.value for sample in samples}
    assert values[("devenviro_accepted_total",)] == 3
    assert values[("devenviro_envelopes", ("state", "parked"))] == 2
    assert values[("devenviro_request_duration_seconds_bucket", ("le", "+Inf"))] == 1
    ours = read(text)
    assert len(values) == len(samples) == len(ours)
    assert sorted(values.values()) == sorted(ours.values())


def test_prometheus_reads_labels_as_they_were() -> None:
    parser = pytest.importorskip("prometheus_client.parser", reason="it is in requirements-dev.txt")
    reason = 'a "b"\\\nc\\n, d="e"} 1'
    text = Metric("m", "gauge", "text").add(1, reason=reason, project=1).text()
    ((sample,),) = (family.samples for family in parser.text_string_to_metric_families(text))
    assert (sample.labels, sample.value) == ({"reason": reason, "project": "1"}, 1)


def test_metrics_of_an_empty_store_are_well_formed(app: Flask) -> None:
    found = metrics_of(app)
    assert (found["accepted_total"], found["outbox_oldest_age_seconds"]) == (0, 0)


def test_durations_of_requests_are_a_histogram_that_never_falls(app: Flask) -> None:
    intake = parts_of(app).intake
    sent = [0.4, 5, 5.1, 99, 3000, 60_000]
    with time_machine.travel("2026-03-01T12:00:00Z", tick=False):
        for ms in sent:
            intake.observe(Timing("/cart", "1", "live", ms, failed=ms == 99))
        intake.observe(Timing("/cart", "1", "live", None, failed=True))  # of unknown duration
        intake.flush()
        first = metrics_of(app)
    name = "request_duration_seconds"
    buckets = buckets_of(first, name)
    assert buckets == {
        bound: sum(ms / 1000 <= bound for ms in sent) for bound in (*BOUNDS_S, math.inf)
    }
    assert first[f"{name}_sum"] == pytest.approx(sum(sent) / 1000)
    assert first["requests_failed_total"] == 2
    with time_machine.travel("2026-07-01T12:00:00Z"):  # The minutes have gone, after ninety days.
        prune(parts_of(app).store, Limits(0, 0, 0))
    intake.observe(Timing("/cart", "1", "live", 1.0, failed=False))
    intake.flush()
    assert buckets_of(metrics_of(app), name)[0.005] == buckets[0.005] + 1
    assert not any(key.startswith("counter_total") and "requests:" in key for key in first)


def test_metrics_and_health_tell_of_a_circuit_and_a_pause(
    shop: Flask, mini_sentry: MiniSentry, fresh: None
) -> None:
    mini_sentry.answer = answering(401)
    accept(shop)
    with forwarding(shop):
        wait_for(lambda: metrics_of(shop).get('circuit_open{project="1"}') == 1)
    assert metrics_of(shop)['destination_up{project="1"}'] == 0
    assert health_of(shop)["delivery"] == "warn"
    parts = parts_of(shop)
    actions.resume(parts.store, parts.destinations, 1, "a test")
    assert health_of(shop)["delivery"] == "pass"
    actions.pause(parts.store, parts.destinations, 1, "a test")
    assert health_of(shop)["delivery"] == "warn"
    assert metrics_of(shop)['destination_paused{project="1"}'] == 1


def test_labels_are_escaped() -> None:
    metric = Metric("m", "gauge", "text").add(1, reason='a "b"\\\nc')
    assert metric.text().splitlines()[-1] == r'devenviro_m{reason="a \"b\"\\\nc"} 1'


def health_of(app: Flask) -> dict[str, str]:
    answer = app.test_client().get("/health")
    assert answer.status_code == 200 == app.test_client().get("/health/ready").status_code
    checks: dict[str, str] = answer.json["checks"]
    assert answer.json["status"] == ("warn" if "warn" in checks.values() else "pass")
    return checks


def test_health_warns_of_what_waits_for_long(shop: Flask, fresh: None) -> None:
    accept(shop)
    assert health_of(shop)["delivery"] == "pass"
    set_columns(shop, received_at=utc_now() - timedelta(minutes=16))
    assert health_of(shop)["delivery"] == "warn"


def test_destination_without_a_dsn_is_no_trouble(shop: Flask, fresh: None) -> None:
    add_project(shop, 2, "https://key@sentry.example/7")
    with parts_of(shop).store.write() as conn:
        set_dsn(conn, 2, None)
    assert health_of(shop)["delivery"] == "pass"
    assert metrics_of(shop)['destination_up{project="2"}'] == 0


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE counters SET value = value + 1 WHERE name = 'accepted'",
        "UPDATE counters SET value = value - 1 WHERE name = 'state:delivered'",
        "UPDATE envelopes SET state = 'local' WHERE id = 1",
        "UPDATE envelopes SET state = 'nowhere' WHERE id = 1",
        "DELETE FROM counters WHERE name = 'state:delivered'",
    ],
)
def test_tampered_store_unbalances_the_accounting_wherever_they_are_shown(
    shop: Flask,
    fresh: None,
    login: Callable[[FlaskClient], FlaskClient],
    tampering: str,
) -> None:
    for _ in range(3):
        accept(shop)
    deliver(shop)
    client = login(shop.test_client())
    assert accounting_of(shop)["balanced"] and health_of(shop)["books"] == "pass"
    assert "Not accounted for" not in client.get("/admin/").text
    with parts_of(shop).store.write() as conn:
        conn.exec_driver_sql(tampering)
    assert health_of(shop)["books"] == "warn"
    assert metrics_of(shop)["books_balanced"] == 0
    assert client.get("/system/status").json["accounting"]["balanced"] is False
    # Start says what the last comparison found; a background task makes one every minute.
    assert not check(parts_of(shop).store, utc_now())
    for page in ("/admin/", "/admin/status"):
        assert "Not accounted for" in client.get(page).text


def test_accounting_is_not_counted_anew_for_every_probe(
    shop: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.web.health.CACHE_S", -1)
    counted: list[object] = []
    real = accounting_of

    def counting(conn: object) -> dict[str, object]:
        counted.append(conn)
        return real(shop)

    monkeypatch.setattr("app.web.checks.accounting", counting)
    for _ in range(5):
        assert health_of(shop)["books"] == "pass"
    assert len(counted) == 1
