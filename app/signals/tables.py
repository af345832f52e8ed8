"""The tables of the walk; each kind of signal has its own tables."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, String, Table, false

from app.store import RowId, metadata

# One row: how far the walk has come.
signal_state = Table(
    "signal_state",
    metadata,
    Column("name", String(16), primary_key=True),
    # The row id of the last envelope that was read. Envelopes have their ids in the order of their
    # commits, since there is one writer. So no envelope with a smaller id can appear later.
    Column("up_to", RowId, nullable=False),
)

# Envelopes whose bodies have more than the rows of their signals.
unread_envelopes = Table(
    "unread_envelopes",
    metadata,
    Column(
        "envelope_id",
        RowId,
        ForeignKey("envelopes.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    # Rows have a part of it; otherwise the envelope failed in the walk, and is shown nowhere.
    Column("is_partly_read", Boolean, nullable=False, server_default=false()),
)
