"""Enrollment: a project made or changed as a whole, with the DSN it is sent on to, and its figures.

The DSN of an upstream is written here and shown nowhere: of it only the host is told.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypedDict
from urllib.parse import urlsplit

from sqlalchemy import Connection, Row, func, select, update

from app.delivery.destinations import Destination, Destinations, set_dsn
from app.delivery.ledger import Held, held_by_project
from app.delivery.tables import counters
from app.events.tables import events
from app.issues.tables import STATUSES, issues
from app.projects import (
    OWN_PROJECT_ID,
    Project,
    ProjectError,
    add_project,
    checked_name,
    find_project,
    list_projects,
    projects,
)
from app.projects.quotas import REFUSED
from app.protocol.addresses import AddressError, check_upstream
from app.protocol.dsn import PORTS, Dsn
from app.store import Store
from config import Config

# Far above what a machine takes, and below what a 32-bit column holds.
MAX_EVENTS_PER_MINUTE = 10**9
MAX_RETENTION_DAYS = 36500
MAX_DSN_LENGTH = 2000
_ANY_ADDRESS = frozenset({"0.0.0.0", "::"})  # noqa: S104 -- compared, not bound
_COLUMNS = ("name", "events_per_minute", "retention_days")


class Change(TypedDict, total=False):
    """What is to be changed; what is not named stays.

    ``events_per_minute``: 0 for no limit, ``None`` for the default.
    ``retention_days``: 0 for no limit, ``None`` for what RETENTION_DAYS says.
    ``upstream_dsn``: ``None`` to send nothing on.
    """

    name: str
    events_per_minute: int | None
    retention_days: int | None
    upstream_dsn: str | None


@dataclass(frozen=True)
class Figures:
    """What a project has sent.

    :param events: ever seen.
    :param issues: that are there.
    :param refused: envelopes that its quota kept out.
    """

    events: int = 0
    issues: int = 0
    first_seen: datetime | None = None
    last_seen: datetime | None = None
    refused: int = 0


@dataclass(frozen=True)
class ProjectDetails:
    """A project with where it goes, what it has sent, and what of it is held here."""

    project: Project
    destination: Destination
    figures: Figures
    held: Held = Held()


def register_project(
    store: Store,
    config: Config,
    change: Change,
    project_id: int | None = None,
    key: str | None = None,
) -> int:
    """Make a project and return its id.

    :param change: at least its name.
    :param project_id: by default the next one that is free.
    :param key: by default a new one.
    :raise Taken: the id or the key is. :raise ProjectError: a field is wrong; it names it.
    """
    checked = _checked(config, change)
    with store.write() as conn:
        made = add_project(conn, checked["name"], project_id, key)
        _write(conn, made, checked)
    return made


def amend(store: Store, config: Config, project_id: int, change: Change) -> None:
    """Change a project.

    :raise NoSuchProject: there is none. :raise ProjectError: a field is wrong; it names it.
    """
    checked = _checked(config, change)
    with store.write() as conn:
        find_project(conn, project_id)
        _write(conn, project_id, checked)


def list_details(conn: Connection, destinations: Destinations) -> list[ProjectDetails]:
    """Return every project, by id."""
    found = {destination.project_id: destination for destination in destinations.list(conn)}
    figures, held = _figures(conn), held_by_project(conn)
    return [
        ProjectDetails(
            project,
            found.get(project.id, Destination(project.id)),
            figures.get(project.id, Figures()),
            held.get(project.id, Held()),
        )
        for project in list_projects(conn)
    ]


def find_details(conn: Connection, destinations: Destinations, project_id: int) -> ProjectDetails:
    """Return one project.

    :raise NoSuchProject: there is none.
    """
    project = find_project(conn, project_id)
    figures = _figures(conn, project_id).get(project_id, Figures())
    held = held_by_project(conn, project_id).get(project_id, Held())
    return ProjectDetails(project, destinations.find(conn, project_id), figures, held)


def first_event(conn: Connection, project_id: int) -> Row[Any] | None:
    """Return the oldest event of a project that is stored, ``None`` before there is one.

    By its first issue, since no index leads to the oldest row of one project among all events.
    """
    of_project = issues.c.project_id == project_id, issues.c.status.in_(STATUSES)
    first = select(func.min(issues.c.id)).where(*of_project).scalar_subquery()
    query = select(events).where(events.c.issue_id == first).order_by(events.c.id).limit(1)
    return conn.execute(query).first()


def leads_here(dsn: Dsn, config: Config) -> bool:
    """Tell whether a DSN leads to this very service, as far as its address tells."""
    for host, port, path in _own_addresses(config):
        is_below = dsn.prefix == path or dsn.prefix.startswith(f"{path}/")
        same_host = dsn.host == host or (dsn.is_loopback and _is_local(host))
        if same_host and dsn.port == port and is_below:
            return True
    return False


# ---- checking -----------------------------------------------------------------------------------


def _checked(config: Config, change: Change) -> Change:
    checked = change.copy()
    if "name" in change:
        checked["name"] = checked_name(change["name"])
    _check_number("events_per_minute", change.get("events_per_minute"), MAX_EVENTS_PER_MINUTE)
    _check_number("retention_days", change.get("retention_days"), MAX_RETENTION_DAYS)
    dsn = change.get("upstream_dsn")
    if dsn is not None:
        checked["upstream_dsn"] = _checked_dsn(config, dsn)
    return checked


def _check_number(field: str, value: int | None, highest: int) -> None:
    if value is not None and not 0 <= value <= highest:
        raise ProjectError(f"a number from 0 to {highest} is expected", field)


def _checked_dsn(config: Config, text: str) -> str:
    text = text.strip()
    try:
        if not text.isascii() or not text.isprintable() or " " in text:
            raise ValueError("a character that no DSN has")
        dsn = Dsn.of(text[:MAX_DSN_LENGTH])
    except ValueError:
        # Not the reason, which may repeat a part of it.
        raise ProjectError("a DSN such as https://key@host/1 is expected", "upstream_dsn") from None
    try:
        check_upstream(dsn, allow_private=config.UPSTREAM_ALLOW_PRIVATE)
    except AddressError as error:
        raise ProjectError(f"this DSN is not sent to: {error}", "upstream_dsn") from None
    if leads_here(dsn, config):
        raise ProjectError("this DSN leads back to this service", "upstream_dsn")
    return text


def _own_addresses(config: Config) -> Iterator[tuple[str | None, int, str]]:
    public = urlsplit(config.public_url)
    yield public.hostname, public.port or PORTS[public.scheme], public.path.rstrip("/")
    yield config.API_HOST, config.API_PORT, ""


def _is_local(host: str | None) -> bool:
    if host in _ANY_ADDRESS:
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return host == "localhost"


# ---- rows ---------------------------------------------------------------------------------------


def _write(conn: Connection, project_id: int, change: Change) -> None:
    values = {name: value for name, value in change.items() if name in _COLUMNS}
    if values:
        conn.execute(update(projects).where(projects.c.id == project_id).values(values))
    if "upstream_dsn" not in change:
        return
    if project_id == OWN_PROJECT_ID:
        text = "the DSN of project 1, this application, is the setting SENTRY_DSN"
        raise ProjectError(text, "upstream_dsn")
    set_dsn(conn, project_id, change["upstream_dsn"])


def _figures(conn: Connection, project_id: int | None = None) -> dict[int, Figures]:
    """Return the figures of projects that have any; read from issues, of which there are few."""
    query = select(
        issues.c.project_id,
        func.sum(issues.c.times_seen).label("events"),
        func.count().label("issues"),
        func.min(issues.c.first_seen).label("first_seen"),
        func.max(issues.c.last_seen).label("last_seen"),
    ).where(issues.c.status.in_(STATUSES))
    if project_id is not None:
        query = query.where(issues.c.project_id == project_id)
    found = {
        row.project_id: Figures(int(row.events), row.issues, row.first_seen, row.last_seen)
        for row in conn.execute(query.group_by(issues.c.project_id))
    }
    for project_id, count in _refused(conn).items():
        found[project_id] = replace(found.get(project_id, Figures()), refused=count)
    return found


def _refused(conn: Connection) -> dict[int, int]:
    query = select(counters).where(counters.c.name.startswith(REFUSED))
    return {int(name.removeprefix(REFUSED)): int(value) for name, value in conn.execute(query)}
