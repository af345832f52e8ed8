"""One event as its page shows it: every size is limited, and every type of value is accepted.

StoredEvent ── EventView ── stacks (stack_view) ── parts ── frames ── lines of source
                    └────── facts, breadcrumbs, request, contexts … as named texts
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple

from app.admin.curl import curl_of
from app.admin.event_time import time_corrected
from app.admin.stack_view import Stack, stacks_of
from app.events.places import place_of
from app.events.queries import StoredEvent
from app.events.values import Shown, as_text, printable, read_time, shorten, show, show_all
from app.protocol.event import Frame, read_level
from app.protocol.lenient import read_hex
from app.protocol.libraries import newest_own_frame

MAX_BREADCRUMBS = 100
# The fields of a user that a query can search for.
_PERSON = (
    ("email", "user.email"),
    ("username", "user.username"),
    ("id", "user.id"),
    ("ip_address", "user.ip"),
)
# What is shown of a request first.
_HEAD = ("method", "url")


@dataclass(frozen=True)
class Breadcrumb:
    """One breadcrumb."""

    at: datetime | None
    level: str
    category: str
    message: Shown
    data: list[Shown]


class Section(NamedTuple):
    """Named values under a heading."""

    name: str
    members: list[Shown]


class EventView:
    """An event as its pages draw it. Each part is made when a template asks for it.

    :param source_url: of its project, where frames lead to.
    """

    def __init__(self, stored: StoredEvent, source_url: str | None = None) -> None:
        self.stored = stored
        self.source_url = source_url
        self.event = stored.event
        self._exception = stored.event.main_exception

    @property
    def type(self) -> str:
        """The type of the exception, empty for a message."""
        return printable(self.event.type) if self._exception else ""

    @cached_property
    def value(self) -> str:
        """The value of the exception, or the message."""
        shown = self._exception.value if self._exception else self.event.message
        return printable(shown or "")

    @cached_property
    def where(self) -> str:
        """The function, file and line of the newest frame of the program itself."""
        return _where(newest_own_frame(self._exception.frames)) if self._exception else ""

    @cached_property
    def stacks(self) -> list[Stack]:
        """The exceptions, the newest first; without one, the stack of the thread or message."""
        return stacks_of(self.event, self.stored.payload, self.source_url)

    @cached_property
    def breadcrumbs(self) -> list[Breadcrumb]:
        """The last breadcrumbs, the newest first."""
        return [_breadcrumb(crumb) for crumb in reversed(self.event.breadcrumbs[-MAX_BREADCRUMBS:])]

    @property
    def breadcrumbs_left_out(self) -> int:
        """The number of older breadcrumbs."""
        return max(0, len(self.event.breadcrumbs) - MAX_BREADCRUMBS)

    @cached_property
    def user(self) -> list[Shown]:
        """The user."""
        return show_all(self.event.user)

    @cached_property
    def person(self) -> tuple[str, str] | None:
        """What tells the user apart, as a key of a query and its value; ``None`` without a user."""
        for name, key in _PERSON:
            value = self.event.user.get(name)
            if value and isinstance(value, str | int):
                return key, printable(str(value))
        return None

    @cached_property
    def browser(self) -> str:
        """The browser with its version."""
        browser = self.event.contexts.get("browser")
        if not isinstance(browser, dict):
            return ""
        return " ".join(as_text(browser[n]) for n in ("name", "version") if browser.get(n))[:60]

    @cached_property
    def trace_id(self) -> str | None:
        """The id of its trace, as logs have it; ``None`` without one."""
        trace = self.event.contexts.get("trace")
        return read_hex(trace.get("trace_id"), 32) if isinstance(trace, dict) else None

    @property
    def request_url(self) -> str:
        """The URL of the request."""
        url = self.event.request.get("url")
        return printable(url) if isinstance(url, str) else ""

    @cached_property
    def request_line(self) -> str:
        """The method and the path of the request."""
        method = self.event.request.get("method")
        shown = method if isinstance(method, str) else ""
        path = re.sub(r"^\w{1,20}://[^/?#]*|[?#].*", "", self.request_url, flags=re.DOTALL)
        return shorten(f"{printable(shown)} {path or self.request_url}".strip(), 60)

    @cached_property
    def tags(self) -> list[Shown]:
        """The tags."""
        return show_all(self.event.tags)

    @cached_property
    def request(self) -> list[Shown]:
        """Method and URL of the request."""
        request = self.event.request
        return [show(name, request[name]) for name in _HEAD if request.get(name)]

    @cached_property
    def request_sections(self) -> list[Section]:
        """All else of the request."""
        given = self.event.request.items()
        return _sections({name: value for name, value in given if name not in _HEAD})

    @property
    def curl(self) -> str | None:
        """The request as a command."""
        return curl_of(self.event.request)

    @cached_property
    def contexts(self) -> list[Section]:
        """The contexts."""
        return _sections(self.event.contexts)

    @cached_property
    def extra(self) -> list[Shown]:
        """The extra data."""
        return show_all(self.event.extra)

    @cached_property
    def modules(self) -> list[Shown]:
        """The installed packages, by name."""
        shown = show_all(self.event.modules, 1000)
        return sorted(shown, key=lambda module: module.name.lower())

    @property
    def sdk(self) -> str:
        """Name and version of the SDK."""
        sdk = self.event.sdk
        return " ".join(as_text(sdk[name]) for name in ("name", "version") if sdk.get(name))[:200]

    @property
    def receipt(self) -> list[dict[str, str]]:
        """What was taken out of the event."""
        return list(self.stored.row.scrubbed)

    @property
    def time_corrected(self) -> str:
        """Why the time of the event is not the one that its client sent."""
        return time_corrected(self.stored.row)


def _where(frame: Frame | None) -> str:
    if frame is None:
        return ""
    place = place_of(frame)
    return f"{printable(frame.function)} in {place}" if frame.function else place


def _breadcrumb(crumb: dict[str, Any]) -> Breadcrumb:
    return Breadcrumb(
        at=read_time(crumb.get("timestamp")),
        level=read_level(crumb["level"]) if crumb.get("level") else "info",
        category=shorten(as_text(crumb.get("category") or crumb.get("type") or ""), 80),
        message=show("message", crumb.get("message") or ""),
        data=show_all(crumb.get("data"), 50),
    )


def _sections(members: dict[str, Any]) -> list[Section]:
    shown = [Section(as_text(name)[:100], show_all(value)) for name, value in members.items()]
    return [section for section in shown if section.members][:50]


def attachments_shown(described: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the name, type and size of attachments as pages show them."""
    return [attachment_shown(part) for part in described]


def attachment_shown(attachment: dict[str, Any]) -> dict[str, Any]:
    """Return the name, type and size of an attachment as pages show them."""
    return {
        "filename": shorten(as_text(attachment["filename"] or "(no name)"), 120),
        "content_type": shorten(as_text(attachment["content_type"] or "unknown type"), 80),
        "size": attachment["size"],
    }
