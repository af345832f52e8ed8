"""Figures: what rules ask of parts that measure requests and sessions."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple, Protocol

from sqlalchemy import Connection


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


class NullFigures:
    """Nothing is measured yet."""

    def error_rate(
        self, conn: Connection, project_id: int, since: datetime, until: datetime
    ) -> Figure | None:
        """Return nothing."""
        return None

    p95 = crash_free = error_rate
