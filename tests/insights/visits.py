"""Sessions as clients report them, and their figures, counted without the service's code."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.protocol.envelope import Envelope, Item


@dataclass(frozen=True)
class Update:
    """An update of a session by a client."""

    sid: str | None
    release: str = "1.0"
    environment: str = "production"
    did: str | None = None
    status: str = "exited"
    errors: int = 0

    def item(self, **more: Any) -> Item:
        payload = {
            "sid": self.sid,
            "did": self.did,
            "init": True,
            "started": "2026-11-23T18:17:29.032261Z",
            "status": self.status,
            "errors": self.errors,
            "attrs": {"release": self.release, "environment": self.environment},
        }
        return Item({"type": "session"}, {**payload, **more})


def group(release: str = "1.0", environment: str = "production", **counts: Any) -> Item:
    """Return sessions of one minute as an aggregate; with ``did`` they are of one user."""
    attributes = {"release": release, "environment": environment}
    one = {"started": "2026-11-23T18:17:00Z", **counts}
    return Item({"type": "sessions"}, {"attrs": attributes, "aggregates": [one]})


def envelope(*items: Item) -> Envelope:
    return Envelope({}, list(items))


@dataclass
class Visit:
    """A session, with all its updates."""

    at: datetime
    release: str
    environment: str
    did: str | None
    said: set[str]

    @property
    def end(self) -> str:
        for end in ("crashed", "abnormal"):
            if end in self.said:
                return end
        return "errored" if self.said & {"errored", "unhandled", "errors"} else "fine"


def visits(arrived: Iterable[tuple[datetime, Update]]) -> list[Visit]:
    """Return every session, with the time of its first update."""
    found: dict[Any, Visit] = {}
    for number, (at, one) in enumerate(arrived):
        key = one.sid and (one.sid, one.release, one.environment)
        visit = found.setdefault(
            key or number, Visit(at, one.release, one.environment, one.did, set())
        )
        visit.did = visit.did or one.did
        visit.said |= {one.status, "errors"} if one.errors else {one.status}
    return list(found.values())


def figures(visits: Iterable[Visit]) -> tuple[int, ...]:
    """Return counts: sessions, crashed, abnormal, errored, users, users with a crash."""
    visits = list(visits)
    ends = [visit.end for visit in visits]
    users = {visit.did for visit in visits if visit.did}
    unlucky = {visit.did for visit in visits if visit.did and visit.end == "crashed"}
    counts = [ends.count(end) for end in ("crashed", "abnormal", "errored")]
    return len(ends), *counts, len(users), len(unlucky)
