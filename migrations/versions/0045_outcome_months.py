"""What became of the envelopes of a project, by month.

Revision ID: 0045
Revises: 0044
"""

import sqlalchemy as sa
from alembic import op

revision = "0045"
down_revision = "0044"
branch_labels = None
depends_on = None

_CATEGORIES = {"event": "error", "transaction": "transaction"}


def upgrade() -> None:
    op.create_table(
        "outcome_months",
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("category", sa.String(length=40), nullable=False),
        sa.Column("outcome", sa.String(length=80), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_outcome_months_project_id_projects")
        ),
        sa.PrimaryKeyConstraint(
            "project_id", "category", "outcome", "day", name=op.f("pk_outcome_months")
        ),
        sqlite_with_rowid=False,
    )
    _count_stored(op.get_bind())


def _count_stored(conn: sa.Connection) -> None:
    """Count the envelopes that are still stored, so that later changes have what they reduce."""
    is_sqlite = conn.dialect.name == "sqlite"
    month = "substr(received_at, 1, 7)" if is_sqlite else "to_char(received_at, 'YYYY-MM')"
    if not is_sqlite:
        conn.execute(sa.text("SET LOCAL TIME ZONE 'UTC'"))
    for kind, category in _CATEGORIES.items():
        conn.execute(
            sa.text(
                "INSERT INTO outcome_months (project_id, category, outcome, day, quantity)"  # noqa: S608 -- ours
                " SELECT project_id, :category, outcome,"
                f" {'month' if is_sqlite else 'CAST(month AS date)'}, count(*) FROM ("
                f"   SELECT project_id, {month} || '-01' AS month, CASE WHEN state = 'delivered'"
                "    THEN 'delivered' ELSE 'discarded:' || substr(coalesce(reason, ''), 1, 64) END"
                "    AS outcome FROM envelopes WHERE state IN ('delivered', 'discarded')"
                "    AND ',' || item_types || ',' LIKE :kind"
                " ) AS settled GROUP BY project_id, outcome, month"
            ),
            {"category": category, "kind": f"%,{kind},%"},
        )
