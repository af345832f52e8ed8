"""The `flask db` commands and `flask prune`: the schema of the store, and its retention."""

from __future__ import annotations

import click
from flask.cli import AppGroup, with_appcontext

from app.intake.retention import Limits, PruneFailed, excess, prune
from app.intake.store_bound import used_bytes
from app.output import command_error, say
from app.web.current import current_config, current_store

db_group = AppGroup("db", help="The store's schema.")


@db_group.command("upgrade")
def upgrade() -> None:
    """Upgrade the schema of the store to the newest revision."""
    store = current_store()
    store.migrate()
    say(f"the store is at revision {store.schema_revision()}")


@db_group.command("accept-loss")
def accept_loss() -> None:
    """Give up the lost keys of a damaged store: unknown keys get 403 again instead of 503."""
    lost = current_store().accept_loss()
    say("unknown keys are refused from now on" if lost else "no key is missing")


@click.command("prune")
@with_appcontext
def prune_command() -> None:
    """Remove envelopes beyond RETENTION_DAYS, RETENTION_EVENTS and MAX_STORE_BYTES.

    Lines of logs are removed beyond LOG_RETENTION_DAYS and LOG_MAX_BYTES.
    """
    limits = Limits.of(current_config())
    # How many envelopes MAX_STORE_BYTES removes is not known before, so the bar may grow beyond the
    # estimate.
    with click.progressbar(length=excess(current_store(), limits), label="pruning") as bar:
        try:
            gone, failed = prune(current_store(), limits, bar.update), None
        except PruneFailed as error:
            gone, failed = error.gone, error
    removed = f"{gone.envelopes} envelopes and {gone.lines} lines of logs removed"
    say(f"{removed}, {used_bytes(current_store())} bytes in use")
    if failed:
        raise command_error(f"{failed}; the log says why")
