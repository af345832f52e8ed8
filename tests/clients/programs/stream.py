"""Sends a known stream with sentry-sdk; it prints the ids that the SDK chose as one JSON object.

python stream.py DSN static|stream FILE
"""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from pathlib import Path

import sentry_sdk
from sentry_sdk import crons, logger, traces
from sentry_sdk.integrations.stdlib import StdlibIntegration

DSN, LIFECYCLE, FILE = sys.argv[1:]
IS_STREAMED = LIFECYCLE == "stream"
LOG = {"warn": "warning"}


def play_lines(lines):
    """Write lines of a log."""
    for line in lines:
        write = getattr(logger, LOG.get(line["level"], line["level"]))
        write(line["body"], attributes=line["attributes"])


def play_error(message):
    """Report an error."""
    try:
        raise ValueError(message)
    except ValueError as error:
        return sentry_sdk.capture_exception(error)


def start(one, is_first):
    """Start a span in the way of the lifecycle."""
    if IS_STREAMED:
        return traces.start_span(one["name"], attributes={"sentry.op": one["op"]})
    begin = sentry_sdk.start_transaction if is_first else sentry_sdk.start_span
    return begin(op=one["op"], name=one["name"])


def play_span(one, seen, is_first=False):
    """Make a span; it ends as many milliseconds after its beginning as the list says."""
    with start(one, is_first) as span:
        seen["spans"].append({"name": one["name"], "span_id": span.span_id})
        seen["trace_id"] = span.trace_id
        play_lines(one.get("logs", []))
        if "error" in one:
            seen["errors"].append(play_error(one["error"]))
        if one.get("failed"):
            fail(span)
        for child in one["spans"]:
            play_span(child, seen)
        end = span.start_timestamp + timedelta(milliseconds=one["ms"])
        span.end(end) if IS_STREAMED else span.finish(end_timestamp=end)


def fail(span):
    """Set the status of a span that failed."""
    if IS_STREAMED:
        span.status = "error"
    else:
        span.set_status("internal_error")


def play_trace(one):
    """Make a trace of its own, and return its ids."""
    seen = {"spans": [], "errors": []}
    with sentry_sdk.isolation_scope():
        traces.new_trace()
        play_span(one, seen, is_first=True)
    return seen


def play_check_ins(monitor):
    """Send the check-ins of a monitor."""
    for run in monitor["runs"]:
        check_in_id = None
        for status in run["states"]:
            check_in_id = crons.capture_checkin(
                monitor["slug"],
                check_in_id,
                status,
                run.get("seconds") if status != "in_progress" else None,
                monitor.get("config"),
            )


def main():
    """Send everything."""
    sentry_sdk.init(
        DSN,
        release="shop@1.2.3",
        environment="staging",
        traces_sample_rate=1.0,
        enable_logs=True,
        trace_lifecycle=LIFECYCLE,
        # Importing every framework that is installed takes seconds.
        auto_enabling_integrations=False,
        # With streamed spans, version 2.75.0 traces the requests of its own transport.
        disabled_integrations=[StdlibIntegration()],
    )
    stream = json.loads(Path(FILE).read_text())
    play_lines(stream["lines"])
    found = [play_trace(one) for one in stream["traces"]]
    for monitor in stream["check_ins"]:
        play_check_ins(monitor)
    sentry_sdk.flush(timeout=10)
    print(json.dumps({"traces": found}))


main()
