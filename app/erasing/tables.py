"""The table of this package: the runs of erasing, with their reports."""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, Integer, String, Table

from app.store import RowId, UtcDateTime, metadata

erasures = Table(
    "erasures",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    # The name of a user or of a token, or "command".
    Column("actor", String(200), nullable=False),
    Column("kind", String(16), nullable=False),
    # Keyed with a secret of the instance. The identifier itself is stored nowhere.
    Column("identifier_hash", String(64), nullable=False),
    # Whether it only counts.
    Column("is_dry", Boolean, nullable=False),
    # running, done, failed or stopped.
    Column("state", String(16), nullable=False),
    # How far it is: rows, files and envelopes that it looked through, and how many there were.
    Column("done", Integer, nullable=False, server_default="0"),
    Column("total", Integer, nullable=False, server_default="0"),
    Column("finished_at", UtcDateTime),
    Column("report", JSON(none_as_null=True)),
    # The run, named as in leases.
    Column("owner", String(100), nullable=False),
)
