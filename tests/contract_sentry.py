"""A contract server of Sentry: its ingest route and the two routes of its API that are asked.

It behaves as the published API does: what it accepts is shown after a delay; an event that is not
there is a 404, and so is another organization or project; a wrong token is a 401, one without the
scope a 403; every answer has the headers of the rate limit, and 429 comes when it is used up. Tests
can have it swallow events after its 200, and lie.

Sources: https://docs.sentry.io/api/events/retrieve-an-event-for-a-project/,
https://docs.sentry.io/api/projects/retrieve-a-project/ and https://docs.sentry.io/api/ratelimits/.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from flask import Flask, Response, jsonify, request

from tests.mini_sentry import MiniSentry

TOKEN = "sntrys_a-token-for-tests-only"
ORG, PROJECT, GROUP = "acme", "42", "1341191803"

Lie = Callable[[str], Any]


class ContractSentry(MiniSentry):
    """The server, a context manager.

    :ivar swallows: whether the event that is accepted as the n-th, from 1 on, is lost.
    :ivar delay_s: seconds by the moved clock until an accepted event is shown.
    :ivar lie: returns another answer than the true one for a path of the API, or ``None``.
    :ivar asked: the paths of the API in the order of the questions, with the time of each.
    """

    def __init__(self) -> None:
        super().__init__()
        self.swallows: Callable[[int], bool] = lambda number: False
        self.delay_s = 5.0
        self.lie: Lie | None = None
        self.asked: list[tuple[float, str]] = []
        self.swallowed: set[str] = set()
        self.tokens: list[str] = []
        self.left: int | None = None
        self._shown_at: dict[str, float] = {}
        self._numbers: dict[str, int] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.port}"

    def show(self, event_id: str) -> None:
        """Show an event that was swallowed: the backlog behind the door was worked off."""
        self.swallowed.discard(event_id)
        self._shown_at[event_id] = 0.0

    def times(self) -> Counter[int]:
        """Return how many questions came in each second."""
        return Counter(int(at) for at, _ in self.asked)

    def _take_stock(self) -> None:
        with self._arrived:
            for envelope in self.envelopes:
                event_id = envelope.headers.get("event_id", "")
                if envelope.event() is None or event_id in self._numbers:
                    continue
                self._numbers[event_id] = len(self._numbers) + 1
                if self.swallows(self._numbers[event_id]):
                    self.swallowed.add(event_id)
                else:
                    self._shown_at[event_id] = time.time() + self.delay_s

    def _application(self) -> Flask:
        app = super()._application()

        @app.after_request
        def take_stock(response: Response) -> Response:
            self._take_stock()
            return response

        @app.get("/api/0/<path:path>")
        def api(path: str) -> Any:
            self.asked.append((time.time(), path))
            self.tokens.append(request.headers.get("Authorization", ""))
            lie = self.lie(path) if self.lie else None
            if lie is not None:
                return lie
            return self._api(path)

        return app

    def _api(self, path: str) -> Any:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return {"detail": "Invalid token"}, 401
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                headers = limits(0, int(time.time()) + 60)
                return {"detail": "You are attempting to use this endpoint too often"}, 429, headers
        parts = path.strip("/").split("/")
        if parts[:3] != ["projects", ORG, PROJECT]:
            return {"detail": "The requested resource does not exist"}, 404
        if len(parts) == 3:
            return answered({"id": PROJECT, "slug": "shop", "name": "Shop"})
        event_id = parts[4]
        if self._shown_at.get(event_id, float("inf")) > time.time():
            return {"detail": "Event not found"}, 404, limits(39, int(time.time()) + 1)
        return answered(
            {"id": event_id, "eventID": event_id, "groupID": GROUP, "title": "An error"}
        )


def answered(content: dict[str, Any]) -> Response:
    response = jsonify(content)
    response.headers.update(limits(39, int(time.time()) + 1))
    return response


def limits(left: int, reset: int) -> dict[str, str]:
    return {
        "X-Sentry-Rate-Limit-Limit": "40",
        "X-Sentry-Rate-Limit-Remaining": str(left),
        "X-Sentry-Rate-Limit-Reset": str(reset),
    }
