"""What an answer of Sentry's API means for the event that was asked about.

    found    it is there
    absent   404: the event is not there, or the whole project is not
    odd      the answer is no help for this event; others may be asked about
    denied   the token is wrong or may not read the project
    failed   the API did not answer as Sentry's does: it is left alone for a while
    limited  429: it is left alone until the time that it named

Sources: https://docs.sentry.io/api/events/retrieve-an-event-for-a-project/ and
https://docs.sentry.io/api/ratelimits/, 2026-11-28.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple

from app.confirmation.client import MAX_ANSWER_BYTES, Reply
from app.delivery.policy import Failure
from app.protocol.event import parse_event_id
from app.protocol.rate_limits import DEFAULT_LIMIT, parse_retry_after

Meaning = Literal["found", "absent", "odd", "denied", "failed", "limited"]

# A longer limit is obeyed this long; then one request asks again.
MAX_LIMIT = timedelta(hours=1)
_GROUP = re.compile(r"\d{1,32}")
_DENIED = {
    401: "401: the API token is not valid",
    403: "403: the API token may not read the project (scope project:read)",
}
NO_PROJECT = "404: the organization or the project does not exist there, or the token is not for it"


class Verdict(NamedTuple):
    """The meaning of an answer.

    :param cause: in words, where it is not what was hoped for.
    :param until: no request is made before.
    :param group_id: Sentry's issue of an event that was found.
    """

    meaning: Meaning
    cause: str = ""
    until: datetime | None = None
    group_id: str | None = None


def judge_event(reply: Reply | Failure, event_id: str, now: datetime) -> Verdict:
    """Return what the answer to a question about an event means."""
    verdict, content = _judge(reply, now)
    if verdict.meaning != "found" or content is None:
        return verdict
    if event_id not in {parse_event_id(content.get(name)) for name in ("eventID", "id")}:
        return verdict._replace(meaning="odd", cause="the answer is about another event")
    group_id = str(content.get("groupID") or "")
    return verdict._replace(group_id=group_id if _GROUP.fullmatch(group_id) else None)


def judge_project(reply: Reply | Failure, project: str, now: datetime) -> Verdict:
    """Return what the answer to a question about a project means.

    :param project: its number in Sentry.
    """
    verdict, content = _judge(reply, now)
    if verdict.meaning == "absent":
        return verdict._replace(meaning="denied", cause=NO_PROJECT)
    if verdict.meaning == "found" and (content is None or str(content.get("id")) != project):
        return verdict._replace(meaning="denied", cause="the answer is about another project")
    if verdict.meaning == "odd":
        return verdict._replace(meaning="failed")
    return verdict


def _judge(reply: Reply | Failure, now: datetime) -> tuple[Verdict, dict[str, Any] | None]:
    if isinstance(reply, Failure):
        return Verdict("failed", reply.cause), None
    status, until = reply.status, _window_end(reply.headers, now)
    if status == 429:
        asked = parse_retry_after(reply.headers.get("retry-after", ""), now)
        until = min(asked or until or now + DEFAULT_LIMIT, now + MAX_LIMIT)
        return Verdict("limited", f"429: asked to wait until {until:%H:%M:%S} UTC", until), None
    if status in _DENIED:
        return Verdict("denied", _DENIED[status], until), None
    if status not in (200, 404):
        words = (
            "redirected, which is not followed" if 300 <= status < 400 else "no answer of an API"
        )
        words = "Sentry's API failed" if status >= 500 else words
        return Verdict("failed", f"{status}: {words}", until), None
    if reply.is_cut:
        size = f"{MAX_ANSWER_BYTES // 1024**2} MiB"
        return Verdict("odd", f"the answer is longer than {size}", until), None
    content = _object(reply.body)
    if content is None:
        return Verdict("failed", f"what answers {status} without JSON is not Sentry's API"), None
    return Verdict("found" if status == 200 else "absent", "", until), content


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _window_end(headers: Mapping[str, str], now: datetime) -> datetime | None:
    """Return when the window of requests ends, if the API says that no request is left in it."""
    if headers.get("x-sentry-rate-limit-remaining", "").strip() != "0":
        return None
    try:
        seconds = float(headers.get("x-sentry-rate-limit-reset", ""))
        moment = datetime.fromtimestamp(seconds, UTC) if math.isfinite(seconds) else None
    except (ValueError, OverflowError, OSError):
        return None
    return min(moment, now + MAX_LIMIT) if moment and moment > now else None
