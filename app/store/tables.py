"""The tables of this package: leases, and facts about the store."""

from __future__ import annotations

from sqlalchemy import Column, String, Table, Text

from app.store.columns import UtcDateTime, metadata

leases = Table(
    "leases",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("owner", String(100), nullable=False),
    Column("until", UtcDateTime, nullable=False),
)

# Facts about the store. The migration creates ``instance_id``.
facts = Table(
    "facts",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("value", Text, nullable=False),
)
