"""The tables of a backup: all but those that are made again."""

from __future__ import annotations

from sqlalchemy import Table

import app.accounts.tables
import app.alerts.tables
import app.confirmation.tables
import app.delivery.tables
import app.erasing.tables
import app.events.tables
import app.intake.tables
import app.issues.tables
import app.memory.tables
import app.monitors.tables
import app.projects.tables
import app.search.tables
import app.signals.logs.tables
import app.signals.tables
import app.stats.declared
import app.stats.sessions
import app.stats.tables
import app.store.tables
import app.traces.tables  # noqa: F401 -- all tables, so that none is missing
from app.search.tables import is_full_text
from app.store import metadata

# The search index is made again from the events, and nobody holds a lease in a restored store.
LEFT_OUT = frozenset({"search_state", "search_hours", "search_stale_issues", "leases"})


def tables_of_backup() -> list[Table]:
    """Return the tables whose rows are in a backup, parents before their children."""
    return [table for table in metadata.sorted_tables if table.name not in LEFT_OUT]


def missing(present: set[str], names: set[str]) -> list[str]:
    """Return the tables of a store that a backup should have, and has not.

    :param present: the tables of the store. :param names: those of the backup.
    """
    made_again = LEFT_OUT | {name for name in present if is_full_text(name)} | {"alembic_version"}
    return sorted(present - made_again - names)
