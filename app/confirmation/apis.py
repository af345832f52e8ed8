"""Which API is asked about the events of a project: its address, the organization and the token.

A project has its own token, or it uses SENTRY_API_TOKEN. The latter is sent to one address only:
that of SENTRY_API_URL, or of SENTRY_DSN. A project whose DSN leads elsewhere needs its own token.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

from app.delivery.destinations import Destination, Destinations, dsn_hash
from app.projects import OWN_PROJECT_ID
from app.protocol.dsn import PORTS, Dsn

# The ingest hosts of sentry.io have the organization's number in their name, and no API.
_INGEST = re.compile(r"o(?P<org>\d{1,20})\.ingest(?:\.(?P<region>[a-z]{2,10}))?\.sentry\.io")


@dataclass(frozen=True)
class Api:
    """Sentry's API for one project.

    :param url: without ``/api/0`` and without a slash at the end.
    :param org: slug or number of the organization.
    :param project: the project's number in Sentry.
    :param is_checked: whether the address of each connection is checked. The settings' is not.
    """

    url: str
    org: str
    project: str
    token: str = field(repr=False)
    dsn_hash: str = field(repr=False)
    is_checked: bool = True

    @property
    def key(self) -> str:
        """A hash of address and organization, which share the limit of requests."""
        return hashlib.sha256(f"{self.url} {self.org}".encode()).hexdigest()

    @property
    def address(self) -> Dsn:
        """The address in the form that proxies and checks take; it has no key."""
        return address_of(self.url)

    @property
    def project_path(self) -> str:
        """The path of the project in the API."""
        org, project = (quote(part, safe="") for part in (self.org, self.project))
        return f"/api/0/projects/{org}/{project}/"

    def event_path(self, event_id: str) -> str:
        """Return the path of an event in the API."""
        return f"{self.project_path}events/{event_id}/"

    def page_of(self, event_id: str, group_id: str, web_url: str | None) -> str:
        """Return the page on which Sentry shows an event.

        :param web_url: the setting SENTRY_WEB_URL.
        """
        host = urlsplit(self.url).hostname or ""
        base = "https://sentry.io" if host.endswith(".sentry.io") else self.url
        home = web_url or f"{base}/organizations/{quote(self.org, safe='')}"
        return f"{home}/issues/{group_id}/events/{event_id}/"


def access_of(destination: Destination, destinations: Destinations) -> Api | str:
    """Return the API for the events of a project, or why there is none, in words."""
    dsn = _parsed(destination.dsn)
    if dsn is None:
        return "the project is not forwarded to Sentry"
    is_own = destination.project_id == OWN_PROJECT_ID
    given = destination.api
    if is_own or (given.token is None and _shares_api(dsn, destinations)):
        given = destinations.own_api
    if given.token is None:
        name = "SENTRY_API_TOKEN is not set" if is_own else "its project has no API token"
        return f"no token: {name}"
    org = given.org or _org_of(dsn)
    if org is None:
        name = "SENTRY_ORG is not set" if is_own else "its project names no organization"
        return f"no organization: {name}"
    url = given.url or default_url(dsn)
    try:
        address_of(url)
    except ValueError:
        return "no address: that of its API is not valid"
    return Api(
        url=url,
        org=org,
        project=dsn.project,
        token=given.token,
        dsn_hash=dsn_hash(destination.dsn) or "",
        is_checked=given is not destinations.own_api,
    )


def accesses(found: list[Destination], destinations: Destinations) -> dict[int, Api]:
    """Return the APIs of the projects that have one."""
    asked = {one.project_id: access_of(one, destinations) for one in found}
    return {project_id: api for project_id, api in asked.items() if isinstance(api, Api)}


def default_url(dsn: Dsn) -> str:
    """Return the address of the API of the Sentry that a DSN leads to."""
    found = _INGEST.fullmatch(dsn.host)
    if found is None:
        return f"{dsn.origin}{dsn.prefix}"
    return f"https://{found['region']}.sentry.io" if found["region"] else "https://sentry.io"


def address_of(url: str) -> Dsn:
    """Return the parts of the address of an API, as a DSN without a key.

    :raise ValueError: the text is not the address of an API.
    """
    parts = urlsplit(url)
    if parts.scheme not in PORTS or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("not the address of an API")
    if parts.username is not None or parts.password is not None:
        raise ValueError("the address has a user name or a password")
    port = parts.port or PORTS[parts.scheme]
    return Dsn(parts.scheme, parts.hostname, port, parts.path.rstrip("/"), "", "")


def keeps_token(before: Destination, after: Destination) -> bool:
    """Return whether a project's token may stay when its DSN or its API changes.

    A token stays with the address that it was given for. Else somebody who may not see it could
    have it sent to an address of their own.
    """
    urls = [_url_of(one) for one in (before, after)]
    return urls[0] == urls[1]


def _url_of(destination: Destination) -> str | None:
    dsn = _parsed(destination.dsn)
    return destination.api.url or (default_url(dsn) if dsn else None)


def _shares_api(dsn: Dsn, destinations: Destinations) -> bool:
    own, settings = _parsed(destinations.own_dsn), destinations.own_api
    url = settings.url or (default_url(own) if own else None)
    if url != default_url(dsn):
        return False
    orgs = {org for org in (_org_of(dsn), _org_of(own) if own else None) if org}
    return len(orgs) < 2


def _org_of(dsn: Dsn) -> str | None:
    found = _INGEST.fullmatch(dsn.host)
    return found["org"] if found else None


def _parsed(dsn: str | None) -> Dsn | None:
    try:
        return Dsn.of(dsn) if dsn else None
    except ValueError:
        return None
