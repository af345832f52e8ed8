"""Checks that the SDK passes its events to this service, and that they arrive in the store.

    Sentry initialised → message · exception · user: captured, then read back by event id

The checks capture through :mod:`app.sentry` like all other code, in a separate scope. They also run
when the store is down: then it is important to know that events go to the emergency folder.
"""

from __future__ import annotations

from typing import Any

import sentry_sdk
from sentry_sdk.integrations.flask import FlaskIntegration

from app import sentry
from app.cli.verify.checks import Run
from app.events.queries import StoredEvent, find_event
from app.projects import OWN_PROJECT_ID
from app.store import StoreError
from app.web.checks import Verdict, failed, passed, warned

MESSAGE = "flask verify: a test message"
USER_MESSAGE = "flask verify: a test message of a known user"
# The fields of an event that the line of a check shows.
_SHOWN = frozenset({"level", "type", "user id"})


class SelfTestError(Exception):
    """The exception that the self-test raises on purpose."""


def sentry_initialised(run: Run) -> Verdict:
    """Check that the SDK is on, passes all envelopes to this service, and watches Flask."""
    client = sentry_sdk.get_client()
    if not client.is_active():
        return failed("the SDK has no client", "see that create_app() calls init_sentry()")
    if not isinstance(client.transport, sentry.LocalTransport):
        return failed(
            "the SDK does not give events to this service: its transport is another one",
            "see that nothing calls sentry_sdk.init() after create_app()",
        )
    if client.get_integration(FlaskIntegration) is None:
        return failed(
            "the SDK does not watch Flask", "put FlaskIntegration back into init_sentry()"
        )
    ours = f"sentry-sdk {sentry_sdk.VERSION}, environment {client.options['environment']}"
    return passed(f"{ours}, everything goes to the store first")


def message_captured(run: Run) -> Verdict:
    """Capture a message and read it back."""
    with sentry_sdk.isolation_scope():
        sentry.set_tag("verify", run.id)
        event_id = sentry.capture_message(MESSAGE)
    return _read_back(run, event_id, {"level": "info", "message": MESSAGE})


def exception_captured(run: Run) -> Verdict:
    """Capture an exception and read it back with its frames."""
    with sentry_sdk.isolation_scope():
        sentry.set_tag("verify", run.id)
        try:
            _raise_on_purpose()
        except SelfTestError as error:
            event_id = sentry.capture_exception(error, {"from": "flask verify"})
    run.exception_id = event_id or ""
    expected = {"level": "error", "type": "SelfTestError", "newest frame": "_raise_on_purpose"}
    return _read_back(run, event_id, expected)


def _raise_on_purpose() -> None:
    raise SelfTestError("flask verify: a test exception, raised on purpose")


def user_context_set(run: Run) -> Verdict:
    """Set a user, capture a message, and read the user back."""
    user_id = f"verify-{run.id[:8]}"
    with sentry_sdk.isolation_scope():
        sentry.set_tag("verify", run.id)
        sentry.set_user_context(user_id, username="flask verify")
        event_id = sentry.capture_message(USER_MESSAGE)
    return _read_back(run, event_id, {"message": USER_MESSAGE, "user id": user_id})


def _read_back(run: Run, event_id: str | None, expected: dict[str, str]) -> Verdict:
    if event_id is None:
        return failed(
            "the SDK dropped it: there is no event id",
            "a filter did that, or the SDK itself: with SENTRY_DEBUG=true this command shows which",
        )
    # Look into the folder first: an event that is recovered in the meantime is then in the store.
    if _waits(run, event_id):
        return _not_in_the_store(run, event_id)
    with run.store.read() as conn:
        stored = find_event(conn, event_id, OWN_PROJECT_ID)
    if stored is None:
        return failed(
            f"event {event_id} is neither in the store nor set aside",
            "look into the log of this command: it says why, or has the event itself",
        )
    return _compared(stored, expected | {"tag verify": run.id})


def _waits(run: Run, event_id: str) -> bool:
    return any(
        event_id.encode() in waiting_event.body for waiting_event in run.intake.emergency.waiting()
    )


def _not_in_the_store(run: Run, event_id: str) -> Verdict:
    detail = f"event {event_id} is set aside in {run.intake.emergency.path}, not in the store"
    try:
        run.store.check()
    except StoreError:
        return failed(
            detail,
            "mend the store: events in the emergency folder are recovered then",
        )
    return warned(
        f"{detail}: the store was busy",
        "it is recovered automatically; if this happens often, look for long writing transactions",
    )


def _compared(stored: StoredEvent, expected: dict[str, str]) -> Verdict:
    seen = _seen(stored)
    wrong = [name for name, value in expected.items() if seen[name] != value]
    if wrong:
        return failed(
            f"event {stored.row.event_id} is stored, but not its {', '.join(wrong)}",
            "a filter or a rule of the scrubber changes events: try again without them",
        )
    shown = ", ".join(f"{name} {seen[name]}" for name in expected if name in _SHOWN)
    return passed(f"event {stored.row.event_id} is stored, {shown}, {stored.row.state}")


def _seen(stored: StoredEvent) -> dict[str, Any]:
    event = stored.event
    frames = event.main_exception.frames if event.main_exception else []
    return {
        "level": event.level,
        "message": event.message,
        "type": event.type,
        "newest frame": frames[-1].function if frames else None,
        "user id": event.user.get("id"),
        "tag verify": event.tags.get("verify"),
    }
