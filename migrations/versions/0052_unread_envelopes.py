"""Envelopes whose signals could not be read.

Revision ID: 0052
Revises: 0051
"""

import sqlalchemy as sa
from alembic import op

revision = "0052"
down_revision = "0051"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "unread_envelopes",
        sa.Column("envelope_id", ROW_ID, autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(
            ["envelope_id"],
            ["envelopes.id"],
            name="fk_unread_envelopes_envelope_id_envelopes",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("envelope_id", name="pk_unread_envelopes"),
    )
