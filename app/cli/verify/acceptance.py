"""What Sentry says to a real event, and what that means.

The event goes straight there, past the store: what is looked at is the answer. A 200 means that
Sentry has queued it; its filters and quotas come later, and only its pages show the event.

Source: https://develop.sentry.dev/sdk/foundations/transport/envelopes/ and
https://develop.sentry.dev/sdk/expected-features/rate-limiting/, 2026-11-23.
"""

from __future__ import annotations

import http.client
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from app.cli.verify import checks
from app.cli.verify.checks import Run, Verdict, combined, failed, passed, warned, within
from app.cli.verify.network import open_socket
from app.delivery.client import tls_context
from app.protocol import rate_limits
from app.protocol.dsn import Dsn
from app.protocol.envelope import Envelope, Item, serialize_envelope
from app.protocol.event import parse_event_id
from app.store import utc_now

CLIENT = "devenviro-verify/1"
MAX_BODY_BYTES = 65_536
MAX_CLOCK_SKEW = timedelta(seconds=60)

NOT_SENTRY = "see that host and path in SENTRY_DSN are Sentry's, and that no login page is in front"
COPY_DSN = "copy the DSN again: Sentry, Project Settings, Client Keys; see that the key is enabled"
REFUSALS = {
    400: ("it cannot read the request or the key", COPY_DSN),
    401: ("the key is wrong", COPY_DSN),
    403: ("the key is disabled, or another project's", COPY_DSN),
    404: (
        "the path or the project does not exist there",
        "see that path and project in SENTRY_DSN are right, and that Sentry is 20.6 or newer",
    ),
    413: (
        "it refuses even a small event as too large",
        "raise the limit of the proxy in front of Sentry",
    ),
}


@dataclass(frozen=True)
class Answer:
    """An HTTP answer. ``at``: our clock when it came; ``body``: its beginning."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes
    at: datetime

    def json(self) -> Any:
        """Return its body as JSON, ``None`` when it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None


def accepts(run: Run) -> Verdict:
    """Post an event and judge the answer."""
    target, event_id = run.aim(), uuid.uuid4().hex
    try:
        answer = within(checks.TIMEOUT_S, _post, run, target, _envelope(run, event_id))
    except TimeoutError:
        detail = f"no answer within {checks.TIMEOUT_S:g} s, though it connects"
        return failed(detail, "see how Sentry is; events are kept here until it answers")
    except (http.client.HTTPException, OSError) as error:
        said = f"{type(error).__name__}: {run.clean(str(error))}"
        return failed(f"what answers does not speak HTTP as it should: {said}", NOT_SENTRY)
    verdict = _judged(run, answer)
    return verdict if verdict.result == "fail" else combined(verdict, *_skew(answer))


def _envelope(run: Run, event_id: str) -> bytes:
    event = {
        "event_id": event_id,
        "timestamp": utc_now().isoformat(),
        "platform": "python",
        "level": "info",
        "logger": "devenviro.verify",
        "logentry": {"message": "flask verify: Sentry accepts events"},
        "environment": run.config.ENVIRONMENT,
        "release": run.release,
        "tags": {"verify": run.id},
    }
    return serialize_envelope(Envelope({"event_id": event_id}, [Item({"type": "event"}, event)]))


def _post(run: Run, target: Dsn, body: bytes) -> Answer:
    headers = {
        "Content-Type": "application/x-sentry-envelope",
        "User-Agent": CLIENT,
        "X-Sentry-Auth": target.authorization(CLIENT),
        "Connection": "close",
    }
    connection = _connection(run, target)
    try:
        connection.request("POST", target.path, body, headers)
        with connection.getresponse() as response:
            content = response.read(MAX_BODY_BYTES)
            return Answer(response.status, response.headers, content, utc_now())
    finally:
        connection.close()


def _connection(run: Run, target: Dsn) -> http.client.HTTPConnection:
    # Given an open socket, http.client neither resolves nor connects again, and uses no proxy.
    kind = http.client.HTTPSConnection if target.is_encrypted else http.client.HTTPConnection
    connection = kind(target.host, target.port, timeout=checks.TIMEOUT_S)
    sock = open_socket(run.addresses)
    try:
        connection.sock = (
            tls_context().wrap_socket(sock, server_hostname=target.host)
            if target.is_encrypted
            else sock
        )
    except OSError:
        sock.close()
        raise
    return connection


# ---- the answer ---------------------------------------------------------------------------------


def _judged(run: Run, answer: Answer) -> Verdict:
    status = answer.status
    if 200 <= status < 300:
        return _taken(answer)
    if 300 <= status < 400:
        return _redirected(run, answer)
    if status == 429:
        return _limited(answer)
    if status >= 500:
        mend = "see how Sentry is; events are kept here and sent when it is well again"
        return failed(f"{status}: Sentry is overloaded or down{_said(run, answer)}", mend)
    cause, mend = REFUSALS.get(status, ("it refuses the event", NOT_SENTRY))
    return failed(f"{status}: {cause}{_said(run, answer)}", mend)


def _taken(answer: Answer) -> Verdict:
    content = answer.json()
    if not isinstance(content, dict):
        kind = "an HTML page" if answer.body.lstrip().startswith(b"<") else "no JSON"
        return failed(f"{answer.status} with {kind}: this is not Sentry", NOT_SENTRY)
    event_id = parse_event_id(content.get("id"))
    if event_id is None:
        return failed(f"{answer.status} without an event id: this is not Sentry", NOT_SENTRY)
    verdict = passed(f"{answer.status}, Sentry took event {event_id}")
    until = _limited_until(answer)
    if until is None:
        return verdict
    return combined(verdict, warned(f"it takes no more until {_clock(until)}", _LIMIT_MEND))


_LIMIT_MEND = "events are kept here and sent then; look at quota and rate limits of the project"


def _limited(answer: Answer) -> Verdict:
    until = _limited_until(answer) or _retry_after(answer)
    when = f"until {_clock(until)}" if until else "without saying until when"
    return warned(f"429: Sentry takes no events {when}", _LIMIT_MEND)


def _redirected(run: Run, answer: Answer) -> Verdict:
    # A redirected POST loses its body in many clients, hence nobody follows it.
    where = run.clean((answer.headers.get("Location") or "nowhere").partition("?")[0])
    mend = "put the address it leads to into SENTRY_DSN, unless it is a login page"
    return failed(f"{answer.status}: redirected to {where}", mend)


def _said(run: Run, answer: Answer) -> str:
    content = answer.json()
    detail = content.get("detail") if isinstance(content, dict) else None
    said = run.clean(str(answer.headers.get("X-Sentry-Error") or detail or ""))
    return f" (it says: {said})" if said else ""


# ---- limits and clocks --------------------------------------------------------------------------


def _limited_until(answer: Answer) -> datetime | None:
    """Return until when ``X-Sentry-Rate-Limits`` names events, ``None`` when it does not."""
    header = answer.headers.get("X-Sentry-Rate-Limits") or ""
    return rate_limits.longest(rate_limits.parse_rate_limits(header, answer.at), ["event"])


def _retry_after(answer: Answer) -> datetime | None:
    return rate_limits.parse_retry_after(answer.headers.get("Retry-After") or "", answer.at)


def _clock(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _skew(answer: Answer) -> Iterator[Verdict]:
    theirs = rate_limits.parse_http_date(answer.headers.get("Date") or "")
    if theirs is None or abs(answer.at - theirs) <= MAX_CLOCK_SKEW:
        return
    seconds = (answer.at - theirs).total_seconds()
    yield warned(
        f"this machine's clock is {abs(seconds):.0f} s {'ahead' if seconds > 0 else 'behind'}",
        "set the clock, best by a time service: events get wrong times, certificates seem expired",
    )
