"""Client reports: they report to Sentry what was not sent, so that Sentry's counts stay correct.

The table ``client_reports`` holds the unreported counts. A count is reduced after Sentry has
accepted the report. A process that is killed in between therefore reports twice, rather than never.

Source: https://develop.sentry.dev/sdk/telemetry/client-reports/, 2026-11-24.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, delete, select, update

from app.delivery.tables import client_reports
from app.protocol.envelope import Envelope, Item, serialize_envelope
from app.protocol.packing import pack


class Owed(NamedTuple):
    """How many items of a category were not sent for this reason and are not reported yet."""

    reason: str
    category: str
    quantity: int


class Report(NamedTuple):
    """The client report for a project's Sentry."""

    project_id: int
    owed: tuple[Owed, ...]

    def body(self, now: datetime) -> bytes:
        """Return the report as an envelope, compressed like a stored envelope."""
        payload = {
            "timestamp": now.isoformat().replace("+00:00", "Z"),
            "discarded_events": [report._asdict() for report in self.owed],
        }
        item = Item({"type": "client_report"}, payload)
        return pack(serialize_envelope(Envelope({}, [item])))


def owed_by(conn: Connection, project_id: int) -> Report | None:
    """Return the report that a project's Sentry has not accepted yet, ``None`` if there is
    nothing to report.
    """
    columns = (client_reports.c.reason, client_reports.c.category, client_reports.c.quantity)
    query = select(*columns).where(client_reports.c.project_id == project_id).order_by(*columns)
    owed = tuple(Owed(*row) for row in conn.execute(query))
    return Report(project_id, owed) if owed else None


def projects_owing(conn: Connection) -> list[int]:
    """Return the projects that have something to report to their Sentry."""
    return sorted(conn.scalars(select(client_reports.c.project_id).distinct()))


def take_off(conn: Connection, reports: Iterable[Report]) -> None:
    """Subtract what Sentry has accepted. Counts that were added meanwhile stay unreported."""
    table = client_reports
    for report in reports:
        for owed in report.owed:
            row = (
                (table.c.project_id == report.project_id)
                & (table.c.reason == owed.reason)
                & (table.c.category == owed.category)
            )
            less = table.c.quantity - owed.quantity
            conn.execute(update(table).where(row).values(quantity=less))
            conn.execute(delete(table).where(row, table.c.quantity <= 0))
