"""Destinations: the DSN that a project's envelopes are sent to, and the state of sending to it.

Project 1 is this application; its DSN is a setting. The DSN of every other project is in the
project's row. The envelopes of a project without a DSN stay here.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections import namedtuple
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Select, Subquery, bindparam, select, update

from app.delivery.client import DEADLINE_S
from app.delivery.outbox import bring_forward
from app.delivery.tables import destinations
from app.projects import OWN_PROJECT_ID, projects
from app.protocol.dsn import Dsn
from app.store import DriverStatement, is_in, replaced, upsert, utc_now

_ONE = select(destinations).where(destinations.c.project_id == bindparam("project_id"))
_MANY = select(destinations).where(destinations.c.project_id.in_(bindparam("ids", expanding=True)))
# Every transaction that accepts envelopes executes this statement.
_WITH_DSN = DriverStatement(
    lambda dialect, size: select(destinations.c.project_id).where(
        is_in(destinations.c.project_id, "ids", size), destinations.c.dsn.is_not(None)
    ),
    takes="ids",
)


@dataclass(frozen=True)
class ApiSettings:
    """How Sentry's API is asked whether an event has arrived: settings of this application, or of
    a project. What is not given is derived from the DSN, see :mod:`app.confirmation.apis`.

    :param url: without ``/api/0``.
    :param org: slug or number of the organization.
    """

    token: str | None = field(default=None, repr=False)
    url: str | None = None
    org: str | None = None


@dataclass(frozen=True)
class Destination:
    """Where a project's envelopes are sent. Its ``repr`` shows neither the DSN nor the key.

    :param paused_at: when a person paused the destination.
    :param open_since: when its circuit opened. While it is open, one probe at a time is sent, at
        ``probe_at``.
    :param cause: of the last failure, in words.
    :param failures: number of failures in a row, of the whole destination.
    :param limits: category to the end of its rate limit.
    :param checked: whether the address of each connection is checked. It is not checked for a DSN
        that was set before this check existed, and not for the setting SENTRY_DSN.
    :param api: of the project; project 1 has the settings of this application instead.
    :param dsn_since: what was accepted since then was certainly accepted by this DSN; ``None`` if
        the DSN was never replaced.
    """

    project_id: int
    dsn: str | None = field(default=None, repr=False)
    paused_at: datetime | None = None
    open_since: datetime | None = None
    cause: str | None = None
    failures: int = 0
    probe_at: datetime | None = None
    limits: Mapping[str, datetime] = field(default_factory=dict)
    delivered_at: datetime | None = None
    checked: bool = False
    api: ApiSettings = ApiSettings()
    dsn_since: datetime | None = None

    @property
    def host(self) -> str | None:
        """Scheme, host and port of the DSN. No other part of a DSN is ever shown."""
        try:
            return Dsn.of(self.dsn).origin if self.dsn else None
        except ValueError:
            return None

    def state(self, now: datetime) -> str:
        """Return the state as one word: ``none``, ``paused``, ``open``, ``limited``, ``closed``."""
        if self.dsn is None:
            return "none"
        if self.paused_at:
            return "paused"
        if self.open_since:
            return "open"
        return "limited" if any(until > now for until in self.limits.values()) else "closed"


class Destinations:
    """The destinations of a store.

    :param own_dsn: DSN of project 1. With ``None`` its envelopes stay here.
    :param allow_private: whether a project's DSN may lead to private networks and this machine.
    :param sample_rate: share of events that are sent, 0 to 1; see :mod:`app.delivery.sampling`.
    :param own_api: Sentry's API for project 1.
    """

    def __init__(
        self,
        own_dsn: str | None = None,
        sample_rate: float = 1.0,
        allow_private: bool = True,
        own_api: ApiSettings = ApiSettings(),  # noqa: B008 -- frozen
    ) -> None:
        self.own_dsn = own_dsn
        self.allow_private = allow_private
        self.sample_rate = sample_rate
        self.own_api = own_api

    def with_dsn(self, conn: Connection, project_ids: Collection[int]) -> set[int]:
        """Return those of the projects that have a DSN."""
        found = {OWN_PROJECT_ID} & set(project_ids) if self.own_dsn else set()
        others = set(project_ids) - {OWN_PROJECT_ID}
        return found | {of for (of,) in _WITH_DSN.fetch(conn, {"ids": sorted(others)})}

    def find(self, conn: Connection, project_id: int) -> Destination:
        """Return the destination of a project. A project without a DSN gets one without a DSN."""
        row = conn.execute(_ONE, {"project_id": project_id}).first()
        return _destination(project_id, self._dsn_of(project_id, row), row)

    def find_all(self, conn: Connection, project_ids: Collection[int]) -> list[Destination]:
        """Return destinations in the order of the ids, without those whose row cannot be read.

        One statement reads all of them, unless a row is damaged.
        """
        try:
            rows = {row.project_id: row for row in conn.execute(_MANY, {"ids": project_ids})}
            return [
                _destination(id, self._dsn_of(id, rows.get(id)), rows.get(id)) for id in project_ids
            ]
        except (ValueError, TypeError, AttributeError):
            return [
                destination
                for project_id in project_ids
                for destination in self._readable(conn, project_id)
            ]

    def _readable(self, conn: Connection, project_id: int) -> Iterator[Destination]:
        with contextlib.suppress(ValueError, TypeError, AttributeError):
            yield self.find(conn, project_id)

    def list(self, conn: Connection) -> list[Destination]:
        """Return every destination that has a DSN or had one, by project."""
        rows: dict[int, Row[Any] | None] = {
            row.project_id: row for row in conn.execute(select(destinations))
        }
        if self.own_dsn:
            rows.setdefault(OWN_PROJECT_ID, None)
        return [
            _destination(project_id, self._dsn_of(project_id, row), row)
            for project_id, row in sorted(rows.items())
        ]

    def list_named(self, conn: Connection) -> dict[int, tuple[str, Destination | None]]:
        """Return the names of all projects that are not deleted, by id, each with its destination.

        :return: ``None`` for a project that has no DSN and had none.
        """
        found = self._read(map(_Named._make, _NAMED.fetch(conn, {})))
        return {project_id: (row.name, used) for project_id, (row, used) in found.items()}

    def rows(
        self, conn: Connection, query: Select[Any]
    ) -> dict[int, tuple[Row[Any], Destination | None]]:
        """Return the rows of :func:`with_destination` by project id, each with its destination."""
        return self._read(conn.execute(query))

    def _read(self, rows: Iterable[Any]) -> dict[int, tuple[Any, Destination | None]]:
        found: dict[int, tuple[Any, Destination | None]] = {}
        for row in rows:
            known = row if row.project_id is not None else None
            dsn = self._dsn_of(row.id, known)
            is_used = known is not None or dsn is not None
            found[row.id] = row, _destination(row.id, dsn, known) if is_used else None
        return found

    def _dsn_of(self, project_id: int, row: Row[Any] | None) -> str | None:
        if project_id == OWN_PROJECT_ID:
            return self.own_dsn
        return row.dsn if row else None

    def save(self, conn: Connection, destination: Destination) -> None:
        """Write the state that a forwarder derived from answers. The DSN and the pause are not
        written.
        """
        values = {
            "dsn_hash": dsn_hash(destination.dsn),
            "open_since": destination.open_since,
            "cause": destination.cause,
            "failures": destination.failures,
            "probe_at": destination.probe_at,
            "limits": {name: until.isoformat() for name, until in destination.limits.items()},
            "delivered_at": destination.delivered_at,
        }
        _upsert(conn, destination.project_id, values)


def with_destination(*columns: Any, joined: Iterable[Subquery] = ()) -> Select[Any]:
    """Return the query for all projects that are not deleted, with the columns of destinations.

    :param columns: of the projects, and of what is joined to them.
    :param joined: by a column ``project_id`` of its own.
    """
    source: Any = projects.outerjoin(destinations, destinations.c.project_id == projects.c.id)
    for one in joined:
        source = source.outerjoin(one, one.c.project_id == projects.c.id)
    there = select(projects.c.id, *destinations.c, *columns).select_from(source)
    return there.where(projects.c.deleted_at.is_(None)).order_by(projects.c.id)


# Every page asks this for its header.
_NAMED = DriverStatement(lambda _: with_destination(projects.c.name))
# Its columns are those of the table. mypy knows only names that it can read.
_Named: Any = namedtuple("_Named", ["id", *destinations.c.keys(), "name"])  # type: ignore[misc]  # noqa: PYI024


def set_dsn(conn: Connection, project_id: int, dsn: str | None) -> None:
    """Set or remove a project's DSN. Queued envelopes wait while there is no DSN.

    :param dsn: ``None`` removes the DSN.
    :raise ValueError: the text is not a DSN, or the project is 1, whose DSN is the setting
        ``SENTRY_DSN``.
    """
    if project_id == OWN_PROJECT_ID:
        raise ValueError("the DSN of project 1 is the setting SENTRY_DSN")
    if dsn is not None:
        Dsn.of(dsn)
    values = {"dsn": dsn, "checked": True, "dsn_since": _since(conn, project_id, dsn)}
    _upsert(conn, project_id, values)


def set_api(conn: Connection, project_id: int, api: ApiSettings) -> None:
    """Set how Sentry's API is asked about a project's events.

    :raise ValueError: the project is 1, which has the settings of this application.
    """
    if project_id == OWN_PROJECT_ID:
        raise ValueError("the API of project 1 is the setting SENTRY_API_TOKEN")
    values = {"api_token": api.token, "api_url": api.url, "api_org": api.org}
    _upsert(conn, project_id, values)


def _since(conn: Connection, project_id: int, dsn: str | None) -> datetime | None:
    """Return since when a new DSN accepts: exchanges with the old one may still run."""
    row = conn.execute(_ONE, {"project_id": project_id}).first()
    if row is None or row.dsn in (None, dsn):
        return row.dsn_since if row else None
    return utc_now() + timedelta(seconds=DEADLINE_S)


def pause(conn: Connection, project_id: int, now: datetime) -> None:
    """Stop sending to a destination. All its envelopes are kept and queued."""
    _upsert(conn, project_id, {"paused_at": now})


def resume(conn: Connection, project_id: int, now: datetime) -> None:
    """Start sending to a destination again, at once. Its circuit is closed for any cause."""
    statement = update(destinations).where(destinations.c.project_id == project_id)
    conn.execute(statement.values(paused_at=None, open_since=None, probe_at=None, failures=0))
    bring_forward(conn, project_id, now)


def _destination(project_id: int, dsn: str | None, row: Row[Any] | None) -> Destination:
    if row is None:
        return Destination(project_id, dsn)
    checked = row.checked and project_id != OWN_PROJECT_ID
    api = ApiSettings(row.api_token, row.api_url, row.api_org)
    fixed: dict[str, Any] = {"checked": checked, "api": api, "dsn_since": row.dsn_since}
    if row.dsn_hash not in (None, dsn_hash(dsn)):
        # The state belongs to a previous DSN. Keep only the pause, because a person set it.
        return Destination(project_id, dsn, paused_at=row.paused_at, **fixed)
    return Destination(
        project_id,
        dsn,
        paused_at=row.paused_at,
        open_since=row.open_since,
        cause=row.cause,
        failures=row.failures,
        probe_at=row.probe_at,
        limits={name: datetime.fromisoformat(until) for name, until in row.limits.items()},
        delivered_at=row.delivered_at,
        **fixed,
    )


def _upsert(conn: Connection, project_id: int, values: dict[str, Any]) -> None:
    new = {"limits": {}, **values, "project_id": project_id}
    conn.execute(upsert(conn, destinations, new, **dict.fromkeys(values, replaced)))


def dsn_hash(dsn: str | None) -> str | None:
    """Return the hash by which what belongs to a DSN is known."""
    return hashlib.sha256(dsn.encode()).hexdigest() if dsn else None
