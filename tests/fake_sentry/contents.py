"""The content of a body: header and items of an envelope, or an event of the store route.

This is a second parser besides `app.protocol`, so that tests find a mistake there instead of
repeating it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from dataclasses import dataclass, field
from typing import Any

from tests.fake_sentry.wire import BadRequest, Request

# A DSN may have a path in front of the project.
PATHS = re.compile(r"(?:/.*)?/api/([^/]+)/(envelope|store)/?")
# Types of items that have an event id in their payload.
EVENT_TYPES = frozenset({"event", "transaction", "feedback"})


@dataclass
class Contents:
    """The fields of an envelope that tests need."""

    headers: dict[str, Any]
    digest: str
    item_types: list[str] = field(default_factory=list)
    event_ids: list[str] = field(default_factory=list)
    client_reports: list[Any] = field(default_factory=list)

    @property
    def event_id(self) -> str | None:
        return self.headers.get("event_id")


def contents_of(request: Request, body: bytes) -> Contents:
    """Return the content of a body that was sent to one of ``PATHS``.

    :param body: bytes after Content-Encoding was undone.
    :raise BadRequest: the body is not an envelope, or not an event.
    """
    try:
        return _stored(body) if request.path.rstrip("/").endswith("/store") else _envelope(body)
    except (ValueError, KeyError, TypeError, AttributeError, zlib.error) as error:
        raise BadRequest(f"invalid body: {error!r}") from error


def key_of(request: Request, contents: Contents | None) -> tuple[str | None, str | None]:
    """Return the public key of a request, and its place: ``header``, ``query`` or ``dsn``."""
    sent = request.headers.get("x-sentry-auth") or request.headers.get("authorization", "")
    if found := re.search(r"\bsentry_key=(\w+)", sent):
        return found[1], "header"
    if key := request.query.get("sentry_key"):
        return key, "query"
    dsn = contents.headers.get("dsn") if contents else None
    if dsn and (found := re.match(r"\w+://(\w+)[@:]", dsn)):
        return found[1], "dsn"
    return None, None


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]


def _stored(body: bytes) -> Contents:
    # Old clients send base64 of zlib without a header that says so.
    if not body.lstrip().startswith(b"{"):
        body = zlib.decompress(base64.b64decode(body))
    event = json.loads(body)
    event_ids = [event["event_id"]] if event.get("event_id") else []
    return Contents({"event_id": event.get("event_id")}, _digest(body), ["event"], event_ids)


def _envelope(body: bytes) -> Contents:
    head, _, rest = body.partition(b"\n")
    headers = json.loads(head)
    # The digest leaves out the header: its sent_at differs at every attempt.
    contents = Contents(dict(headers), _digest(rest))
    while rest.strip():
        head, _, rest = rest.partition(b"\n")
        item = json.loads(head)
        length = item.get("length")
        payload = rest.partition(b"\n")[0] if length is None else rest[:length]
        if length is not None and len(payload) < length:
            raise ValueError(f"item of {length} bytes has {len(payload)}")
        rest = rest[len(payload) :].removeprefix(b"\n")
        _note_item(contents, item["type"], payload)
    return contents


def _note_item(contents: Contents, type_: str, payload: bytes) -> None:
    contents.item_types.append(type_)
    if type_ in EVENT_TYPES:
        event_id = json.loads(payload).get("event_id") or contents.event_id
        contents.event_ids += [event_id] if event_id else []
    elif type_ == "client_report":
        contents.client_reports.append(json.loads(payload))
