"""The search index. A background task fills it with the events that are there.

Revision ID: 0029
Revises: 0028
"""

import sqlalchemy as sa
from alembic import op

TIME = sa.DateTime(timezone=True)
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
# Tokens are ASCII letters and digits, made by the program; nothing else in the text of a row.
_SQLITE = (
    "CREATE VIRTUAL TABLE search_events USING fts5("
    "tokens, content='', detail=none, columnsize=0, tokenize='ascii')",
    "CREATE TABLE search_event_tokens (event_id INTEGER PRIMARY KEY, tokens BLOB NOT NULL)",
    "CREATE VIRTUAL TABLE search_issues USING fts5("
    "tokens, detail=none, columnsize=0, tokenize='ascii')",
)
_POSTGRESQL = (
    "CREATE TABLE search_events (event_id BIGINT PRIMARY KEY"
    " REFERENCES events (id) ON DELETE CASCADE, tokens TSVECTOR NOT NULL)",
    "CREATE INDEX ix_search_events_tokens ON search_events USING gin (tokens)",
    "CREATE TABLE search_issues (issue_id BIGINT PRIMARY KEY"
    " REFERENCES issues (id) ON DELETE CASCADE, tokens TSVECTOR NOT NULL)",
    "CREATE INDEX ix_search_issues_tokens ON search_issues USING gin (tokens)",
)

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "search_state",
        sa.Column("name", sa.String(16), nullable=False),
        sa.Column("up_to", ROW_ID, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_search_state")),
    )
    op.create_table(
        "search_hours",
        sa.Column("hour", TIME, nullable=False),
        sa.Column("first_id", ROW_ID, nullable=False),
        sa.Column("last_id", ROW_ID, nullable=False),
        sa.PrimaryKeyConstraint("hour", name=op.f("pk_search_hours")),
    )
    op.create_index("ix_search_hours_last_id", "search_hours", ["last_id"])
    op.create_table(
        "search_stale_issues",
        sa.Column("issue_id", ROW_ID, nullable=False),
        sa.Column("marks", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["issue_id"],
            ["issues.id"],
            name=op.f("fk_search_stale_issues_issue_id_issues"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("issue_id", name=op.f("pk_search_stale_issues")),
    )
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    for statement in _SQLITE if is_sqlite else _POSTGRESQL:
        op.execute(statement)
