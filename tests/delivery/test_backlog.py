"""After an outage: the backlog goes at its pace, and what happens now does not wait behind it."""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask

from app.sentry import capture_message
from tests.delivery_steps import accounting_of, deliver, forwarding
from tests.fake_sentry import FakeSentry
from tests.server_process import wait_for

# So slow that a test ends long before the backlog does.
SLOW = {
    "DELIVERY_BACKLOG_PER_S": 1,
    "DELIVERY_BACKOFF_BASE_S": 0.05,
    "DELIVERY_BACKOFF_MAX_S": 0.1,
}


def capture(text: str, count: int) -> list[str]:
    return [str(capture_message(text)) for _ in range(count)]


def test_live_event_overtakes_what_queued_while_nothing_was_sent(
    make_app: Callable[..., Flask], fake_sentry: FakeSentry
) -> None:
    app = make_app(SENTRY_DSN=fake_sentry.dsn(), **SLOW)
    queued = capture("while nobody sent", 40)
    with forwarding(app):
        wait_for(lambda: bool(fake_sentry.event_ids()))
        live = capture("now", 5)
        wait_for(lambda: set(live) <= set(fake_sentry.event_ids()))
    assert len(set(queued) - set(fake_sentry.event_ids())) > 20


def test_live_event_overtakes_what_queued_while_sentry_was_away(
    make_app: Callable[..., Flask], fake_sentry: FakeSentry
) -> None:
    app = make_app(SENTRY_DSN=fake_sentry.dsn(), **SLOW)
    fake_sentry.set_mood("refused")
    with forwarding(app):
        queued = capture("while it was away", 40)
        wait_for(lambda: accounting_of(app)["retry"] >= 3)
        fake_sentry.set_mood("ok")
        wait_for(lambda: bool(fake_sentry.event_ids()))
        live = capture("now", 5)
        wait_for(lambda: set(live) <= set(fake_sentry.event_ids()))
    assert len(set(queued) - set(fake_sentry.event_ids())) > 20
    assert accounting_of(app)["balanced"]


def test_first_events_of_issues_go_before_their_repeats(
    make_app: Callable[..., Flask], fake_sentry: FakeSentry
) -> None:
    app = make_app(SENTRY_DSN=fake_sentry.dsn(), **(SLOW | {"DELIVERY_BACKLOG_PER_S": 2}))
    bugs = ("no price", "no stock", "no address")
    queued = [capture(bug, 6) for bug in bugs]
    with forwarding(app):
        wait_for(lambda: len(fake_sentry.event_ids()) >= 4)
    firsts = [event_ids[0] for event_ids in queued]
    assert fake_sentry.event_ids()[:4] == [*firsts, queued[0][1]]


def test_backlog_drains_whole_and_once_however_much_happens_meanwhile(
    make_app: Callable[..., Flask], fake_sentry: FakeSentry
) -> None:
    app = make_app(SENTRY_DSN=fake_sentry.dsn(), DELIVERY_BACKLOG_PER_S=100)
    captured = capture("before", 120)
    with forwarding(app):
        for number in range(60):
            captured += capture(f"bug {number}", 1)
    deliver(app)
    assert sorted(fake_sentry.event_ids()) == sorted(captured)
    assert fake_sentry.repeats() == []
    assert accounting_of(app)["delivered"] == len(captured)
