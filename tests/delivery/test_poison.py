"""An envelope that cannot be sent, for whatever reason, stands alone: nothing waits behind it."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import pytest
import sentry_sdk
from flask import Flask
from sqlalchemy import select, update

from app.events.tables import envelopes
from app.sentry import capture_message
from tests.conftest import parts_of
from tests.delivery_steps import accounting_of, deliver, deliver_until
from tests.fake_sentry import FakeSentry

FAST = {"DELIVERY_BACKOFF_BASE_S": 0.05, "DELIVERY_BACKOFF_MAX_S": 0.2, "DELIVERY_BACKLOG_PER_S": 0}


@pytest.fixture
def queueing(make_app: Callable[..., Flask], fake_sentry: FakeSentry) -> Flask:
    """An application whose events wait for the fake."""
    return make_app(SENTRY_DSN=fake_sentry.dsn(), **FAST)


def capture_some(count: int) -> list[str]:
    return [str(capture_message(f"order {number} has no price")) for number in range(count)]


def replace_body(app: Flask, event_id: str, body: bytes) -> None:
    with parts_of(app).store.write() as conn:
        row = envelopes.c.event_id == event_id
        conn.execute(update(envelopes).where(row).values(body=body))


def row_of(app: Flask, event_id: str) -> tuple[str, str | None, int]:
    """State, reason and number of attempts of an event's envelope."""
    columns = (envelopes.c.state, envelopes.c.reason, envelopes.c.attempts)
    with parts_of(app).store.read() as conn:
        row = conn.execute(select(*columns).where(envelopes.c.event_id == event_id)).one()
    return tuple(row)


@pytest.mark.parametrize(
    "body",
    [
        b"these bytes were never compressed",
        zlib.compress(b'{"event_id": "cut')[:-4],
        zlib.compress(b"no JSON\n{}\n"),
        zlib.compress(b"[]\n{}\n"),
        zlib.compress(b"\xff\xfe\n{}\n"),
        zlib.compress(b"[" * 100_000 + b"\n{}\n"),
        b"",
    ],
    ids=["not zlib", "cut off", "no JSON", "no object", "no UTF-8", "too deep", "empty"],
)
def test_damaged_row_is_parked_untried_and_everything_else_is_delivered(
    queueing: Flask, fake_sentry: FakeSentry, body: bytes
) -> None:
    first, poisoned, *others = capture_some(6)
    replace_body(queueing, poisoned, body)
    deliver(queueing)
    state, reason, attempts = row_of(queueing, poisoned)
    assert (state, attempts) == ("parked", 0)
    assert reason is not None and reason.startswith("damaged here: ")
    assert sorted(fake_sentry.event_ids()) == sorted([first, *others])
    assert accounting_of(queueing)["balanced"]


def test_envelope_too_large_for_sentry_is_parked_after_one_try_and_the_others_pass(
    queueing: Flask, fake_sentry: FakeSentry
) -> None:
    fake_sentry.set_mood("413", times=1)
    event_ids = capture_some(6)
    deliver(queueing)
    arrived = fake_sentry.event_ids()
    (parked,) = set(event_ids) - set(arrived)
    assert sorted(arrived) == sorted(set(event_ids) - {parked})
    state, reason, attempts = row_of(queueing, parked)
    assert (state, attempts) == ("parked", 1)
    assert reason is not None and reason.startswith("413: too large for Sentry")
    totals = accounting_of(queueing)
    assert (totals["delivered"], totals["parked"], totals["balanced"]) == (5, 1, True)


def test_envelope_that_sentry_chokes_on_waits_alone_and_the_others_pass(
    queueing: Flask, fake_sentry: FakeSentry
) -> None:
    poisoned = _capture_with_attachment()
    others = capture_some(8)
    fake_sentry.set_mood("500", only_item_type="attachment")
    deliver_until(
        queueing,
        lambda: set(others) <= set(fake_sentry.event_ids()) and row_of(queueing, poisoned)[2] >= 3,
    )
    state, reason, _ = row_of(queueing, poisoned)
    assert (state, reason) == ("retry", "500: Sentry failed (told to answer 500)")
    assert sorted(fake_sentry.event_ids()) == sorted(others)
    fake_sentry.set_mood("ok")
    deliver(queueing)
    assert row_of(queueing, poisoned)[0] == "delivered"
    assert fake_sentry.repeats() == []


def test_envelopes_that_sentry_chokes_on_do_not_keep_the_circuit_open(
    queueing: Flask, fake_sentry: FakeSentry
) -> None:
    poisoned = [_capture_with_attachment() for _ in range(6)]
    others = capture_some(6)
    fake_sentry.set_mood("500", only_item_type="attachment")
    deliver_until(queueing, lambda: set(others) <= set(fake_sentry.event_ids()))
    assert {row_of(queueing, event_id)[0] for event_id in poisoned} <= {"pending", "retry"}
    fake_sentry.set_mood("ok")
    deliver(queueing)
    assert sorted(fake_sentry.event_ids()) == sorted([*poisoned, *others])


def _capture_with_attachment() -> str:
    with sentry_sdk.new_scope() as scope:
        scope.add_attachment(bytes=b"\x00" * 100, filename="core")
        return str(capture_message("with a core"))
