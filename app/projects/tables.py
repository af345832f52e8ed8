"""Tables of this package: projects, their keys, and how much of their quotas is used."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, String, Table

from app.store import UtcDateTime, metadata

MAX_NAME_LENGTH = 200

projects = Table(
    "projects",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(MAX_NAME_LENGTH), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    # NULL: the default of the settings, for project 1 no limit; 0: no limit.
    Column("events_per_minute", Integer),
    # NULL: as RETENTION_DAYS says.
    Column("retention_days", Integer),
)

project_keys = Table(
    "project_keys",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project_id", Integer, ForeignKey("projects.id"), nullable=False),
    Column("public_key", String(64), nullable=False, unique=True),
    Column("label", String(100)),
    Column("created_at", UtcDateTime, nullable=False),
    Column("revoked_at", UtcDateTime),
    Index(None, "project_id"),
)

quota_windows = Table(
    "quota_windows",
    metadata,
    Column("project_id", Integer, ForeignKey("projects.id"), primary_key=True),
    Column("minute", UtcDateTime, nullable=False),
    # What asked to be taken in this minute; beyond the quota it goes on counting.
    Column("asked", Integer, nullable=False),
    # When the latest time of refusals began, when it refused last, and how many had been refused
    # before it began.
    Column("over_since", UtcDateTime),
    Column("over_at", UtcDateTime),
    Column("refused_before", BigInteger),
)
