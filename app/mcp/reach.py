"""What a token lets its tools reach: some projects or all, memories of some users, and changes.

What is out of reach is answered as what does not exist.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import Connection, Row

from app.accounts.tokens import MCP_WRITE, Access
from app.delivery.ledger import Delivery, find_delivery
from app.events.queries import StoredEvent, find_event
from app.inputs import InputError, Missing
from app.issues.queries import find_issue


class Reach(NamedTuple):
    """The reach of a token.

    :param projects: the projects it is limited to, ``None`` for all.
    :param memory_users: whose memories it reads.
    :param may_change: whether it may call tools that change something.
    """

    projects: frozenset[int] | None
    memory_users: tuple[str, ...]
    may_change: bool

    @classmethod
    def of(cls, token: Access) -> Reach:
        """Return the reach of a token."""
        return cls(token.projects, token.memory_users, MCP_WRITE in token.scopes)

    def sees(self, project_id: int) -> bool:
        """Return whether a project is within reach."""
        return self.projects is None or project_id in self.projects

    def project(self, given: int | None) -> int | None:
        """Return the project that a list is about, ``None`` for all of them.

        :param given: what the call says; without it, the only project of the token.
        :raise InputError: the token has several projects, and the call names none.
        """
        if self.projects is None:
            return given
        if given is None and len(self.projects) == 1:
            return min(self.projects)
        if given is None:
            numbers = ", ".join(map(str, sorted(self.projects)))
            raise InputError(f"one of {numbers} is expected", "project_id")
        if given not in self.projects:
            raise Missing("there is no such project", "project_id")
        return given

    def memory_user(self, given: str | None) -> str:
        """Return the user whose memories a call reads; by default the only one of the token.

        :raise InputError: the token has several users, and the call names none.
        """
        if given is None and len(self.memory_users) == 1:
            return self.memory_users[0]
        if given is None:
            raise InputError("the token reads memories of several users: name one", "user_id")
        if given not in self.memory_users:
            raise Missing("the token reads no memories of this user", "user_id")
        return given

    def issue(self, conn: Connection, issue_id: int) -> Row[Any]:
        """Return an issue within reach.

        :raise Missing: there is none of this id.
        """
        row = find_issue(conn, issue_id)
        if row is None or not self.sees(row.project_id):
            raise Missing("no issue has this id", "issue_id")
        return row

    def event(self, conn: Connection, event_id: str) -> StoredEvent:
        """Return an event within reach, whose issue is not deleted.

        :raise Missing: there is none of this id.
        """
        found = find_event(conn, event_id, among=self.projects)
        if found is None or find_issue(conn, found.row.issue_id) is None:
            raise Missing("no event has this id", "event_id")
        return found

    def delivery(self, conn: Connection, envelope_id: int) -> Delivery:
        """Return a delivery within reach.

        :raise Missing: there is none of this id.
        """
        found = find_delivery(conn, envelope_id)
        if found is None or not self.sees(found.row.project_id):
            raise Missing("no envelope has this id", "envelope_id")
        return found
