"""Tables of this package: leases."""

from __future__ import annotations

from sqlalchemy import Column, String, Table

from app.store.database import UtcDateTime, metadata

leases = Table(
    "leases",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("owner", String(100), nullable=False),
    Column("until", UtcDateTime, nullable=False),
)
