"""Record a test error of a project."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import sentry_sdk
from sentry_sdk.scope import Scope, ScopeType, use_isolation_scope

from app.projects import OWN_PROJECT_ID, Project, dsn_of
from app.trials import kinds
from app.trials.door import client_of
from app.trials.kinds import Wish
from app.web.current import current_config

RECORDED = 200
# Beside the statuses of the ingest route.
DROPPED, NO_KEY, ARCHIVED = 0, 1, 2
_WORDS = {
    DROPPED: "a filter of this application dropped the event",
    NO_KEY: "the project has no key that works: every program that reports to it is refused",
    ARCHIVED: "the project is archived: it accepts nothing",
    403: "403: the key is unknown or revoked",
    429: "429: the project is over its quota, or over its share of a store that is nearly full",
    503: "503: the store does not answer, or it is full",
    504: "the store did not answer in time",
}


@dataclass(frozen=True)
class Sent:
    """What became of a test error.

    :param status: :data:`RECORDED`, the status of the ingest route, :data:`DROPPED`,
        :data:`NO_KEY` or :data:`ARCHIVED`.
    """

    event_id: str
    status: int = RECORDED

    @property
    def refused(self) -> str:
        """Why it was not recorded, in words; empty if it was."""
        return "" if self.status == RECORDED else why_refused(self.status)


def why_refused(status: int) -> str:
    """Return in words why a test error was not recorded."""
    return _WORDS.get(status, f"{status}: the ingest route refused it")


def send_test_error(wish: Wish, project: Project, event_id: str | None = None) -> Sent:
    """Record a test error. It is on the disk when this function returns.

    An error of project 1 is captured like any error of this application. That of another project
    goes through the ingest route with the newest key of the project, like an error of its program.

    :param event_id: the id that its event gets; by default a new one.
    """
    event_id = event_id or uuid.uuid4().hex
    if project.id == OWN_PROJECT_ID:
        return Sent(event_id, RECORDED if kinds.run(wish, event_id) else DROPPED)
    if project.archived_at is not None:
        return Sent(event_id, ARCHIVED)
    if not project.keys:
        return Sent(event_id, NO_KEY)
    return Sent(event_id, _through_the_door(wish, project, event_id))


def _through_the_door(wish: Wish, project: Project, event_id: str) -> int:
    key = project.keys[-1]
    dsn = dsn_of(current_config().public_url, project.id, key)
    client, transport = client_of(dsn, project.id, key)
    try:
        # A new isolation scope: neither this request nor its user belongs to the other program.
        with use_isolation_scope(Scope(ty=ScopeType.ISOLATION)), sentry_sdk.new_scope() as scope:
            scope.clear()
            scope.set_client(client)
            kinds.run(wish, event_id)
    finally:
        client.close(timeout=0)
    return DROPPED if transport.status is None else transport.status
