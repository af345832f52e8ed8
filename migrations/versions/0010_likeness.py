"""What issues are compared by, and which issues have a term.

Revision ID: 0010
Revises: 0009
"""

import sqlalchemy as sa
from alembic import op

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "issue_likeness",
        sa.Column("issue_id", ROW_ID, nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("terms", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["issue_id"],
            ["issues.id"],
            name=op.f("fk_issue_likeness_issue_id_issues"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_issue_likeness_project_id_projects")
        ),
        sa.PrimaryKeyConstraint("issue_id", name=op.f("pk_issue_likeness")),
    )
    for column in ("project_id", "version"):
        op.create_index(op.f(f"ix_issue_likeness_{column}"), "issue_likeness", [column])
    op.create_table(
        "issue_terms",
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("term", sa.BigInteger(), nullable=False),
        sa.Column("issue_id", ROW_ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["issue_id"],
            ["issue_likeness.issue_id"],
            name=op.f("fk_issue_terms_issue_id_issue_likeness"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("project_id", "term", "issue_id", name=op.f("pk_issue_terms")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_issue_terms_issue_id"), "issue_terms", ["issue_id"])
