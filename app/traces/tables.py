"""The tables of traces. Spans have no rows: they are read from the envelopes of an opened trace.

Rows go with their envelopes.
"""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    UniqueConstraint,
)

from app.store import RowId, UtcDateTime, metadata, partial_index

# The condition of the partial index, for queries: SQLite compares the texts of conditions.
FAILED = "failed"

transactions = Table(
    "transactions",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("project_id", Integer, ForeignKey("projects.id"), nullable=False),
    Column("envelope_id", RowId, ForeignKey("envelopes.id", ondelete="CASCADE"), nullable=False),
    # NULL for a segment of streamed spans.
    Column("event_id", String(32)),
    Column("trace_id", String(32)),
    Column("span_id", String(16)),
    Column("name", String(200), nullable=False),
    Column("op", String(64), nullable=False),
    Column("status", String(32)),
    Column("failed", Boolean, nullable=False),
    # NULL if the duration is unknown or not plausible.
    Column("ms", Float),
    # When it ended, or was received if that is unknown.
    Column("timestamp", UtcDateTime, nullable=False),
    Column("release", String(250), nullable=False),
    Column("environment", String(64), nullable=False),
    # A NULL does not equal another NULL. So a transaction without ids is always a new one.
    UniqueConstraint("project_id", "trace_id", "span_id"),
    Index(None, "envelope_id"),
    Index(None, "timestamp", "id"),
    Index(None, "project_id", "timestamp", "id"),
    Index(None, "project_id", "name", "timestamp", "id"),
    Index(None, "project_id", "name", "ms", "id"),
    partial_index("ix_transactions_failed", "project_id", "name", "timestamp", "id", where=FAILED),
)

# Which envelopes have spans of a trace.
trace_envelopes = Table(
    "trace_envelopes",
    metadata,
    Column("trace_id", String(32), primary_key=True),
    Column("envelope_id", RowId, ForeignKey("envelopes.id", ondelete="CASCADE"), primary_key=True),
    Index(None, "envelope_id"),
    sqlite_with_rowid=False,
)
