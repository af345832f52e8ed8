"""How many issues a project made in its hour; when a quota refused something.

Revision ID: 0020
Revises: 0019
"""

import sqlalchemy as sa
from alembic import op

TIME = sa.DateTime(timezone=True)

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "new_issue_windows",
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("hour", TIME, nullable=False),
        sa.Column("made", sa.Integer(), nullable=False),
        sa.Column("over_at", TIME, nullable=True),
        sa.Column("over_limit", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_new_issue_windows_project_id_projects")
        ),
        sa.PrimaryKeyConstraint("project_id", name=op.f("pk_new_issue_windows")),
    )
    op.add_column("quota_windows", sa.Column("over_since", TIME, nullable=True))
    op.add_column("quota_windows", sa.Column("over_at", TIME, nullable=True))
    op.add_column("quota_windows", sa.Column("refused_before", sa.BigInteger(), nullable=True))
