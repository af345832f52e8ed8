"""Tables of this package: projects, their keys, and the usage of their quotas."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, String, Table, false

from app.inputs.links import MAX_PATTERN
from app.store import UtcDateTime, metadata

MAX_NAME_LENGTH = 200

projects = Table(
    "projects",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(MAX_NAME_LENGTH), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    # NULL: the default from the settings, but no limit for project 1. 0: no limit.
    Column("events_per_minute", Integer),
    # NULL: the setting RETENTION_DAYS applies.
    Column("retention_days", Integer),
    # The address of a file of its repository, with {file}, {line} and {release}.
    Column("source_url", String(MAX_PATTERN)),
    # An archived project accepts nothing. Its data can still be read.
    Column("archived_at", UtcDateTime),
    # The row of a deleted project stays without its name: no other project may get its id.
    Column("deleted_at", UtcDateTime),
    # When the last of its data was removed.
    Column("purged_at", UtcDateTime),
    # Made by `flask demo`: never forwarded, never alerted, not in the accounting.
    Column("is_demo", Boolean, nullable=False, server_default=false()),
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
    # How many envelopes came in this minute. The counter goes on above the quota.
    Column("asked", Integer, nullable=False),
    # The latest series of refusals: when it began, when the last refusal was, and how many
    # envelopes had been refused before it began.
    Column("over_since", UtcDateTime),
    Column("over_at", UtcDateTime),
    Column("refused_before", BigInteger),
)
