"""Alembic's environment: the connection comes from app.db, inside its writing transaction."""

from alembic import context

# Every module with tables, so that a comparison with the database sees all of them.
import app.accounts.tables
import app.alerts.tables
import app.delivery.books
import app.events.items
import app.events.metrics
import app.events.sessions
import app.events.tables
import app.issues.rulebook
import app.issues.tables
import app.leases
import app.projects
import app.quotas  # noqa: F401
from app.db import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    render_as_batch=True,
    transaction_per_migration=False,
)
context.run_migrations()
