"""Alembic's environment: the connection comes from app.store, inside its writing transaction."""

from alembic import context

# Every module with tables, so that a comparison with the database sees all of them.
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
import app.traces.tables  # noqa: F401
from app.store import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    render_as_batch=True,
    transaction_per_migration=False,
)
context.run_migrations()
