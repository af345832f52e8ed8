"""Roles and choices of users, their sessions, limits of tokens, and the audit log.

Users that exist become admins: until now everybody who could log in could do everything.

Revision ID: 0035
Revises: 0034
"""

import sqlalchemy as sa
from alembic import op

TIME = sa.DateTime(timezone=True)
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("users", sa.Column("role", sa.String(10), nullable=False, server_default="admin"))
    op.add_column("users", sa.Column("time_zone", sa.String(64), nullable=True))
    op.add_column("users", sa.Column("theme", sa.String(8), nullable=True))
    op.add_column("api_tokens", sa.Column("project_ids", sa.String(500), nullable=True))
    op.add_column("api_tokens", sa.Column("expires_at", TIME, nullable=True))
    op.add_column("api_tokens", sa.Column("last_used_at", TIME, nullable=True))
    op.add_column("api_tokens", sa.Column("created_by", sa.String(200), nullable=True))
    _make_sessions()
    _make_audit_log()


def _make_sessions() -> None:
    op.create_table(
        "user_sessions",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("username", sa.String(100), nullable=False),
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("started_at", TIME, nullable=False),
        sa.Column("seen_at", TIME, nullable=False),
        sa.Column("address", sa.String(45), nullable=True),
        sa.Column("browser", sa.String(200), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_sessions")),
        sa.ForeignKeyConstraint(
            ["username"],
            ["users.username"],
            name=op.f("fk_user_sessions_username_users"),
            ondelete="CASCADE",
        ),
        sa.UniqueConstraint("token_hash", name=op.f("uq_user_sessions_token_hash")),
    )
    op.create_index(op.f("ix_user_sessions_username"), "user_sessions", ["username"])


def _make_audit_log() -> None:
    op.create_table(
        "audit_log",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("address", sa.String(45), nullable=True),
        sa.Column("action", sa.String(40), nullable=False),
        sa.Column("target", sa.String(200), nullable=False),
        sa.Column("detail", sa.String(1000), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_log")),
    )
    op.create_index(op.f("ix_audit_log_at"), "audit_log", ["at"])
