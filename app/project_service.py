"""The project service: create or change a project with its upstream DSN, and read its figures.

This module writes the DSN of the destination, and the token of Sentry's API. No page and no command
shows them again: they show only hosts.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field, ValidationError
from sqlalchemy import Connection, Row, func, select, update

from app.accounts import audit
from app.confirmation.apis import address_of, keeps_token
from app.delivery.destinations import Destination, Destinations, set_api, set_dsn
from app.delivery.ledger import Held, held_by_project
from app.delivery.tables import counters
from app.events.tables import events
from app.inputs import Control, PatchBody, controls_of, unchanged
from app.inputs.links import SourcePattern
from app.issues.tables import STATUSES, issues
from app.projects import (
    MAX_NAME_LENGTH,
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

# Far above what one machine can process, and below the maximum of a 32-bit column.
MAX_EVENTS_PER_MINUTE = 10**9
MAX_RETENTION_DAYS = 36500
MAX_DSN_LENGTH = 2000
_ANY_ADDRESS = frozenset({"0.0.0.0", "::"})  # noqa: S104 -- compared, not bound
# The fields of :class:`~app.delivery.destinations.ApiSettings`.
_OF_API = {
    "upstream_api_token": "token",
    "upstream_api_url": "url",
    "upstream_org": "org",
}
_COLUMNS = ("name", "events_per_minute", "retention_days", "source_url")


Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME_LENGTH)]
Quota = Annotated[
    int,
    Field(
        ge=0,
        le=MAX_EVENTS_PER_MINUTE,
        description="0 for no limit, null for DEFAULT_EVENTS_PER_MINUTE.",
    ),
]
Days = Annotated[
    int,
    Field(
        ge=0,
        le=MAX_RETENTION_DAYS,
        description="0 for no limit, null for what RETENTION_DAYS says.",
    ),
]
UpstreamDsn = Annotated[
    str,
    Field(
        max_length=MAX_DSN_LENGTH,
        description="Where its events are sent on to; null to send none. It is never shown again.",
    ),
]


ApiToken = Annotated[
    str,
    Field(
        max_length=500,
        pattern=r"^[!-~]+$",
        description="By which Sentry is asked whether it shows what it accepted; null for none. It"
        " is never shown again, and is removed when the address that it is sent to changes.",
    ),
]
Organization = Annotated[
    str,
    Field(
        max_length=100,
        pattern=r"^[A-Za-z0-9_-]+$",
        description="Slug or number of the organization in Sentry; null for that in the DSN.",
    ),
]
ApiUrl = Annotated[
    str,
    Field(
        max_length=MAX_DSN_LENGTH,
        description="Address of Sentry's API without /api/0; null for the host of the DSN.",
    ),
]


class ProjectChange(PatchBody):
    """The fields of a project to change; a field that is not given stays as it is."""

    name: Annotated[Name, Control("Name", wrong="A project has a name.")] = unchanged()
    upstream_dsn: Annotated[
        UpstreamDsn | None,
        Control(
            "DSN of a Sentry project",
            help="Where its events are sent on to. It is never shown again.",
            wrong="A DSN such as https://key@host/1 is expected.",
            is_secret=True,
        ),
    ] = None
    upstream_api_token: Annotated[
        ApiToken | None,
        Control(
            "Token of Sentry's API",
            help="With it, Sentry is asked whether it shows the events that it accepted. It needs"
            " the scope project:read. It is never shown again; give it again with another address.",
            wrong="At most 500 printable characters without spaces are expected.",
            is_secret=True,
        ),
    ] = None
    upstream_org: Annotated[
        Organization | None,
        Control(
            "Organization in Sentry",
            help="Its slug or number. Not needed for a DSN of sentry.io, which has it.",
            wrong="A slug or a number is expected, such as acme.",
        ),
    ] = None
    upstream_api_url: Annotated[
        ApiUrl | None,
        Control(
            "Address of Sentry's API",
            help="Empty for the host of the DSN.",
            placeholder="https://sentry.example.org",
            wrong="An address such as https://sentry.example.org is expected.",
        ),
    ] = None
    events_per_minute: Annotated[
        Quota | None,
        Control(
            "Events a minute",
            help="Beyond it the program is told to wait (429). 0 for no limit, empty for the"
            " default.",
            wrong="A number from 0 is expected.",
        ),
    ] = None
    retention_days: Annotated[
        Days | None, Control("Kept for days", wrong="A number of days from 0 is expected.")
    ] = None
    source_url: Annotated[
        SourcePattern | None,
        Control(
            "Links to its source",
            help="The address of a file of its repository, with {file}, {line} and {release} where"
            " they belong. Calls of its stacks lead there.",
            placeholder="https://git.example.org/shop/blob/{release}/{file}#L{line}",
            wrong="An address with https and {file} is expected.",
        ),
    ] = None


@dataclass(frozen=True)
class Figures:
    """The figures of a project.

    :param events: how many events were ever seen.
    :param issues: how many issues the store has.
    :param refused: how many envelopes were refused because of the quota.
    """

    events: int = 0
    issues: int = 0
    first_seen: datetime | None = None
    last_seen: datetime | None = None
    refused: int = 0


@dataclass(frozen=True)
class ProjectDetails:
    """A project with its destination, its figures, and its envelopes that are held here."""

    project: Project
    destination: Destination
    figures: Figures
    held: Held = Held()

    @property
    def contents(self) -> str:
        """What the project has, in words."""
        waiting = self.held.waiting + self.held.parked
        words = (
            f"{_plural(self.figures.events, 'event')} in {_plural(self.figures.issues, 'issue')}"
        )
        return f"{words}; {_plural(waiting, 'envelope')} not at Sentry yet" if waiting else words


def register_project(
    store: Store,
    config: Config,
    change: Mapping[str, Any],
    project_id: int | None = None,
    key: str | None = None,
) -> int:
    """Create a project and return its id.

    :param change: fields of :class:`ProjectChange`, at least ``name``.
    :param project_id: by default the next free id.
    :param key: by default a new key.
    :raise Taken: the id or the key is in use. :raise ProjectError: a field is wrong; the error
        names it.
    """
    checked = _checked(config, change)
    with store.write() as conn:
        made = add_project(conn, checked["name"], project_id, key)
        _write(conn, made, checked)
    return made


def amend(store: Store, config: Config, project_id: int, change: Mapping[str, Any]) -> None:
    """Change a project.

    :param change: fields of :class:`ProjectChange`.
    :raise NoSuchProject: the project does not exist. :raise ProjectError: a field is wrong; the
        error names it.
    """
    checked = _checked(config, change)
    with store.write() as conn:
        find_project(conn, project_id)
        _write(conn, project_id, checked)
        audit.note(conn, "project_changed", f"project {project_id}", ", ".join(sorted(checked)))


def list_details(conn: Connection, destinations: Destinations) -> list[ProjectDetails]:
    """Return the details of every project, ordered by id."""
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
    """Return the details of a project.

    :raise NoSuchProject: the project does not exist.
    """
    project = find_project(conn, project_id)
    figures = _figures(conn, project_id).get(project_id, Figures())
    held = held_by_project(conn, project_id).get(project_id, Held())
    return ProjectDetails(project, destinations.find(conn, project_id), figures, held)


def first_event(conn: Connection, project_id: int) -> Row[Any] | None:
    """Return the oldest stored event of a project, or ``None`` if it has no event.

    The query goes through the first issue of the project, because no index leads to the oldest
    event of a project.
    """
    of_project = issues.c.project_id == project_id, issues.c.status.in_(STATUSES)
    first = select(func.min(issues.c.id)).where(*of_project).scalar_subquery()
    query = select(events).where(events.c.issue_id == first).order_by(events.c.id).limit(1)
    return conn.execute(query).first()


def leads_here(dsn: Dsn, config: Config) -> bool:
    """Return whether the address in a DSN is an address of this service."""
    for host, port, path in _own_addresses(config):
        is_below = dsn.prefix == path or dsn.prefix.startswith(f"{path}/")
        same_host = dsn.host == host or (dsn.is_loopback and _is_local(host))
        if same_host and dsn.port == port and is_below:
            return True
    return False


# ---- checking -----------------------------------------------------------------------------------


def _checked(config: Config, change: Mapping[str, Any]) -> dict[str, Any]:
    try:
        checked = ProjectChange.model_validate(change).changes()
    except ValidationError as error:
        (wrong, *_) = error.errors(include_input=False)
        field, text = str(wrong["loc"][0]), wrong["msg"]
        if wrong["type"] == "string_pattern_mismatch":  # The pattern itself helps nobody.
            text = (controls_of(ProjectChange)[field].wrong or text).rstrip(".")
        raise ProjectError(text, field) from None
    if "name" in checked:
        checked["name"] = checked_name(checked["name"])
    if checked.get("upstream_dsn") is not None:
        checked["upstream_dsn"] = _checked_dsn(config, checked["upstream_dsn"])
    if checked.get("upstream_api_url") is not None:
        checked["upstream_api_url"] = _checked_url(config, checked["upstream_api_url"])
    return checked


def _checked_url(config: Config, text: str) -> str:
    text = text.strip().rstrip("/")
    try:
        if not text.isascii() or not text.isprintable() or " " in text or "\\" in text:
            raise ValueError("a character that no URL has")
        check_upstream(address_of(text), allow_private=config.UPSTREAM_ALLOW_PRIVATE)
    except AddressError as error:
        raise ProjectError(f"this address is not asked: {error}", "upstream_api_url") from None
    except ValueError:
        expected = "an address such as https://sentry.example.org is expected"
        raise ProjectError(expected, "upstream_api_url") from None
    return text


def _checked_dsn(config: Config, text: str) -> str:
    text = text.strip()
    try:
        if not text.isascii() or not text.isprintable() or " " in text:
            raise ValueError("a character that no DSN has")
        dsn = Dsn.of(text[:MAX_DSN_LENGTH])
    except ValueError:
        # The message does not include the reason: it may repeat a part of the DSN.
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


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _is_local(host: str | None) -> bool:
    if host in _ANY_ADDRESS:
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return host == "localhost"


# ---- rows ---------------------------------------------------------------------------------------


def _write(conn: Connection, project_id: int, change: Mapping[str, Any]) -> None:
    values = {name: value for name, value in change.items() if name in _COLUMNS}
    if values:
        conn.execute(update(projects).where(projects.c.id == project_id).values(values))
    before = Destinations().find(conn, project_id)
    if "upstream_dsn" in change:
        if project_id == OWN_PROJECT_ID:
            text = "the DSN of project 1, this application, is the setting SENTRY_DSN"
            raise ProjectError(text, "upstream_dsn")
        if change["upstream_dsn"] and find_project(conn, project_id).is_demo:
            raise ProjectError("a demo project is never forwarded", "upstream_dsn")
        set_dsn(conn, project_id, change["upstream_dsn"])
    _write_api(conn, project_id, before, change)


def _write_api(
    conn: Connection, project_id: int, before: Destination, change: Mapping[str, Any]
) -> None:
    """Write by which API of Sentry a project's events are confirmed."""
    given = {name: change[field] for field, name in _OF_API.items() if field in change}
    if project_id == OWN_PROJECT_ID:
        if given:
            field = next(field for field in _OF_API if field in change)
            text = "the API of project 1, this application, is the setting SENTRY_API_TOKEN"
            raise ProjectError(text, field)
        return
    api = replace(before.api, **given)
    after = replace(before, dsn=change.get("upstream_dsn", before.dsn), api=api)
    if "token" not in given and not keeps_token(before, after):
        api = replace(api, token=None)
    if api != before.api:
        set_api(conn, project_id, api)


def _figures(conn: Connection, project_id: int | None = None) -> dict[int, Figures]:
    """Return the figures by project id; projects without events and refusals are left out.

    The query reads issues, because there are far fewer issues than events.
    """
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
