"""Losses of clients and refused envelopes, by SDK and minute.

Revision ID: 0043
Revises: 0042
"""

from collections import Counter
from datetime import date

import sqlalchemy as sa
from alembic import op

revision = "0043"
down_revision = "0042"
branch_labels = None
depends_on = None

# Rows that are read and written at once.
BATCH = 1000


def upgrade() -> None:
    op.create_table(
        "loss_series",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("sdk", sa.String(length=64), nullable=False),
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("category", sa.String(length=64), nullable=False),
        sa.Column("source", sa.String(length=8), nullable=False),
        sa.Column("rolled", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_loss_series_project_id_projects")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_loss_series")),
        sa.UniqueConstraint(
            "project_id",
            "day",
            "sdk",
            "version",
            "reason",
            "category",
            "source",
            name="uq_loss_series_day",
        ),
    )
    op.create_index(op.f("ix_loss_series_rolled_day"), "loss_series", ["rolled", "day"])
    op.create_table(
        "loss_counts",
        sa.Column("series_id", sa.Integer(), nullable=False),
        sa.Column("minute", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["series_id"], ["loss_series.id"], name=op.f("fk_loss_counts_series_id_loss_series")
        ),
        sa.PrimaryKeyConstraint("series_id", "minute", name=op.f("pk_loss_counts")),
        sqlite_with_rowid=False,
    )
    _move(op.get_bind())
    op.drop_table("client_losses")


def _move(conn: sa.Connection) -> None:
    """Move the losses that were counted by the day: they count at the first minute of the day."""
    names = ("project_id", "day", "sdk", "version", "reason", "category", "source")
    counts: Counter[tuple] = Counter()
    rows = conn.execute(
        sa.text(
            "SELECT project_id, day, client, reason, category, quantity FROM client_losses"
        ).columns(day=sa.Date())
    )
    for project_id, day, client, reason, category, quantity in rows:
        name, version = _sdk(client)
        word = "<other>" if client == reason == category == "other" else None
        counts[
            project_id, day, word or name, version, word or reason, word or category, "client"
        ] += quantity
    series = sa.table("loss_series", *map(sa.column, ("id", *names)))
    amounts = sa.table("loss_counts", *map(sa.column, ("series_id", "minute", "quantity")))
    keys = sorted(counts)
    for first in range(0, len(keys), BATCH):
        some = list(enumerate(keys[first : first + BATCH], first + 1))
        conn.execute(
            series.insert(),
            [{"id": number, **dict(zip(names, key, strict=True))} for number, key in some],
        )
        conn.execute(
            amounts.insert(),
            [
                {
                    "series_id": number,
                    "minute": (key[1] - date(1970, 1, 1)).days * 24 * 60,
                    "quantity": counts[key],
                }
                for number, key in some
            ],
        )
    if keys and conn.dialect.name == "postgresql":
        conn.execute(
            sa.text("SELECT setval(pg_get_serial_sequence('loss_series', 'id'), :last)"),
            {"last": len(keys)},
        )


def _sdk(client: str) -> tuple[str, str]:
    """Split ``name version``."""
    if client == "unknown client":
        return "", ""
    name, _, version = client.rpartition(" ")
    return (name[:64], version[:64]) if name else (client[:64], "")
