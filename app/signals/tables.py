"""The table of the walk; each kind of signal has its own tables."""

from __future__ import annotations

from sqlalchemy import Column, String, Table

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
