"""Figures: what rules ask of parts that measure requests and sessions."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple, Protocol

from sqlalchemy import Connection

from app.insights import health, performance


class Figure(NamedTuple):
    """A figure and of how many requests or sessions it is."""

    value: float
    of: int


class Figures(Protocol):
    """Of a project, from ``since`` up to ``until``; ``None`` where nothing is known."""

    def error_rate(
        self, conn: Connection, project_id: int, since: datetime, until: datetime
    ) -> Figure | None:
        """Return how many of 100 requests failed."""

    def p95(
        self, conn: Connection, project_id: int, since: datetime, until: datetime
    ) -> Figure | None:
        """Return how many milliseconds 95 of 100 requests took at most."""

    def crash_free(
        self, conn: Connection, project_id: int, since: datetime, until: datetime
    ) -> Figure | None:
        """Return how many of 100 sessions ended without a crash."""


class MeasuredFigures:
    """What :mod:`app.insights` has counted."""

    def error_rate(
        self, conn: Connection, project_id: int, since: datetime, until: datetime
    ) -> Figure | None:
        """Return how many of 100 requests failed."""
        rate = performance.error_rate(conn, project_id, since, until)
        return Figure(rate.share * 100, rate.requests) if rate.requests else None

    def p95(
        self, conn: Connection, project_id: int, since: datetime, until: datetime
    ) -> Figure | None:
        """Return how many milliseconds 95 of 100 requests took at most."""
        found = performance.latency(conn, project_id, since, until)
        return None if found.p95_ms is None else Figure(found.p95_ms, found.measured)

    def crash_free(
        self, conn: Connection, project_id: int, since: datetime, until: datetime
    ) -> Figure | None:
        """Return how many of 100 sessions ended without a crash."""
        sessions, crashed, *_ = health.counts_of(conn, health.Selection(project_id, since, until))
        # In this order, so that whole percents are told as such: 0.57 * 100 is less than 57.
        return Figure((sessions - crashed) * 100 / sessions, sessions) if sessions else None
