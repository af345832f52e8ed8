"""Environments, releases and attributes of the newest lines, to choose from."""

from __future__ import annotations

from collections import Counter
from typing import Any

from sqlalchemy import Connection, Row, select

from app.signals.logs.document import text_of
from app.signals.logs.rows import attributes_of
from app.signals.logs.tables import log_lines

# How many of the newest lines are looked at; reading attributes takes longer.
RECENT, RECENT_ATTRIBUTES = 1000, 300


def recent_facts(conn: Connection) -> dict[str, list[str]]:
    """Return ``environment`` and ``release`` of the newest lines.

    :return: ``any`` is empty if there are no lines at all.
    """
    rows = _newest(conn, RECENT, log_lines.c.environment, log_lines.c.release)
    facts = {(row.environment, row.release) for row in rows}
    return {
        "environment": sorted({one for one, _ in facts if one}),
        "release": sorted({one for _, one in facts if one}, reverse=True)[:100],
        "any": ["lines"] if rows else [],
    }


def recent_attributes(conn: Connection, project_id: int | None = None) -> dict[str, list[str]]:
    """Return the attributes of the newest lines with their values, the most frequent first."""
    counts: dict[str, Counter[str]] = {}
    for row in _newest(conn, RECENT_ATTRIBUTES, log_lines.c.attributes, project_id=project_id):
        for name, value in attributes_of(row.attributes).items():
            counts.setdefault(name, Counter())[text_of(value)] += 1
    often = sorted(counts, key=lambda name: (-counts[name].total(), name))
    return {name: [value for value, _ in counts[name].most_common()] for name in often}


def _newest(
    conn: Connection, limit: int, *columns: Any, project_id: int | None = None
) -> list[Row[Any]]:
    query = select(*columns).order_by(log_lines.c.at.desc(), log_lines.c.id.desc()).limit(limit)
    if project_id is not None:
        query = query.where(log_lines.c.project_id == project_id)
    return list(conn.execute(query))
