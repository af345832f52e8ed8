"""Whether lines of logs named a release, so that `release:latest` finds lines.

Revision ID: 0058
Revises: 0057
"""

import sqlalchemy as sa
from alembic import op

revision = "0058"
down_revision = "0057"
branch_labels = None
depends_on = None

# The same limits as those of `app/stats/releases.py`: all releases of a project, and of those that
# no event named.
MAX_RELEASES, MAX_UNPROVEN = 1000, 100

_MARK = (
    "UPDATE releases SET has_logs = true WHERE (project_id, version) IN"
    " (SELECT project_id, release FROM log_lines)"
)
# A new row is the newest release of its project. So only releases that lines named first after all
# that are known of logs become rows, and the oldest of them gets the lowest id.
_INSERT = f"""
WITH known AS (
    SELECT project_id, count(*) AS releases,
        max(CASE WHEN has_logs THEN coalesce(first_seen, announced_at) END) AS newest
    FROM releases GROUP BY project_id
), named AS (
    SELECT project_id, release, min(at) AS first_at, max(at) AS last_at
    FROM log_lines WHERE release <> '' GROUP BY project_id, release
), missing AS (
    SELECT named.*, coalesce(known.releases, 0) AS releases,
        row_number() OVER (
            PARTITION BY named.project_id ORDER BY first_at DESC, release DESC
        ) AS number
    FROM named LEFT JOIN known ON known.project_id = named.project_id
    WHERE (known.newest IS NULL OR first_at > known.newest) AND NOT EXISTS (
        SELECT 1 FROM releases
        WHERE releases.project_id = named.project_id AND version = release
    )
)
INSERT INTO releases (project_id, version, first_seen, last_seen, has_events, has_logs)
SELECT project_id, release, first_at, last_at, false, true FROM missing
WHERE number <= {MAX_UNPROVEN} AND number <= {MAX_RELEASES} - releases
ORDER BY first_at, release
"""  # noqa: S608 -- ours


def upgrade() -> None:
    column = sa.Column("has_logs", sa.Boolean(), server_default=sa.false(), nullable=False)
    op.add_column("releases", column)
    op.execute(_MARK)
    op.execute(_INSERT)
