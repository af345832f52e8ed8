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

DROPPED = "a filter of this application dropped the event"
NO_KEY = "the project has no key that works: every program that reports to it is refused"


@dataclass(frozen=True)
class Sent:
    """What became of a test error.

    :param refused: why it was not recorded, in words; empty if it was.
    """

    event_id: str
    refused: str = ""


def send_test_error(wish: Wish, project: Project, event_id: str | None = None) -> Sent:
    """Record a test error. It is on the disk when this function returns.

    An error of project 1 is captured like any error of this application. That of another project
    goes through the ingest route with the newest key of the project, like an error of its program.

    :param event_id: the id that its event gets; by default a new one.
    """
    event_id = event_id or uuid.uuid4().hex
    if project.id == OWN_PROJECT_ID:
        return Sent(event_id, "" if kinds.run(wish, event_id) else DROPPED)
    if not project.keys:
        return Sent(event_id, NO_KEY)
    return _through_the_door(wish, project, event_id)


def _through_the_door(wish: Wish, project: Project, event_id: str) -> Sent:
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
    answer = transport.answer
    if answer is None:
        return Sent(event_id, DROPPED)
    return Sent(event_id, "" if answer.is_accepted else f"{answer.status}: {answer.detail}")
