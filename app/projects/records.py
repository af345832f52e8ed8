"""Projects and their keys: the tenants that events belong to. Project 1 is this application itself.

The DSN of a program contains a public key. A key gives access to one project. A project may have
several keys: an old key stays valid until it is revoked, so a change of keys loses no events.

Errors::

    ProjectError       the request cannot be carried out; ``field`` names the wrong field
    ├── NoSuchProject  the project does not exist, or it has no such key
    └── Taken          another project has the id or the key
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Connection, Row, Update, bindparam, func, select, update

from app.accounts import audit
from app.inputs import Conflict, InputError, Missing
from app.projects.tables import MAX_NAME_LENGTH, project_keys, projects
from app.store import Store, inserted, utc_now
from app.store import insert as insert_into

OWN_PROJECT_ID = 1
# The maximum of a 32-bit column; PostgreSQL refuses larger values.
MAX_PROJECT_ID = 2**31 - 1
# Our keys are 32 hex digits. A key that is taken over from another service may have any characters
# that a DSN allows.
_KEY = re.compile(r"[0-9A-Za-z_-]{1,64}")
# How long a process may still accept a revoked key. A query of the store takes 0.07 ms on SQLite,
# 0.3 ms on PostgreSQL on the same machine, and one more round trip on another machine.
KEY_CACHE_S = 1.0


_OF_KEY = (
    select(project_keys.c.project_id, projects.c.events_per_minute)
    .join(projects, projects.c.id == project_keys.c.project_id)
    .where(
        project_keys.c.public_key == bindparam("key"),
        project_keys.c.revoked_at.is_(None),
        projects.c.archived_at.is_(None),
        projects.c.deleted_at.is_(None),
    )
)


_HIDDEN = {"deleted_at", "purged_at"}
_SHOWN = [column for column in projects.c if column.name not in _HIDDEN]


class ProjectError(InputError):
    """A request about a project cannot be carried out."""


class NoSuchProject(ProjectError, Missing):
    """The project does not exist, or it has no such key."""


class Taken(ProjectError, Conflict):
    """Another project has the id or the key."""


@dataclass(frozen=True, slots=True)
class Project:
    """A project; ``keys`` are its valid keys, the newest last."""

    id: int
    name: str
    created_at: datetime
    events_per_minute: int | None
    retention_days: int | None
    source_url: str | None = None
    archived_at: datetime | None = None
    is_demo: bool = False
    keys: list[str] = field(default_factory=list)


def create_project(
    store: Store, name: str, project_id: int | None = None, key: str | None = None
) -> Project:
    """Create a project with a key and return it.

    :param project_id: by default the next free id.
    :param key: a key to take over from another service; by default a new key, 32 hex digits.
    :raise ProjectError: the id or the key is taken, or the name, the id or the key is not valid.
    """
    with store.write() as conn:
        return find_project(conn, add_project(conn, name, project_id, key))


def add_project(
    conn: Connection, name: str, project_id: int | None = None, key: str | None = None
) -> int:
    """Add a project with a key in the caller's write transaction, and return its id.

    :raise ProjectError: as in :func:`create_project`.
    """
    name = checked_name(name)
    # Find-then-create is safe here: Store.write makes this process the only writer.
    newest = conn.scalar(select(func.max(projects.c.id))) or 0
    project_id = newest + 1 if project_id is None else project_id
    if not 0 < project_id <= MAX_PROJECT_ID:
        raise ProjectError(f"the id of a project is between 1 and {MAX_PROJECT_ID}", "id")
    row = {"id": project_id, "name": name, "created_at": utc_now()}
    if not inserted(conn, insert_into(conn, projects).values(row)):
        raise Taken(f"there is a project {project_id} already", "id")
    audit.note(conn, "project_added", f"project {project_id}", name)
    _add_key(conn, project_id, key)
    return project_id


def closed_projects(conn: Connection, ids: Iterable[int]) -> set[int]:
    """Return those of some projects that are archived or deleted, so that they take nothing."""
    columns = projects.c
    is_closed = columns.archived_at.is_not(None) | columns.deleted_at.is_not(None)
    return set(conn.scalars(select(columns.id).where(columns.id.in_(list(ids)), is_closed)))


def find_project(conn: Connection, project_id: int) -> Project:
    """Return a project with its valid keys.

    :raise NoSuchProject: the project does not exist.
    """
    for project in list_projects(conn):
        if project.id == project_id:
            return project
    raise NoSuchProject(f"there is no project {project_id}")


def list_projects(conn: Connection) -> list[Project]:
    """Return all projects but deleted ones, with their valid keys, ordered by id."""
    keys: dict[int, list[str]] = {}
    query = select(project_keys).where(project_keys.c.revoked_at.is_(None))
    for row in conn.execute(query.order_by(project_keys.c.id)):
        keys.setdefault(row.project_id, []).append(row.public_key)
    query = select(*_SHOWN).where(projects.c.deleted_at.is_(None))
    return [
        Project(**row._mapping, keys=keys.get(row.id, []))
        for row in conn.execute(query.order_by(projects.c.id))
    ]


def rename_project(store: Store, project_id: int, name: str) -> None:
    """Give a project another name.

    :raise ProjectError: the project does not exist, or the name is not valid.
    """
    statement = update(projects).where(projects.c.id == project_id)
    with store.write() as conn:
        find_project(conn, project_id)
        conn.execute(statement.values(name=checked_name(name)))
        audit.note(conn, "project_changed", f"project {project_id}", "name")


def rotate_key(
    store: Store, project_id: int, key: str | None = None, *, revoke: bool = False
) -> str:
    """Add a new key to a project and return it.

    :param key: a key to take over from another service; by default a new key.
    :param revoke: whether the old keys stop working at once; else they work until they are revoked.
    :raise ProjectError: the project does not exist, or the key is taken or not valid.
    """
    with store.write() as conn:
        find_project(conn, project_id)
        if revoke:
            conn.execute(_revocation(project_id).values(revoked_at=utc_now()))
            audit.note(conn, "key_revoked", f"project {project_id}", "all older keys")
        made = _add_key(conn, project_id, key)
        audit.note(conn, "key_added", f"project {project_id}", _ending(made))
        return made


def revoke_key(store: Store, project_id: int, key: str) -> None:
    """Revoke a key. Every process refuses it within :data:`KEY_CACHE_S` seconds.

    :raise ProjectError: the project has no such valid key.
    """
    statement = _revocation(project_id).where(project_keys.c.public_key == key)
    with store.write() as conn:
        if key not in find_project(conn, project_id).keys:
            raise NoSuchProject(f"project {project_id} has no such key that works")
        conn.execute(statement.values(revoked_at=utc_now()))
        audit.note(conn, "key_revoked", f"project {project_id}", _ending(key))


def project_of_key(conn: Connection, key: str) -> int | None:
    """Return the id of the project that a key belongs to, or ``None`` if the key is not valid."""
    found = _opened_by(conn, key)
    return found.project_id if found else None


def dsn_of(public_url: str, project_id: int, key: str) -> str:
    """Return the DSN for a program that reports to a project."""
    parts = urlsplit(public_url)
    return f"{parts.scheme}://{key}@{parts.netloc}{parts.path.rstrip('/')}/{project_id}"


def quota_of(project_id: int, own: int | None, default: int) -> int | None:
    """Return how many envelopes a project may send in a minute, or ``None`` for no limit.

    :param own: the quota in the row of the project: ``None`` for the default, 0 for no limit.
    :param default: the default quota of all projects except this application; 0 for no limit.
    """
    if own is None:
        return None if project_id == OWN_PROJECT_ID else default or None
    return own or None


class KeyRing:
    """Caches the project of each key, and its quota, for :data:`KEY_CACHE_S` seconds.

    :param default_quota: envelopes a minute for projects without a quota; 0 for no limit.
    """

    def __init__(self, store: Store, default_quota: int = 0) -> None:
        self._store = store
        self._default_quota = default_quota
        # Contains only keys that exist, so its size is bounded by their number.
        self._known: dict[str, tuple[int, float]] = {}
        self._quotas: dict[int, int | None] = {}
        self._ids: tuple[frozenset[int], float] = (frozenset(), 0.0)

    def project_of(self, key: str) -> int | None:
        """Return the id of the project that a key belongs to, or ``None`` if the key is not valid.

        :raise StoreError: the store does not answer.
        """
        project_id, until = self._known.get(key, (0, 0.0))
        if time.monotonic() < until:
            return project_id
        with self._store.read() as conn:
            found = _opened_by(conn, key)
        if found is None:
            self._known.pop(key, None)
            return None
        self._known[key] = (found.project_id, time.monotonic() + KEY_CACHE_S)
        self._quotas[found.project_id] = quota_of(
            found.project_id, found.events_per_minute, self._default_quota
        )
        return int(found.project_id)

    def has_project(self, project_id: int) -> bool:
        """Return whether a project exists; the answer is at most :data:`KEY_CACHE_S` seconds old.

        :raise StoreError: the store does not answer.
        """
        ids, until = self._ids
        if time.monotonic() >= until:
            with self._store.read() as conn:
                there = select(projects.c.id).where(projects.c.deleted_at.is_(None))
                ids = frozenset(conn.scalars(there))
            self._ids = ids, time.monotonic() + KEY_CACHE_S
        return project_id in ids

    def may_be_lost(self) -> bool:
        """Return whether an unknown key may have been lost with a damaged store.

        :raise StoreError: the store does not answer.
        """
        return self._store.has_lost_keys()

    def quota_of(self, project_id: int) -> int | None:
        """Return how many envelopes a project may send in a minute, or ``None`` for no limit.

        :param project_id: an id that :meth:`project_of` has just returned.
        """
        return self._quotas.get(project_id)


def _opened_by(conn: Connection, key: str) -> Row[Any, Any] | None:
    return conn.execute(_OF_KEY, {"key": key}).first() if _KEY.fullmatch(key) else None


def _add_key(conn: Connection, project_id: int, key: str | None) -> str:
    key = key or uuid.uuid4().hex
    if not _KEY.fullmatch(key):
        raise ProjectError("a key is up to 64 letters, digits, - and _", "key")
    row = {"project_id": project_id, "public_key": key, "created_at": utc_now()}
    if not inserted(conn, insert_into(conn, project_keys).values(row)):
        raise Taken("this key is taken", "key")
    return key


def _ending(key: str) -> str:
    return f"the key that ends with {key[-4:]}"


def _revocation(project_id: int) -> Update:
    return update(project_keys).where(
        project_keys.c.project_id == project_id, project_keys.c.revoked_at.is_(None)
    )


def checked_name(name: str) -> str:
    """Return a name without the spaces around it.

    :raise ProjectError: the name is empty, too long or has control characters.
    """
    name = name.strip()
    if not 0 < len(name) <= MAX_NAME_LENGTH or not name.isprintable():
        raise ProjectError(f"1 to {MAX_NAME_LENGTH} characters are expected", "name")
    return name
