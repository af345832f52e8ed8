"""Issues are assigned to users, and ignored until a condition holds.

Revision ID: 0027
Revises: 0026
"""

import sqlalchemy as sa
from alembic import op

TIME = sa.DateTime(timezone=True)
IS_ASSIGNED = "assigned_to IS NOT NULL"
ENDS = "ignore_until IS NOT NULL"

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("issues") as issues:
        issues.add_column(sa.Column("assigned_to", sa.String(100), nullable=True))
        issues.create_foreign_key(
            op.f("fk_issues_assigned_to_users"),
            "users",
            ["assigned_to"],
            ["username"],
            ondelete="SET NULL",
        )
        issues.add_column(sa.Column("ignored_by", sa.String(200), nullable=True))
        issues.add_column(sa.Column("ignored_at", TIME, nullable=True))
        issues.add_column(sa.Column("ignore_until", sa.Text(), nullable=True))
        issues.add_column(sa.Column("ignored_from", TIME, nullable=True))
        for name in ("ignored_events", "ignored_users", "ignored_release"):
            issues.add_column(sa.Column(name, sa.Integer(), nullable=True))
    _make_index("ix_issues_assigned_to", "assigned_to", IS_ASSIGNED)
    _make_index("ix_issues_ignored_until", "id", ENDS)
    _fill()


def _make_index(name: str, column: str, where: str) -> None:
    condition = sa.text(where)
    op.create_index(name, "issues", [column], sqlite_where=condition, postgresql_where=condition)


def _fill() -> None:
    """Take from the history who ignored an issue, and when; rules have no such fields."""
    last = (
        "(SELECT max(id) FROM transitions WHERE transitions.issue_id = issues.id"
        " AND transitions.kind = 'ignored')"
    )
    for column, value in (("ignored_by", "actor"), ("ignored_at", "at")):
        op.execute(
            f"UPDATE issues SET {column} = (SELECT {value} FROM transitions"  # noqa: S608 -- ours
            f" WHERE transitions.id = {last}"
            " AND (transitions.actor IS NULL OR transitions.actor NOT LIKE 'rule: %'))"
            " WHERE status = 'ignored'"
        )
