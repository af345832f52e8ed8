"""Whether Sentry shows what it accepted: the events that are asked about, and by which API.

Revision ID: 0047
Revises: 0046
"""

import sqlalchemy as sa
from alembic import op

revision = "0047"
down_revision = "0046"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("destinations", sa.Column("api_token", sa.Text(), nullable=True))
    op.add_column("destinations", sa.Column("api_url", sa.Text(), nullable=True))
    op.add_column("destinations", sa.Column("api_org", sa.String(100), nullable=True))
    op.add_column("destinations", sa.Column("dsn_since", MOMENT, nullable=True))
    add_confirmations()
    add_sources()
    op.create_table(
        "confirmation_apis",
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("next_at", MOMENT, nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("cause", sa.String(300), nullable=True),
        sa.PrimaryKeyConstraint("key", name="pk_confirmation_apis"),
    )


def add_confirmations() -> None:
    op.create_table(
        "confirmations",
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("event_id", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("accepted_at", MOMENT, nullable=False),
        sa.Column("next_at", MOMENT, nullable=True),
        sa.Column("asked", sa.Integer(), nullable=False),
        sa.Column("asked_at", MOMENT, nullable=True),
        sa.Column("settled_at", MOMENT, nullable=True),
        sa.Column("reason", sa.String(200), nullable=True),
        sa.Column("group_id", sa.String(32), nullable=True),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name="fk_confirmations_project_id_projects"
        ),
        sa.PrimaryKeyConstraint("project_id", "event_id", name="pk_confirmations"),
    )
    op.create_index(
        "ix_confirmations_accepted_at_project_id_state",
        "confirmations",
        ["accepted_at", "project_id", "state"],
    )
    op.create_index(
        "ix_confirmations_asked",
        "confirmations",
        ["project_id", "next_at"],
        sqlite_where=sa.text("next_at IS NOT NULL"),
        postgresql_where=sa.text("next_at IS NOT NULL"),
    )


def add_sources() -> None:
    op.create_table(
        "confirmation_sources",
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("dsn_hash", sa.String(64), nullable=False),
        sa.Column("since", MOMENT, nullable=True),
        sa.Column("chosen_at", MOMENT, nullable=False),
        sa.Column("sampled_at", MOMENT, nullable=True),
        sa.Column("checked_at", MOMENT, nullable=True),
        sa.Column("needs_check", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("cause", sa.String(300), nullable=True),
        sa.Column("rests_until", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name="fk_confirmation_sources_project_id_projects"
        ),
        sa.PrimaryKeyConstraint("project_id", name="pk_confirmation_sources"),
    )
