"""Releases; whom errors met, by the day; in which release an issue is resolved.

Revision ID: 0015
Revises: 0014
"""

import sqlalchemy as sa
from alembic import op

TIME = sa.DateTime(timezone=True)
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
AWAITS_RELEASE = "resolved_after IS NOT NULL AND resolved_in IS NULL"
IS_RESOLVED_IN = "resolved_in IS NOT NULL"
HAS_REGRESSED = "kind = 'regressed'"

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _releases()
    _issues()
    _users()


def _releases() -> None:
    op.create_table(
        "releases",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.String(length=250), nullable=False),
        sa.Column("first_seen", TIME, nullable=True),
        sa.Column("last_seen", TIME, nullable=True),
        sa.Column("announced_at", TIME, nullable=True),
        sa.Column("announced_by", sa.String(length=200), nullable=True),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_releases_project_id_projects")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_releases")),
        sa.UniqueConstraint("project_id", "version", name=op.f("uq_releases_project_id_version")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_releases_project_id_id"), "releases", ["project_id", "id"])
    # Of the events that are there, in the order in which they came; as many as a project may have.
    op.execute(
        sa.text(
            "INSERT INTO releases (project_id, version, first_seen, last_seen)"
            " SELECT project_id, version, first_seen, last_seen FROM ("
            "  SELECT project_id, release AS version, min(stored_at) AS first_seen,"
            "   max(stored_at) AS last_seen, min(id) AS first_id, row_number() OVER"
            "   (PARTITION BY project_id ORDER BY max(id) DESC) AS age"
            "  FROM events WHERE release IS NOT NULL AND release <> ''"
            "  GROUP BY project_id, release) AS known"
            " WHERE age <= 1000 ORDER BY first_id"
        )
    )


def _issues() -> None:
    op.add_column("issues", sa.Column("resolved_after", sa.Integer(), nullable=True))
    op.add_column("issues", sa.Column("resolved_in", sa.String(length=250), nullable=True))
    op.create_index(
        op.f("ix_issues_project_id_first_release"), "issues", ["project_id", "first_release"]
    )
    for name, table, columns, where in [
        ("ix_issues_resolved_in", "issues", ["project_id", "resolved_in"], IS_RESOLVED_IN),
        ("ix_issues_awaiting_release", "issues", ["project_id"], AWAITS_RELEASE),
        ("ix_transitions_regressed_in", "transitions", ["release"], HAS_REGRESSED),
    ]:
        text = sa.text(where)
        op.create_index(name, table, columns, sqlite_where=text, postgresql_where=text)


def _users() -> None:
    op.create_table(
        "affected_users",
        sa.Column("kind", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("of_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("user_hash", sa.String(length=32), nullable=False),
        sa.Column("first_day", sa.Integer(), nullable=False),
        sa.Column("last_day", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "of_id", "user_hash", name=op.f("pk_affected_users")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "affected_days",
        sa.Column("kind", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("of_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("users", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "of_id", "day", name=op.f("pk_affected_days")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_affected_days_day"), "affected_days", ["day"])
    # Whoever met an issue before is known, only not when.
    op.execute(
        sa.text(
            "INSERT INTO affected_users (kind, of_id, user_hash, first_day, last_day)"
            " SELECT 1, issue_id, user_hash, 0, 0 FROM issue_users"
        )
    )
    op.drop_table("issue_users")
