"""The revisions of the schema, and the upgrade to the newest one.

Alembic is loaded for an upgrade only: it takes a fifth of the CPU of a start, and almost every
start finds the newest schema.
"""

from __future__ import annotations

import functools
from pathlib import Path

from sqlalchemy import Connection, column, inspect, select, table

from app.store.errors import StoreUnavailable

MIGRATIONS = Path(__file__).resolve().parent.parent.parent / "migrations"

_alembic_version = table("alembic_version", column("version_num"))


@functools.cache
def newest_revision() -> str | None:
    """Return the newest revision that this version of the program has."""
    # The names of the files begin with their revisions, which are numbered; a test checks it.
    files = (MIGRATIONS / "versions").glob("[0-9]*_*.py")
    return max((path.name.partition("_")[0] for path in files), default=None)


# The revision of a database that has one, within another query.
REVISION = select(_alembic_version.c.version_num).scalar_subquery()


def revision_of(conn: Connection) -> str | None:
    """Return the revision of a database, ``None`` for an empty one."""
    if not inspect(conn).has_table(_alembic_version.name):
        return None
    return conn.execute(select(_alembic_version.c.version_num)).scalar_one_or_none()


def upgrade(conn: Connection, revision: str = "head") -> None:
    """Upgrade the schema to a revision, by default the newest one.

    :raise StoreUnavailable: the database has a revision that this program does not know.
    """
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config(attributes={"connection": conn})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    try:
        command.upgrade(config, revision)
    except CommandError as error:
        raise StoreUnavailable(
            "the store was made by a newer version of this program: run that version"
        ) from error
