"""An issue is not its hash: groupings lead to issues, and may be moved from one to another.

Revision ID: 0023
Revises: 0022
"""

import sqlalchemy as sa
from alembic import op

TIME = sa.DateTime(timezone=True)
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
IS_MERGED = "merged_into IS NOT NULL"

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _make_groupings()
    _make_tables_beside()
    _fill()
    with op.batch_alter_table("issues") as issues:
        issues.drop_constraint(
            "uq_issues_project_id_grouping_version_grouping_hash", type_="unique"
        )
        for name in ("version", "hash", "key", "reason"):
            issues.drop_column(f"grouping_{name}")
        issues.add_column(
            sa.Column("is_other", sa.Boolean(), nullable=False, server_default=sa.false())
        )
        issues.add_column(sa.Column("merged_into", ROW_ID, nullable=True))
        issues.create_foreign_key(
            op.f("fk_issues_merged_into_issues"),
            "issues",
            ["merged_into"],
            ["id"],
            ondelete="CASCADE",
        )
    op.create_index(
        "ix_issues_merged_into",
        "issues",
        ["merged_into"],
        sqlite_where=sa.text(IS_MERGED),
        postgresql_where=sa.text(IS_MERGED),
    )
    op.execute(
        "UPDATE issues SET is_other = true WHERE id IN"
        " (SELECT issue_id FROM groupings WHERE version = 'other')"
    )


def _make_groupings() -> None:
    op.create_table(
        "groupings",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.String(8), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("reason", sa.String(200), nullable=True),
        sa.Column("issue_id", ROW_ID, nullable=False),
        sa.Column("times_seen", sa.Integer(), nullable=False),
        sa.Column("first_seen", TIME, nullable=False),
        sa.Column("last_seen", TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_groupings_project_id_projects")
        ),
        sa.ForeignKeyConstraint(
            ["issue_id"],
            ["issues.id"],
            name=op.f("fk_groupings_issue_id_issues"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_groupings")),
        sa.UniqueConstraint(
            "hash", "project_id", "version", name=op.f("uq_groupings_hash_project_id_version")
        ),
    )


def _make_tables_beside() -> None:
    op.create_table(
        "older_groupings",
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("matched_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_older_groupings_project_id_projects")
        ),
        sa.PrimaryKeyConstraint("project_id", name=op.f("pk_older_groupings")),
    )
    op.create_table(
        "issue_moves",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("from_issue_id", ROW_ID, nullable=False),
        sa.Column("to_issue_id", ROW_ID, nullable=False),
        sa.Column("grouping_id", ROW_ID, nullable=True),
        *(
            sa.ForeignKeyConstraint(
                [column],
                ["issues.id"],
                name=op.f(f"fk_issue_moves_{column}_issues"),
                ondelete="CASCADE",
            )
            for column in ("from_issue_id", "to_issue_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_issue_moves")),
    )
    for column in ("from_issue_id", "to_issue_id"):
        op.create_index(op.f(f"ix_issue_moves_{column}"), "issue_moves", [column])
    op.add_column("events", sa.Column("grouping_id", ROW_ID, nullable=True))
    op.add_column("events", sa.Column("user_hash", sa.String(32), nullable=True))


def _fill() -> None:
    # With the numbers of their issues, so that every event knows its grouping by a plain copy.
    op.execute(
        "INSERT INTO groupings (id, project_id, version, hash, key, reason, issue_id, times_seen,"
        " first_seen, last_seen) SELECT id, project_id, grouping_version, grouping_hash,"
        " grouping_key, grouping_reason, id, times_seen, first_seen, last_seen FROM issues"
        " WHERE status <> 'deleted'"
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "SELECT setval(pg_get_serial_sequence('groupings', 'id'),"
            " COALESCE((SELECT max(id) FROM groupings), 0) + 1, false)"
        )
    op.create_index(op.f("ix_groupings_issue_id"), "groupings", ["issue_id"])
    op.create_index(op.f("ix_groupings_project_id"), "groupings", ["project_id"])
    op.execute("UPDATE events SET grouping_id = issue_id")
    op.execute(
        "INSERT INTO older_groupings (project_id, matched_at)"
        " SELECT DISTINCT project_id, CURRENT_TIMESTAMP FROM groupings WHERE version = '1'"
    )
