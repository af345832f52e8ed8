"""Triage: transitions of issues, their events by hour, their tags, an index for each sorting.

Revision ID: 0004
"""

import sqlalchemy as sa
from alembic import op

TIME = sa.DateTime(timezone=True)
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("issues", sa.Column("grouping_reason", sa.String(length=200), nullable=True))
    for column in ("first_seen", "times_seen", "users"):
        op.create_index(op.f(f"ix_issues_status_{column}_id"), "issues", ["status", column, "id"])
    op.create_table(
        "transitions",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("issue_id", ROW_ID, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=True),
        sa.Column("event_id", sa.String(length=32), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("release", sa.String(length=250), nullable=True),
        _of_issue("transitions"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_transitions")),
    )
    op.create_index(op.f("ix_transitions_issue_id_id"), "transitions", ["issue_id", "id"])
    op.create_table(
        "issue_hours",
        sa.Column("issue_id", ROW_ID, nullable=False),
        sa.Column("hour", TIME, nullable=False),
        sa.Column("events", sa.Integer(), nullable=False),
        _of_issue("issue_hours"),
        sa.PrimaryKeyConstraint("issue_id", "hour", name=op.f("pk_issue_hours")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_issue_hours_hour"), "issue_hours", ["hour"])
    op.create_table(
        "issue_tags",
        sa.Column("issue_id", ROW_ID, nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("value", sa.String(length=200), nullable=False),
        sa.Column("times_seen", sa.Integer(), nullable=False),
        _of_issue("issue_tags"),
        sa.PrimaryKeyConstraint("issue_id", "key", "value", name=op.f("pk_issue_tags")),
        sqlite_with_rowid=False,
    )
    # What is known of the issues that are there; their tags are counted from now on.
    op.execute(
        sa.text(
            "INSERT INTO transitions (issue_id, at, kind, release)"
            " SELECT id, first_seen, 'first_seen', first_release FROM issues ORDER BY id"
        )
    )


def _of_issue(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["issue_id"], ["issues.id"], name=op.f(f"fk_{table}_issue_id_issues"), ondelete="CASCADE"
    )
