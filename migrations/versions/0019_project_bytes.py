"""How many bytes the envelopes of each project take.

Revision ID: 0019
Revises: 0018
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "project_bytes",
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("attachment_bytes", sa.BigInteger(), nullable=False),
        sa.Column("stored_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_project_bytes_project_id_projects")
        ),
        sa.PrimaryKeyConstraint("project_id", name=op.f("pk_project_bytes")),
    )
    # Of the envelopes that are there: the body, and 1,024 bytes for the rows of each.
    op.execute(
        sa.text(
            "INSERT INTO project_bytes (project_id, bytes, attachment_bytes, stored_at)"
            " SELECT project_id, sum(length(body) + 1024),"
            " sum(CASE WHEN ',' || item_types || ',' LIKE '%,attachment,%'"
            "  THEN length(body) + 1024 ELSE 0 END), max(received_at)"
            " FROM envelopes GROUP BY project_id"
        )
    )


def downgrade() -> None:
    op.drop_table("project_bytes")
