"""The kinds of test errors: one small function for each way an error can happen.

Each error is recorded like a real error, by the SDK of the current scope. The function returns the
id of its event.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import sentry_sdk
from werkzeug.exceptions import HTTPException, default_exceptions

from app import sentry
from app.error_tracker import ErrorTracker
from app.protocol.test_error import TAG, TAG_VALUE, fingerprint_of_test

log = logging.getLogger("app.trials")

SLOW_S = 2.0
LARGE_ROWS = 500
LARGE_TEXT = 200_000


class TrialError(Exception):
    """A test error."""


@dataclass(frozen=True)
class Wish:
    """The test error that a person asked for.

    :param status: HTTP status of an HTTP error, 400 to 599.
    :param user: ``id``, ``username`` and ``email``, those that are given.
    :param environment: empty for that of the project's program.
    :param is_repeat: whether it belongs to the issue of the last equal test error. Otherwise it
        makes an issue of its own, about which rules for new issues notify.
    """

    kind: str
    message: str
    level: str = "error"
    status: int = 500
    user: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    environment: str = ""
    is_repeat: bool = False


class Kind(NamedTuple):
    """A kind of test error, with its texts on the page."""

    title: str
    description: str
    make: Callable[[Wish], str | None]


def run(wish: Wish, event_id: str) -> bool:
    """Make the test error; return whether it was captured, and not dropped by a filter.

    User, tags, level and environment apply to this error alone.

    :param event_id: the id that its event gets.
    """
    with sentry_sdk.new_scope() as scope:
        scope.set_level(wish.level)  # type: ignore[arg-type]  # one of LEVELS
        scope.fingerprint = fingerprint_of_test(None if wish.is_repeat else event_id)
        for name, value in {**wish.tags, "trial": wish.kind, TAG: TAG_VALUE}.items():
            scope.set_tag(name, value)
        if wish.user:
            scope.set_user(dict(wish.user))
        scope.add_event_processor(_naming(event_id, wish.environment))
        return KINDS[wish.kind].make(wish) is not None


def _naming(event_id: str, environment: str) -> Callable[[Any, Any], Any]:
    def name(event: Any, hint: Any) -> Any:
        event["event_id"] = event_id
        if environment:
            event["environment"] = environment
        return event

    return name


def _message(wish: Wish) -> str | None:
    return sentry.capture_message(wish.message, level=wish.level)


def _exception(wish: Wish) -> str | None:
    try:
        _charge({"id": 4711, "items": ["notebook", "pencil"], "total": 23.5}, wish.message)
    except TrialError as error:
        return ErrorTracker().log_error(error, {"asked_for": "by a person, as a test"})
    return None


def _charge(order: dict[str, Any], message: str) -> None:
    attempts = 3
    for attempt in range(1, attempts + 1):
        if attempt == attempts:
            raise TrialError(message)


def _http(wish: Wish) -> str | None:
    error = default_exceptions.get(wish.status, HTTPException)(wish.message)
    error.code = wish.status
    try:
        raise error
    except HTTPException as raised:
        return ErrorTracker().log_error(raised)


def _chained(wish: Wish) -> str | None:
    try:
        try:
            prices = {"notebook": 23.5}
            prices["pencil"]
        except KeyError as error:
            raise TrialError(wish.message) from error
    except TrialError as error:
        return ErrorTracker().log_error(error)
    return None


def _group(wish: Wish) -> str | None:
    errors = [_raised(TimeoutError("no answer after 5 s")), _raised(ValueError("price 'free'"))]
    try:
        raise ExceptionGroup(wish.message, errors)
    except ExceptionGroup as group:
        return ErrorTracker().log_error(group)


def _raised(error: Exception) -> Exception:
    """Return the error with the traceback that raising it gives."""
    try:
        raise error
    except Exception as caught:
        return caught


def _thread(wish: Wish) -> str | None:
    # Nothing catches the error: the SDK records it when the thread ends, as in production. The
    # exception object is kept because it carries the id of the recorded event.
    kept: list[TrialError] = []

    def fails() -> None:
        kept.append(TrialError(wish.message))
        raise kept[0]

    thread = threading.Thread(target=fails, name="trial")
    thread.start()
    thread.join()
    return sentry.event_id_of(kept[0])


def _logged(wish: Wish) -> str | None:
    try:
        _charge({"id": 4712, "items": [], "total": 0}, wish.message)
    except TrialError as error:
        log.exception("an order could not be charged")
        return sentry.event_id_of(error)
    return None


def _slow(wish: Wish) -> str | None:
    started = time.monotonic()
    time.sleep(SLOW_S)
    try:
        raise TrialError(f"{wish.message} (after {time.monotonic() - started:.1f} s)")
    except TrialError as error:
        return ErrorTracker().log_error(error)


def _large(wish: Wish) -> str | None:
    rows = [
        {"id": number, "name": f"row {number}", "note": "x" * 200} for number in range(LARGE_ROWS)
    ]
    text = "A long text. " * (LARGE_TEXT // 13)
    try:
        raise TrialError(f"{wish.message} ({len(rows)} rows, {len(text):,} characters)")
    except TrialError as error:
        return ErrorTracker().log_error(error)


def _secret(wish: Wish) -> str | None:
    # Obviously fake secrets, in the places where real secrets occur.
    password = "not-a-real-password"  # noqa: S105 -- the point of this trial
    settings = {"api_key": "fake-key-0000", "currency": "EUR"}
    address = "https://user:not-a-real-password@example.org/pay"
    card_text = f"paid with 4242 4242 4242 4242 at {address}"
    try:
        raise TrialError(f"{wish.message} (password={password})")
    except TrialError as error:
        return ErrorTracker().log_error(error, {**settings, "note": card_text})


KINDS = {
    "exception": Kind("Exception", "Two calls deep and caught, with local variables.", _exception),
    "message": Kind("Message", "A text without a stack, at the level chosen below.", _message),
    "http": Kind("HTTP error", "What a view raises to answer with a status.", _http),
    "chained": Kind("Chained exception", "One error while handling another.", _chained),
    "group": Kind("Exception group", "Two errors at once, as concurrent code has them.", _group),
    "thread": Kind("In a thread", "Nobody catches it; the thread dies of it.", _thread),
    "logged": Kind("Logged", "What logger.exception() records.", _logged),
    "slow": Kind("Slow", "Raised after two seconds of waiting.", _slow),
    "large": Kind("Very large", "Local variables of 300 KB, to see that they are cut.", _large),
    "secret": Kind("With a secret", "A made-up password and card, to be taken out.", _secret),
}
