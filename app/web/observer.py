"""This application's own requests: how long each took, and whether it failed.

Every request is counted, and only here. The SDK sends only a sample of them, so its transactions
are stored and forwarded, but not counted again. Requests are counted by the rule of the route. The
path would not do, because callers can make up any number of paths. Requests that are not traced
(ingest, static files, polling, probes) are not counted either: ``App.__call__`` does not start
their clock.
"""

from __future__ import annotations

import time

from flask import Flask, Response, request

from app.intake import Intake
from app.protocol.transaction import Timing

# In the WSGI environment: when a request that is counted arrived, by time.perf_counter().
STARTED = "devenviro.started"
# Set by a route that fails on purpose, as a test. Its request counts, but not as a failure.
FAILS_ON_PURPOSE = "devenviro.fails_on_purpose"
_STATUS = "devenviro.status"
UNMATCHED = "<unmatched>"


class Observer:
    """Counts the requests of an application.

    :param release: the release of this application.
    :param environment: its environment, a setting.
    """

    def __init__(self, intake: Intake, release: str, environment: str) -> None:
        self._intake = intake
        self._release = release[:250]
        self._environment = environment

    def init_app(self, app: Flask) -> None:
        """Count every request whose clock was started, when the request is over."""
        app.after_request(_note_status)
        app.teardown_request(self._count)

    def _count(self, error: BaseException | None) -> None:
        now = time.perf_counter()
        # Use the request itself, because each access through its proxy costs a microsecond.
        current = request._get_current_object()  # type: ignore[attr-defined]  # the proxy's own
        started = current.environ.pop(STARTED, None)
        if started is None:
            return
        rule = current.url_rule
        # A request without a status ended in an error that no handler could answer.
        is_failure = FAILS_ON_PURPOSE not in current.environ
        failed = is_failure and current.environ.get(_STATUS, 500) >= 500
        name = UNMATCHED if rule is None else rule.rule[:200]
        ms = (now - started) * 1000
        self._intake.observe(Timing(name, self._release, self._environment, ms, failed))


def _note_status(response: Response) -> Response:
    request.environ[_STATUS] = response.status_code
    return response
