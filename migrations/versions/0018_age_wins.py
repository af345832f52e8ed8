"""Payloads go by age, what a person decided stays; releases know whether an event named them.

Revision ID: 0018
Revises: 0017
"""

import sqlalchemy as sa
from alembic import op

TIME = sa.DateTime(timezone=True)
IS_KEPT = "payload_removed_at IS NOT NULL"

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("issues", sa.Column("payload_removed_at", TIME, nullable=True))
    op.create_index(
        "ix_issues_kept",
        "issues",
        ["project_id", "payload_removed_at", "id"],
        sqlite_where=sa.text(IS_KEPT),
        postgresql_where=sa.text(IS_KEPT),
    )
    # The oldest envelopes of a project are found by it.
    op.create_index(
        op.f("ix_envelopes_project_id_received_at_id"),
        "envelopes",
        ["project_id", "received_at", "id"],
    )
    op.create_index(op.f("ix_grouping_rules_project_id"), "grouping_rules", ["project_id"])
    _releases()


def _releases() -> None:
    op.add_column(
        "releases",
        sa.Column("has_events", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    # Issues name releases whose events retention removed already.
    for named in (
        "SELECT project_id, release FROM events",
        "SELECT project_id, first_release FROM issues",
        "SELECT project_id, last_release FROM issues",
    ):
        flag = "UPDATE releases SET has_events = true WHERE (project_id, version) IN "
        op.execute(sa.text(f"{flag}({named})"))
