"""Projects: the tenants that events belong to. Project 1 is this application itself."""

from __future__ import annotations

from sqlalchemy import Column, Integer, String, Table

from app.db import UtcDateTime, metadata

OWN_PROJECT_ID = 1

projects = Table(
    "projects",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(200), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)
