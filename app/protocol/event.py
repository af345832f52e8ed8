"""The event: one occurrence. All forms that SDKs send are read into one class.

payload ── message ── stacks (exceptions, threads) ── request ── tags … ── Event

Invalid input raises no error here. A field of a wrong type is read as absent, because a partly
invalid event is still worth keeping.

Source: https://develop.sentry.dev/sdk/data-model/event-payloads/, 2026-11-23.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from app.protocol.caller import AUTO_ADDRESS
from app.protocol.derived import with_derived_tags, with_user_agent
from app.protocol.exception_tree import decide, grow
from app.protocol.http_request import read_request
from app.protocol.lenient import (
    LEVELS,
    Level,
    clean_text,
    parse_event_id,
    read_anything,
    read_dict,
    read_level,
    read_list,
    read_name,
    read_pairs,
    read_tags,
    read_timestamp,
    read_values,
)
from app.protocol.libraries import newest_own_frame
from app.protocol.message import read_message
from app.protocol.stack import ExceptionValue, Frame, read_stacks, top_frame

__all__ = [
    "LEVELS",
    "Event",
    "ExceptionValue",
    "Frame",
    "Level",
    "clean_text",
    "first_line",
    "parse_event_id",
    "read_event",
    "read_level",
    "top_frame",
]


@dataclass(frozen=True, slots=True)
class Event:
    """An event. ``exceptions`` has the order of the payload, the cause first.

    :param stack: for an event without exceptions, the frames of its crashed or current thread.

    ``main_exception`` names the issue. It is the nearest exception of the chain that has frames of
    the application, or else the outermost exception, which is the last. It is ``None`` for an event
    without exceptions.
    """

    event_id: str
    timestamp: datetime
    level: str
    platform: str | None = None
    logger: str | None = None
    message: str | None = None
    message_template: str | None = None
    transaction: str | None = None
    release: str | None = None
    dist: str | None = None
    environment: str | None = None
    server_name: str | None = None
    user: dict[str, Any] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    contexts: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)
    request: dict[str, Any] = field(default_factory=dict)
    sdk: dict[str, Any] = field(default_factory=dict)
    modules: dict[str, Any] = field(default_factory=dict)
    fingerprint: list[str] = field(default_factory=list)
    exceptions: list[ExceptionValue] = field(default_factory=list)
    breadcrumbs: list[dict[str, Any]] = field(default_factory=list)
    stack: list[Frame] = field(default_factory=list)
    main_exception: ExceptionValue | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        main = self.outermost_exception
        if len(self.exceptions) > 1:
            main = decide(grow(self.exceptions))[0].exception
        # Computed once: it is read several times, and the fields of an event do not change.
        object.__setattr__(self, "main_exception", main)

    @property
    def outermost_exception(self) -> ExceptionValue | None:
        """The exception that was raised last and contains all others as causes."""
        return self.exceptions[-1] if self.exceptions else None

    @property
    def main_frames(self) -> list[Frame]:
        """The frames of the main exception, or of the event itself if it has no exception."""
        return self.main_exception.frames if self.main_exception else self.stack

    @property
    def type(self) -> str:
        """The exception's type, or ``message`` for an event without one."""
        return (self.main_exception and self.main_exception.type) or "message"

    @property
    def title(self) -> str:
        """The title in lists: ``Type: first line of the value``, or the message.

        For an exception that a library wrapped, the title also has the function where it happened.
        """
        exception = self.main_exception
        if exception is None or not (exception.type or exception.value):
            return first_line(self.message) or self.culprit or "(no message)"
        shown = ": ".join(part for part in (exception.type, first_line(exception.value)) if part)
        return f"{shown}{self._place_behind_wrapper}" or "(no message)"

    @property
    def _place_behind_wrapper(self) -> str:
        if self.main_exception is self.outermost_exception:
            return ""
        frame = newest_own_frame(self.main_frames)
        if frame is None or not frame.function:
            return ""
        name = re.split(r"[./\\:]", frame.module or "")[-1]
        return f" (in {f'{name}.' if name else ''}{frame.function})"

    @property
    def culprit(self) -> str:
        """Where the event happened: the transaction, or else the newest application frame."""
        if self.transaction:
            return self.transaction
        frame = newest_own_frame(self.main_frames)
        if frame is None:
            return self.logger or ""
        binary = re.split(r"[/\\]", frame.package or "")[-1]
        where = frame.module or frame.filename or frame.abs_path or binary
        return " in ".join(part for part in (where, frame.function) if part) or "?"

    @property
    def user_identity(self) -> str | None:
        """The identity of the affected user: the first known of id, username, email and address."""
        known = (read_name(self.user.get(key)) for key in ("id", "username", "email", "ip_address"))
        return next((who for who in known if who and who != AUTO_ADDRESS), None)


def first_line(value: str | None) -> str:
    """Return the first non-empty line of a text, or an empty text."""
    return next((line.strip() for line in (value or "").splitlines() if line.strip()), "")


def read_event(
    payload: dict[str, Any], *, event_id: str, received_at: datetime, sdk: object = None
) -> Event:
    """Return the event in a payload.

    :param event_id: the id of the event; the envelope's header wins over the payload.
    :param received_at: the time received, used if the timestamp is missing or invalid.
    :param sdk: the ``sdk`` of the envelope's headers, used if the payload does not name an SDK.
    """
    get = payload.get
    message = read_message(payload)
    stacks = read_stacks(payload)
    request = read_request(get("request") or get("sentry.interfaces.Http"))
    contexts = with_user_agent(
        read_dict(get("contexts") or get("sentry.interfaces.Contexts")),
        request,
        read_name(get("platform")),
    )
    outermost = stacks.exceptions[-1] if stacks.exceptions else None
    logger = read_name(get("logger"))
    return Event(
        event_id=event_id,
        timestamp=read_timestamp(get("timestamp")) or received_at,
        level=read_level(get("level")),
        platform=read_name(get("platform")),
        logger=logger,
        message=message.formatted,
        message_template=message.template,
        # Old clients send the transaction as the culprit.
        transaction=read_name(get("transaction")) or read_name(get("culprit")),
        release=read_name(get("release")),
        dist=read_name(get("dist")),
        environment=read_name(get("environment")),
        server_name=read_name(get("server_name")),
        user=read_dict(get("user") or get("sentry.interfaces.User")),
        tags=with_derived_tags(read_tags(get("tags")), contexts, request, logger, outermost),
        contexts=contexts,
        extra=read_pairs(get("extra")),
        request=request,
        sdk=_sdk(get("sdk"), sdk),
        modules=read_pairs(get("modules")),
        fingerprint=_fingerprint(payload),
        exceptions=stacks.exceptions,
        breadcrumbs=read_values(get("breadcrumbs") or get("sentry.interfaces.Breadcrumbs")),
        stack=stacks.loose,
    )


def _sdk(own: object, of_envelope: object) -> dict[str, Any]:
    named = read_dict(own)
    return named if named.get("name") else {**read_dict(of_envelope), **named}


def _fingerprint(payload: dict[str, Any]) -> list[str]:
    """Return the client's fingerprint; raven's ``checksum`` is a fingerprint with one part."""
    given = payload.get("fingerprint") or payload.get("checksum")
    parts = [given] if isinstance(given, str) else read_list(given)
    return [text for part in parts if (text := read_anything(part))]
