"""Tables of this package: how many bytes each project takes."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, Table

from app.store import UtcDateTime, metadata

project_bytes = Table(
    "project_bytes",
    metadata,
    Column("project_id", Integer, ForeignKey("projects.id"), primary_key=True),
    Column("bytes", BigInteger, nullable=False),
    # Of these, the envelopes that carry attachments.
    Column("attachment_bytes", BigInteger, nullable=False),
    # When an envelope of the project was last stored.
    Column("stored_at", UtcDateTime),
)
