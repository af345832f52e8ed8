"""Indexes for lists of one project.

Revision ID: 0021
Revises: 0020
"""

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(op.f("ix_events_project_id_id"), "events", ["project_id", "id"])
    op.create_index(
        op.f("ix_issues_project_id_status_last_seen_id"),
        "issues",
        ["project_id", "status", "last_seen", "id"],
    )
