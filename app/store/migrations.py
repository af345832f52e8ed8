"""The revisions of the schema, and the upgrade to the newest one."""

from __future__ import annotations

import functools
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection

from app.store.errors import StoreUnavailable

MIGRATIONS = Path(__file__).resolve().parent.parent.parent / "migrations"


@functools.cache
def newest_revision() -> str | None:
    """Return the newest revision that this version of the program has."""
    return ScriptDirectory(str(MIGRATIONS)).get_current_head()


def revision_of(conn: Connection) -> str | None:
    """Return the revision of a database, ``None`` for an empty one."""
    return MigrationContext.configure(conn).get_current_revision()


def upgrade(conn: Connection) -> None:
    """Upgrade the schema to the newest revision.

    :raise StoreUnavailable: the database has a revision that this program does not know.
    """
    config = Config(attributes={"connection": conn})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise StoreUnavailable(
            "the store was made by a newer version of this program: run that version"
        ) from error
