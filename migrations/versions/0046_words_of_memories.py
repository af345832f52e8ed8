"""The words of memories, by which they are found exactly.

Revision ID: 0046
Revises: 0045
"""

import sqlalchemy as sa
from alembic import op

revision = "0046"
down_revision = "0045"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("memories", sa.Column("words", sa.LargeBinary(), nullable=True))
    has_none = sa.text("words IS NULL")
    op.create_index(
        "ix_memories_wordless",
        "memories",
        ["seq"],
        sqlite_where=has_none,
        postgresql_where=has_none,
    )
