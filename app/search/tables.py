"""The tables of the index, beside the two full-text tables that each database makes in its own way.

The full-text tables are ``search_events`` and ``search_issues`` (`sqlite_index.py`,
`postgres_index.py`). SQLAlchemy does not know them: their types are those of one database.
"""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, String, Table

from app.store import RowId, UtcDateTime, metadata

# What the names of all tables of full text begin with, including those that FTS5 adds.
_FULL_TEXT = ("search_events", "search_issues", "search_event_tokens")

# One row: how far the index has come.
search_state = Table(
    "search_state",
    metadata,
    Column("name", String(16), primary_key=True),
    # The row id of the last event in the index. Events have their ids in the order of their
    # commits, since there is one writer. So no event with a smaller id can appear later.
    Column("up_to", RowId, nullable=False),
    # The version of the documents; the index is made again for a newer one.
    Column("version", Integer, nullable=False),
)

# Between which row ids the indexed events are that happened in an hour, so that a search reads only
# the part of the index that its range of time needs.
search_hours = Table(
    "search_hours",
    metadata,
    Column("hour", UtcDateTime, primary_key=True),
    Column("first_id", RowId, nullable=False),
    Column("last_id", RowId, nullable=False),
    Index(None, "last_id"),
)


def is_full_text(name: str | None) -> bool:
    """Return whether a table or index belongs to a full-text table."""
    return name is not None and name.removeprefix("ix_").startswith(_FULL_TEXT)
