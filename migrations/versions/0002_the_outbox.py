"""The outbox: when an envelope is due, the ledger of attempts, destinations, what is owed upstream.

Revision ID: 0002
Revises: 0001
"""

import uuid

import sqlalchemy as sa
from alembic import op

TIME = sa.DateTime(timezone=True)
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

OUTBOX = sa.text("state IN ('pending', 'retry')")


def upgrade() -> None:
    op.add_column("envelopes", sa.Column("next_at", TIME, nullable=True))
    op.add_column(
        "envelopes", sa.Column("attempts", sa.Integer(), server_default="0", nullable=False)
    )
    op.add_column(
        "envelopes", sa.Column("priority", sa.Integer(), server_default="1", nullable=False)
    )
    op.add_column("envelopes", sa.Column("upstream_id", sa.String(length=64), nullable=True))
    op.add_column("envelopes", sa.Column("via", sa.String(length=500), nullable=True))
    op.create_index(
        "ix_envelopes_outbox",
        "envelopes",
        ["project_id", "priority", "id"],
        sqlite_where=OUTBOX,
        postgresql_where=OUTBOX,
    )
    op.execute(sa.text("UPDATE envelopes SET next_at = received_at WHERE state = 'pending'"))

    op.create_table(
        "attempts",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("envelope_id", ROW_ID, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("ms", sa.Float(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("error", sa.String(length=500), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("next_at", TIME, nullable=True),
        sa.Column("worker", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(
            ["envelope_id"],
            ["envelopes.id"],
            name=op.f("fk_attempts_envelope_id_envelopes"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attempts")),
    )
    op.create_index(op.f("ix_attempts_envelope_id_id"), "attempts", ["envelope_id", "id"])
    op.create_index(op.f("ix_attempts_at"), "attempts", ["at"])
    op.create_table(
        "destinations",
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("dsn", sa.Text(), nullable=True),
        sa.Column("dsn_hash", sa.String(length=64), nullable=True),
        sa.Column("paused_at", TIME, nullable=True),
        sa.Column("open_since", TIME, nullable=True),
        sa.Column("cause", sa.String(length=500), nullable=True),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("probe_at", TIME, nullable=True),
        sa.Column("limits", sa.JSON(), nullable=False),
        sa.Column("delivered_at", TIME, nullable=True),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_destinations_project_id_projects")
        ),
        sa.PrimaryKeyConstraint("project_id", name=op.f("pk_destinations")),
    )
    op.create_table(
        "client_reports",
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("category", sa.String(length=64), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_client_reports_project_id_projects")
        ),
        sa.PrimaryKeyConstraint("project_id", "reason", "category", name=op.f("pk_client_reports")),
    )
    op.create_table(
        "issue_deliveries",
        sa.Column("issue_id", ROW_ID, nullable=False),
        sa.Column("hour", TIME, nullable=False),
        sa.Column("sent", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["issue_id"],
            ["issues.id"],
            name=op.f("fk_issue_deliveries_issue_id_issues"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("issue_id", "hour", name=op.f("pk_issue_deliveries")),
    )
    facts = op.create_table(
        "facts",
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_facts")),
    )
    # Who this store is, so that a way back to it is recognised wherever it comes in.
    op.bulk_insert(facts, [{"name": "instance_id", "value": uuid.uuid4().hex}])
    _split_pruned()


def _split_pruned() -> None:
    """Count what was pruned by the state it was in, which the rows that are left tell."""
    conn = op.get_bind()
    rows = dict(conn.execute(sa.text("SELECT state, count(*) FROM envelopes GROUP BY state")).all())
    counted = dict(conn.execute(sa.text("SELECT name, value FROM counters")).all())
    gone = {
        state: counted.get(f"state:{state}", 0) - rows.get(state, 0)
        for state in ("local", "delivered")
    }
    discarded = sum(value for name, value in counted.items() if name.startswith("discarded:"))
    gone["discarded"] = discarded - rows.get("discarded", 0)
    counters = sa.table("counters", sa.column("name", sa.String), sa.column("value", sa.BigInteger))
    op.bulk_insert(
        counters,
        [{"name": f"pruned:{state}", "value": value} for state, value in gone.items() if value],
    )
    conn.execute(counters.delete().where(counters.c.name == "pruned"))
