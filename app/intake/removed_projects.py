"""Remove the data of deleted projects in batches.

    1. issues       they disappear from every list
    2. envelopes    what still waits for Sentry is discarded, then all are removed with their events
    3. the rest     every table that belongs to the project, those that refer to others first
    4. the name     the row of the project stays without it (:mod:`app.projects.ending`)

Every step can be repeated. A process that is killed leaves the rest to the next run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, Table, delete, exists, select, update

from app.delivery.actions import discard
from app.delivery.destinations import Destinations
from app.delivery.filter import DeliveryFilter
from app.delivery.tables import counters
from app.events.tables import envelopes
from app.intake import pruning
from app.intake.expired_issues import purge_deleted
from app.issues import triage
from app.issues.tables import STATUSES, issues
from app.projects import projects
from app.projects.quotas import ANY_REFUSED
from app.signals.logs.removing import remove_lines
from app.signals.logs.tables import log_lines
from app.stats.environments import ENVIRONMENT, PROJECT
from app.stats.tables import affected_days, affected_users, project_environments, releases
from app.stats.users import RELEASE
from app.store import Store, delete_in_batches, metadata, utc_now
from app.store.paging import hidden

ACTOR = "project deleted"
# Envelopes that one run removes, about ten seconds of work. The background tasks after it wait.
RUN_ENVELOPES = 10_000
Progress = Callable[[int], None]


def awaiting_removal(store: Store) -> list[int]:
    """Return the ids of deleted projects that still have data."""
    query = select(projects.c.id).where(
        projects.c.deleted_at.is_not(None), projects.c.purged_at.is_(None)
    )
    with store.read() as conn:
        return list(conn.scalars(query.order_by(projects.c.id)))


def remove_deleted_projects(
    store: Store, destinations: Destinations, progress: Progress = lambda count: None
) -> None:
    """Remove the data of all deleted projects.

    :param progress: called after each batch of envelopes with their number.
    """
    for project_id in awaiting_removal(store):
        remove_project_data(store, destinations, project_id, progress)


def remove_project_data(
    store: Store,
    destinations: Destinations,
    project_id: int,
    progress: Progress = lambda count: None,
) -> bool:
    """Remove the data of one deleted project.

    :return: whether nothing is left. One call removes RUN_ENVELOPES at most, and an envelope may
        have been stored meanwhile: the next call goes on.
    """
    _delete_issues(store, project_id)
    discard(store, destinations, DeliveryFilter(project_id=project_id), ACTOR)
    gone = pruning.candidates(store, project_id=project_id)
    pruning.remove(store, gone, progress, RUN_ENVELOPES)
    purge_deleted(store)
    if _has_rows(store, envelopes, project_id) or _has_rows(store, issues, project_id):
        return False
    remove_lines(store, log_lines.c.project_id == project_id)
    for table, is_of_project in owned_rows(project_id):
        delete_in_batches(store, table, is_of_project)
    _finish(store, project_id)
    return True


def owned_rows(project_id: int) -> list[tuple[Table, ColumnElement[bool]]]:
    """Return the tables with data of a project, and which of their rows belong to it.

    A table belongs to a project if it has a column ``project_id``, or if it refers to a table that
    does. Tables that refer to others come first.
    """
    conditions: dict[Table, ColumnElement[bool]] = {}
    for table in metadata.sorted_tables:
        condition = _condition(table, project_id, conditions)
        if condition is not None:
            conditions[table] = condition
    return [*_users(project_id), *reversed(conditions.items())]


def _users(project_id: int) -> list[tuple[Table, ColumnElement[bool]]]:
    """Return the rows that name a release, an environment or the project by its id, without a
    foreign key.
    """
    owners = {
        kind: select(table.c.id).where(table.c.project_id == project_id)
        for kind, table in ((RELEASE, releases), (ENVIRONMENT, project_environments))
    }
    owners[PROJECT] = select(projects.c.id).where(projects.c.id == project_id)
    return [
        (table, (table.c.kind == kind) & table.c.of_id.in_(owner))
        for table in (affected_users, affected_days)
        for kind, owner in owners.items()
    ]


def _condition(
    table: Table, project_id: int, owners: dict[Table, ColumnElement[bool]]
) -> ColumnElement[bool] | None:
    if "project_id" in table.c:
        return table.c.project_id == project_id
    for key in sorted(table.foreign_keys, key=lambda key: key.parent.name):
        owner = owners.get(key.column.table)
        if owner is not None and key.ondelete != "SET NULL":
            return key.parent.in_(select(key.column).where(owner))
    return None


def _delete_issues(store: Store, project_id: int) -> None:
    columns = issues.c
    some = select(columns.id).where(
        columns.project_id == project_id, hidden(columns.status).in_(STATUSES)
    )
    while True:
        with store.write(durable=False) as conn:
            ids = list(conn.scalars(some.limit(triage.BATCH_SIZE)))
            triage.delete(conn, ids)
        if len(ids) < triage.BATCH_SIZE:
            return


def _has_rows(store: Store, table: Table, project_id: int) -> bool:
    query: Any = select(exists().where(table.c.project_id == project_id))
    with store.read() as conn:
        return bool(conn.scalar(query))


def _finish(store: Store, project_id: int) -> None:
    refused = counters.c.name.like(f"{ANY_REFUSED}%:{project_id}")
    with store.write() as conn:
        conn.execute(delete(counters).where(refused))
        row = update(projects).where(projects.c.id == project_id)
        conn.execute(row.values(name="", purged_at=utc_now()))
