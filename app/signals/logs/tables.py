"""The tables of logs: a row a line, and a row for each block of consecutive lines.

Lines are sorted by their time and then by their row id; this pair is the *key* of a line. A block
has the lines from its first key up to the first key of the next block. So the blocks cover all
times, and each line belongs to exactly one of them, however late it arrives.
"""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    false,
)

from app.store import RowId, UtcDateTime, metadata, partial_index

HAS_TRACE = "trace_id IS NOT NULL"

log_lines = Table(
    "log_lines",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("project_id", Integer, ForeignKey("projects.id"), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("level", String(16), nullable=False),
    Column("release", String(250)),
    Column("environment", String(64)),
    Column("trace_id", String(32)),
    Column("span_id", String(16)),
    Column("body", Text, nullable=False),
    # JSON of an object: names and their values, which are texts, numbers, true or false.
    Column("attributes", Text, nullable=False),
    # What was cut, left out or replaced, in words; NULL if nothing was.
    Column("cut", String(200)),
    # An estimate of the bytes of the row, with its part of the indexes.
    Column("size_bytes", Integer, nullable=False),
    # Whether all of its texts are ASCII, so that a database compares them as we do.
    Column("is_ascii", Boolean, nullable=False, server_default=false()),
    Index(None, "at", "id"),
    Index(None, "project_id", "at", "id"),
    partial_index("ix_log_lines_trace", "trace_id", "at", "id", where=HAS_TRACE),
)

log_blocks = Table(
    "log_blocks",
    metadata,
    Column("id", RowId, primary_key=True),
    # The key of its first line.
    Column("first_at", UtcDateTime, nullable=False),
    Column("first_id", RowId, nullable=False),
    Column("lines", Integer, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    # The tokens of its lines, see `bits.py`.
    Column("bits", LargeBinary, nullable=False),
    Index(None, "first_at", "first_id", unique=True),
    # The sum of all bytes is asked for often.
    Index(None, "size_bytes"),
)
