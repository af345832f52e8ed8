"""AI calls: the newest one by one, all of them counted by the hour.

Revision ID: 0011
Revises: 0010
"""

import sqlalchemy as sa
from alembic import op

TIME = sa.DateTime(timezone=True)
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "ai_calls",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("envelope_uid", sa.String(length=32), nullable=False),
        sa.Column("received_at", TIME, nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("operation", sa.String(length=64), nullable=False),
        sa.Column("model", sa.String(length=120), nullable=False),
        sa.Column("answered_by", sa.String(length=120)),
        sa.Column("provider", sa.String(length=120)),
        sa.Column("agent", sa.String(length=120)),
        sa.Column("tool", sa.String(length=120)),
        sa.Column("release", sa.String(length=250), nullable=False),
        sa.Column("environment", sa.String(length=64), nullable=False),
        sa.Column("ms", sa.Float()),
        sa.Column("failed", sa.Boolean(), nullable=False),
        sa.Column("input_tokens", sa.BigInteger()),
        sa.Column("output_tokens", sa.BigInteger()),
        sa.Column("total_tokens", sa.BigInteger()),
        sa.Column("trace_id", sa.String(length=32)),
        sa.Column("span_id", sa.String(length=16)),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_ai_calls_project_id_projects")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ai_calls")),
        sa.UniqueConstraint(
            "project_id",
            "trace_id",
            "span_id",
            name=op.f("uq_ai_calls_project_id_trace_id_span_id"),
        ),
    )
    op.create_index(op.f("ix_ai_calls_project_id_id"), "ai_calls", ["project_id", "id"])
    op.create_index(op.f("ix_ai_calls_received_at"), "ai_calls", ["received_at"])
    op.create_table(
        "ai_series",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("operation", sa.String(length=64), nullable=False),
        sa.Column("model", sa.String(length=120), nullable=False),
        sa.Column("release", sa.String(length=250), nullable=False),
        sa.Column("environment", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_ai_series_project_id_projects")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ai_series")),
        sa.UniqueConstraint(
            "project_id",
            "day",
            "kind",
            "operation",
            "model",
            "release",
            "environment",
            name="uq_ai_series",
        ),
    )
    op.create_index(op.f("ix_ai_series_day"), "ai_series", ["day"])
    op.create_table(
        "ai_hours",
        sa.Column("series_id", sa.Integer(), nullable=False),
        sa.Column("hour", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("bucket", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("calls", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("input_tokens", sa.BigInteger(), nullable=False),
        sa.Column("output_tokens", sa.BigInteger(), nullable=False),
        sa.Column("total_tokens", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["series_id"], ["ai_series.id"], name=op.f("fk_ai_hours_series_id_ai_series")
        ),
        sa.PrimaryKeyConstraint("series_id", "hour", "bucket", name=op.f("pk_ai_hours")),
        sqlite_with_rowid=False,
    )
