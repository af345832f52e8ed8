"""Memories with their vectors, who has how many, and what an index has still to forget.

Revision ID: 0013
Revises: 0012
"""

import sqlalchemy as sa
from alembic import op

TIME = sa.DateTime(timezone=True)
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
EXPIRES = sa.text("expires_at IS NOT NULL")

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "memory_users",
        sa.Column("user_id", sa.String(length=200), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("memories", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_memory_users")),
    )
    op.create_table(
        "memories",
        sa.Column("seq", ROW_ID, nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("user_id", sa.String(length=200), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=True),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=True),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.Column("model", sa.String(length=100), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("indexed_in", sa.String(length=100), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["memory_users.user_id"], name=op.f("fk_memories_user_id_memory_users")
        ),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_memories")),
        sa.UniqueConstraint("id", name=op.f("uq_memories_id")),
        sa.UniqueConstraint("user_id", "digest", name=op.f("uq_memories_user_id_digest")),
    )
    op.create_index(op.f("ix_memories_user_id_seq"), "memories", ["user_id", "seq"])
    op.create_index(op.f("ix_memories_user_id_version"), "memories", ["user_id", "version"])
    op.create_index(op.f("ix_memories_indexed_in_user_id"), "memories", ["indexed_in", "user_id"])
    op.create_index(op.f("ix_memories_model"), "memories", ["model"])
    op.create_index(
        "ix_memories_expires_at",
        "memories",
        ["expires_at"],
        sqlite_where=EXPIRES,
        postgresql_where=EXPIRES,
    )
    op.create_table(
        "memory_removals",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("index_name", sa.String(length=100), nullable=False),
        sa.Column("removed_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", "index_name", name=op.f("pk_memory_removals")),
    )
    op.create_index(op.f("ix_memory_removals_removed_at"), "memory_removals", ["removed_at"])
