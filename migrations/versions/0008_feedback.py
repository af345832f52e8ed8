"""Feedback: what people say of errors.

Revision ID: 0008
Revises: 0007
"""

import sqlalchemy as sa
from alembic import op

TIME = sa.DateTime(timezone=True)
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "feedback",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("envelope_id", ROW_ID, nullable=False),
        sa.Column("event_id", sa.String(length=32), nullable=True),
        sa.Column("associated_event_id", sa.String(length=32), nullable=True),
        sa.Column("issue_id", ROW_ID, nullable=True),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=True),
        sa.Column("email", sa.String(length=320), nullable=True),
        sa.Column("url", sa.String(length=2000), nullable=True),
        sa.Column("source", sa.String(length=64), nullable=True),
        sa.Column("received_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_feedback_project_id_projects")
        ),
        _gone_with("envelope_id", "envelopes"),
        _gone_with("issue_id", "issues"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_feedback")),
        sa.UniqueConstraint("project_id", "event_id", name=op.f("uq_feedback_project_id_event_id")),
    )
    for columns in (["project_id", "id"], ["associated_event_id", "project_id"], ["envelope_id"]):
        op.create_index(op.f(f"ix_feedback_{'_'.join(columns)}"), "feedback", columns)
    _create_partial("ix_feedback_issue", ["issue_id", "id"], "issue_id IS NOT NULL")
    _create_partial(
        "ix_feedback_waiting", ["id"], "issue_id IS NULL AND associated_event_id IS NOT NULL"
    )


def _create_partial(name: str, columns: list[str], where: str) -> None:
    op.create_index(
        name,
        "feedback",
        columns,
        sqlite_where=sa.text(where),
        postgresql_where=sa.text(where),
    )


def _gone_with(column: str, table: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_feedback_{column}_{table}")
    return sa.ForeignKeyConstraint([column], [f"{table}.id"], name=name, ondelete="CASCADE")
