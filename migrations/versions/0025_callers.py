"""Address and user agent of who sent an envelope, where it asks for them.

Revision ID: 0025
Revises: 0024
"""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("envelopes", sa.Column("caller_address", sa.String(45), nullable=True))
    op.add_column("envelopes", sa.Column("caller_user_agent", sa.String(500), nullable=True))
