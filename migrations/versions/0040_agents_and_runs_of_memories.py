"""Memories of an agent or a run of a user.

Revision ID: 0040
Revises: 0039
"""

import sqlalchemy as sa
from alembic import op

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name, column in (("agent", "agent_id"), ("run", "run_id")):
        op.add_column("memories", sa.Column(column, sa.String(length=200), nullable=True))
        is_set = sa.text(f"{column} IS NOT NULL")
        op.create_index(
            f"ix_memories_{name}",
            "memories",
            ["user_id", column, "seq"],
            sqlite_where=is_set,
            postgresql_where=is_set,
        )
