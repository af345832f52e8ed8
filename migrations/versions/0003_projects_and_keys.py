"""Keys of projects, by which other programs report; what a project may send and how long it stays.

Revision ID: 0003
Revises: 0002
"""

import uuid
from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

TIME = sa.DateTime(timezone=True)

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("projects", sa.Column("events_per_minute", sa.Integer(), nullable=True))
    op.add_column("projects", sa.Column("retention_days", sa.Integer(), nullable=True))
    keys = op.create_table(
        "project_keys",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("public_key", sa.String(length=64), nullable=False),
        sa.Column("label", sa.String(length=100), nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("revoked_at", TIME, nullable=True),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_project_keys_project_id_projects")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_project_keys")),
        sa.UniqueConstraint("public_key", name=op.f("uq_project_keys_public_key")),
    )
    op.create_index(op.f("ix_project_keys_project_id"), "project_keys", ["project_id"])
    found = op.get_bind().execute(sa.text("SELECT id FROM projects")).scalars().all()
    now = datetime.now(UTC)
    rows = [
        {"project_id": project_id, "public_key": uuid.uuid4().hex, "created_at": now}
        for project_id in found
    ]
    op.bulk_insert(keys, rows)
