"""Tables of this package: the issues and the users they touched."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)

from app.db import UtcDateTime, metadata
from app.events.tables import RowId

issues = Table(
    "issues",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("project_id", Integer, ForeignKey("projects.id"), nullable=False),
    Column("grouping_version", String(8), nullable=False),
    Column("grouping_hash", String(64), nullable=False),
    Column("grouping_key", Text, nullable=False),
    Column("title", String(500), nullable=False),
    Column("culprit", String(500), nullable=False),
    Column("type", String(200), nullable=False),
    Column("level", String(16), nullable=False),
    Column("status", String(16), nullable=False, server_default="unresolved"),
    Column("regressed", Boolean, nullable=False, server_default=false()),
    Column("times_seen", Integer, nullable=False),
    Column("stored_event_count", Integer, nullable=False),
    Column("users", Integer, nullable=False),
    Column("first_seen", UtcDateTime, nullable=False),
    Column("last_seen", UtcDateTime, nullable=False),
    Column("first_release", String(250)),
    Column("last_release", String(250)),
    UniqueConstraint("project_id", "grouping_version", "grouping_hash"),
    Index(None, "status", "last_seen", "id"),
)

# Who met an issue: a hash of the user's id, so that counting needs no copy of the personal data.
issue_users = Table(
    "issue_users",
    metadata,
    Column("issue_id", RowId, ForeignKey("issues.id", ondelete="CASCADE"), primary_key=True),
    Column("user_hash", String(32), primary_key=True),
)
