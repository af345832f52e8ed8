"""Traces as a kind of signal: transactions for lists, and which envelopes have spans of a trace."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from sqlalchemy import Connection

from app.protocol.span import SPAN_ITEMS
from app.signals.kind import Signal, Stored
from app.traces.recording import Rows, rows_of, write_rows


class TraceSignal(Signal):
    """The spans of an envelope, in any of their forms."""

    item_types: ClassVar = SPAN_ITEMS

    def read(self, stored: Stored) -> Sequence[Rows]:
        """Return the rows of an envelope, at most one entry."""
        rows = rows_of(
            stored.envelope,
            envelope_id=stored.id,
            project_id=stored.project_id,
            received_at=stored.received_at,
        )
        return [] if rows is None else [rows]

    def write(self, conn: Connection, found: Sequence[Rows], now: datetime) -> None:
        """Write the rows."""
        write_rows(conn, found)
