"""The check "accepts": send a real event to Sentry and explain the response.

The event is sent directly to Sentry and is not stored here, because only the response matters. A
200 means that Sentry has queued the event. Sentry's filters and quotas come later; only its pages
show whether the event is there.

Source: https://develop.sentry.dev/sdk/foundations/transport/envelopes/ and
https://develop.sentry.dev/sdk/expected-features/rate-limiting/, 2026-11-23.
"""

from __future__ import annotations

import http.client
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta

from app.cli.verify import checks
from app.cli.verify.checks import Run, within
from app.cli.verify.network import open_stream
from app.delivery.policy import Answer, clock, judge, page_kind, words_of
from app.protocol.dsn import Dsn
from app.protocol.envelope import Envelope, Item, serialize_envelope
from app.protocol.rate_limits import longest, parse_http_date
from app.store import utc_now
from app.web.checks import Result, Verdict, combined, failed, passed, warned

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


def accepts(run: Run) -> Verdict:
    """Send an event to Sentry and return what its response means."""
    target, event_id = run.aim(), uuid.uuid4().hex
    try:
        answer = within(checks.TIMEOUT_S, _post, run, target, _envelope(run, event_id))
    except TimeoutError:
        detail = f"no answer within {checks.TIMEOUT_S:g} s, though it connects"
        return failed(detail, "see how Sentry is; events are kept here until it answers")
    except (http.client.HTTPException, OSError) as error:
        said = f"{type(error).__name__}: {run.clean(str(error))}"
        return failed(f"what answers does not speak HTTP as it should: {said}", NOT_SENTRY)
    now = utc_now()
    verdict = _verdict(run, answer, now)
    return verdict if verdict.result == Result.FAIL else combined(verdict, *_skew(answer, now))


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
    # With an open socket, http.client neither resolves nor connects again, and uses no proxy.
    kind = http.client.HTTPSConnection if target.is_encrypted else http.client.HTTPConnection
    connection = kind(target.host, target.port)
    connection.sock = open_stream(run, target)
    try:
        connection.request("POST", target.path, body, headers)
        with connection.getresponse() as response:
            names = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status, names, response.read(MAX_BODY_BYTES))
    finally:
        connection.close()


# ---- the answer ---------------------------------------------------------------------------------


def _verdict(run: Run, answer: Answer, now: datetime) -> Verdict:
    status, words = answer.status, run.clean(words_of(answer))
    said = f" (it says: {words})" if words else ""
    if 200 <= status < 300:
        return _accepted(answer, now)
    if 300 <= status < 400:
        # In many clients a redirected POST loses its body, so redirects are not followed.
        mend = "put the address it leads to into SENTRY_DSN, unless it is a login page"
        return failed(f"{status}: redirected to {words or 'nowhere'}", mend)
    if status == 429:
        return _limited(answer, now)
    if status >= 500:
        mend = "see how Sentry is; events are kept here and sent when it is well again"
        return failed(f"{status}: Sentry is overloaded or down{said}", mend)
    cause, mend = REFUSALS.get(status, ("it refuses the event", NOT_SENTRY))
    return failed(f"{status}: {cause}{said}", mend)


def _accepted(answer: Answer, now: datetime) -> Verdict:
    status, decision = answer.status, judge(answer, now)
    if decision.kind != "delivered":
        return failed(f"{status} with {page_kind(answer)}: this is not Sentry", NOT_SENTRY)
    if decision.upstream_id is None:
        return failed(f"{status} without an event id: this is not Sentry", NOT_SENTRY)
    verdict = passed(f"{status}, Sentry took event {decision.upstream_id}")
    until = longest(decision.limits, ["event"])
    if until is None:
        return verdict
    return combined(verdict, warned(f"it takes no more until {clock(until)}", _LIMIT_MEND))


_LIMIT_MEND = "events are kept here and sent then; look at quota and rate limits of the project"


def _limited(answer: Answer, now: datetime) -> Verdict:
    until = longest(judge(answer, now).limits, ["event"])
    is_said = not {"retry-after", "x-sentry-rate-limits"}.isdisjoint(answer.headers)
    when = f"until {clock(until)}" if until and is_said else "without saying until when"
    return warned(f"429: Sentry takes no events {when}", _LIMIT_MEND)


def _skew(answer: Answer, now: datetime) -> Iterator[Verdict]:
    theirs = parse_http_date(answer.headers.get("date", ""))
    if theirs is None or abs(now - theirs) <= MAX_CLOCK_SKEW:
        return
    seconds = (now - theirs).total_seconds()
    yield warned(
        f"this machine's clock is {abs(seconds):.0f} s {'ahead' if seconds > 0 else 'behind'}",
        "set the clock, best by a time service: events get wrong times, certificates seem expired",
    )
