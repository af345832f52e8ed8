"""The tables of the walk; each kind of signal has its own tables."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, String, Table

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

# Envelopes that failed in the walk. Their signals are shown nowhere, so their bodies stay.
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
)
