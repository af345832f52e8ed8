"""The table with the bytes that each project uses."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, Table

from app.store import UtcDateTime, metadata

project_bytes = Table(
    "project_bytes",
    metadata,
    Column("project_id", Integer, ForeignKey("projects.id"), primary_key=True),
    Column("bytes", BigInteger, nullable=False),
    # The part of ``bytes`` that belongs to envelopes with attachments.
    Column("attachment_bytes", BigInteger, nullable=False),
    # When an envelope of the project was last stored.
    Column("stored_at", UtcDateTime),
)
