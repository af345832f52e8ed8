"""This application's own requests: how long each took, and whether it failed.

Every one of them is counted, here and only here: what the SDK sends of them is a sample, so its
transactions at the first door are stored and sent on, but not counted again. Counted by the rule of
the route, never by the path, of which there are as many as callers like. What is not traced
(ingest, static files, polling, probes) is not counted either; the door tells, by not starting the
clock.
"""

from __future__ import annotations

import time

from flask import Flask, Response, request

from app.intake import Intake
from app.protocol.transaction import Timing

# In the WSGI environment: when a request came that is to be counted, by time.perf_counter().
STARTED = "devenviro.started"
_STATUS = "devenviro.status"
UNMATCHED = "<unmatched>"


class Observer:
    """Counts the requests of an application.

    :param release: of this application; ``environment`` is its setting.
    """

    def __init__(self, intake: Intake, release: str, environment: str) -> None:
        self._intake = intake
        self._release = release[:250]
        self._environment = environment

    def init_app(self, app: Flask) -> None:
        """Have every request that the door started the clock for counted when it is over."""
        app.after_request(_note_status)
        app.teardown_request(self._count)

    def _count(self, error: BaseException | None) -> None:
        now = time.perf_counter()
        # The request itself, since each look through its proxy costs a microsecond.
        current = request._get_current_object()  # type: ignore[attr-defined]  # the proxy's own
        started = current.environ.pop(STARTED, None)
        if started is None:
            return
        rule = current.url_rule
        # Whatever has no status ended in an error that nothing could answer.
        failed = current.environ.get(_STATUS, 500) >= 500
        name = UNMATCHED if rule is None else rule.rule[:200]
        ms = (now - started) * 1000
        self._intake.observe(Timing(name, self._release, self._environment, ms, failed))


def _note_status(response: Response) -> Response:
    request.environ[_STATUS] = response.status_code
    return response
