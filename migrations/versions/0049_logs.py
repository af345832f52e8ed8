"""Logs: a row a line, and blocks of lines with their tokens.

Revision ID: 0049
Revises: 0048
"""

import sqlalchemy as sa
from alembic import op

revision = "0049"
down_revision = "0048"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "log_lines",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("level", sa.String(16), nullable=False),
        sa.Column("release", sa.String(250), nullable=True),
        sa.Column("environment", sa.String(64), nullable=True),
        sa.Column("trace_id", sa.String(32), nullable=True),
        sa.Column("span_id", sa.String(16), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("attributes", sa.Text(), nullable=False),
        sa.Column("cut", sa.String(200), nullable=True),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name="fk_log_lines_project_id_projects"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_log_lines"),
    )
    op.create_index("ix_log_lines_at_id", "log_lines", ["at", "id"])
    op.create_index("ix_log_lines_project_id_at_id", "log_lines", ["project_id", "at", "id"])
    has_trace = sa.text("trace_id IS NOT NULL")
    op.create_index(
        "ix_log_lines_trace",
        "log_lines",
        ["trace_id", "at", "id"],
        sqlite_where=has_trace,
        postgresql_where=has_trace,
    )
    only_logs = sa.text("item_types = 'log'")
    op.create_index(
        "ix_envelopes_logs",
        "envelopes",
        ["state", "id"],
        sqlite_where=only_logs,
        postgresql_where=only_logs,
    )
    op.create_table(
        "log_blocks",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("first_at", MOMENT, nullable=False),
        sa.Column("first_id", ROW_ID, nullable=False),
        sa.Column("lines", sa.Integer(), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("bits", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_log_blocks"),
    )
    op.create_index("ix_log_blocks_size_bytes", "log_blocks", ["size_bytes"])
    op.create_index(
        "ix_log_blocks_first_at_first_id", "log_blocks", ["first_at", "first_id"], unique=True
    )
