"""Comments that say how an issue was fixed.

Revision ID: 0044
Revises: 0043
"""

import sqlalchemy as sa
from alembic import op

revision = "0044"
down_revision = "0043"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "remembered_fixes",
        sa.Column("issue_id", ROW_ID, nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("comment_id", ROW_ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["issue_id"],
            ["issues.id"],
            name=op.f("fk_remembered_fixes_issue_id_issues"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_remembered_fixes_project_id_projects")
        ),
        sa.ForeignKeyConstraint(
            ["comment_id"],
            ["transitions.id"],
            name=op.f("fk_remembered_fixes_comment_id_transitions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("issue_id", name=op.f("pk_remembered_fixes")),
    )
    op.create_index(op.f("ix_remembered_fixes_project_id"), "remembered_fixes", ["project_id"])
    op.create_index(op.f("ix_remembered_fixes_comment_id"), "remembered_fixes", ["comment_id"])
