"""Transactions for lists, and which envelopes have spans of a trace.

Revision ID: 0048
Revises: 0047
"""

import sqlalchemy as sa
from alembic import op

revision = "0048"
down_revision = "0047"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INDEXES = (
    ("envelope_id",),
    ("timestamp", "id"),
    ("project_id", "timestamp", "id"),
    ("project_id", "name", "timestamp", "id"),
    ("project_id", "name", "ms", "id"),
)


def upgrade() -> None:
    op.create_table(
        "transactions",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("envelope_id", ROW_ID, nullable=False),
        sa.Column("event_id", sa.String(32), nullable=True),
        sa.Column("trace_id", sa.String(32), nullable=True),
        sa.Column("span_id", sa.String(16), nullable=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("op", sa.String(64), nullable=False),
        sa.Column("status", sa.String(32), nullable=True),
        sa.Column("failed", sa.Boolean(), nullable=False),
        sa.Column("ms", sa.Float(), nullable=True),
        sa.Column("timestamp", sa.DateTime(timezone=True), nullable=False),
        sa.Column("release", sa.String(250), nullable=False),
        sa.Column("environment", sa.String(64), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name="fk_transactions_project_id_projects"
        ),
        sa.ForeignKeyConstraint(
            ["envelope_id"],
            ["envelopes.id"],
            name="fk_transactions_envelope_id_envelopes",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_transactions"),
        sa.UniqueConstraint(
            "project_id", "trace_id", "span_id", name="uq_transactions_project_id_trace_id_span_id"
        ),
    )
    for columns in INDEXES:
        op.create_index(f"ix_transactions_{'_'.join(columns)}", "transactions", columns)
    op.create_index(
        "ix_transactions_failed",
        "transactions",
        ["project_id", "name", "timestamp", "id"],
        sqlite_where=sa.text("failed"),
        postgresql_where=sa.text("failed"),
    )
    add_trace_envelopes()


def add_trace_envelopes() -> None:
    op.create_table(
        "trace_envelopes",
        sa.Column("trace_id", sa.String(32), nullable=False),
        sa.Column("envelope_id", ROW_ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["envelope_id"],
            ["envelopes.id"],
            name="fk_trace_envelopes_envelope_id_envelopes",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("trace_id", "envelope_id", name="pk_trace_envelopes"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_trace_envelopes_envelope_id", "trace_envelopes", ["envelope_id"])
