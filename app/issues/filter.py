"""The filter of a list of issues: the parameters of the API and of the page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import Field
from sqlalchemy import Connection, Select, and_, exists, or_, select

from app.events.tables import events
from app.inputs import Control, Filter, InputError, ProjectId
from app.issues.tables import STATUSES, issue_tags, issues
from app.projects import projects
from app.protocol.event import Level, clean_text, parse_event_id
from app.protocol.lenient import search_text
from app.store.paging import Listing, hidden, is_small
from app.store.searching import contains

Status = Literal["unresolved", "resolved", "ignored"]
# The columns that a list can be sorted by, the largest value first.
Sort = Literal["last_seen", "first_seen", "times_seen", "users"]
SORTS: tuple[Sort, ...] = get_args(Sort)
# And the figures of a range (`in_range.py`); users are those of the range, if there is one.
RangeSort = Literal["last_seen", "first_seen", "times_seen", "users", "events", "trend"]

# Values of `assigned` beside the names of users.
ME, NOBODY = "me", "nobody"

Assigned = Annotated[
    str, Field(max_length=100, description="`me`, `nobody` or the name of a user.")
]
Environment = Annotated[str, Field(max_length=200, description="Of any of its events.")]
Release = Annotated[str, Field(max_length=250, description="Of any of its events.")]
Text = Annotated[
    str, Field(max_length=500, description="Part of title or culprit; or an event's id.")
]


class IssueFilter(Filter):
    """The filter of a list of issues."""

    status: Status | None = None
    project_id: Annotated[ProjectId | None, Control("Project", "project")] = None
    level: Annotated[Level | None, Control("Level")] = None
    environment: Annotated[Environment | None, Control("Environment")] = None
    release: Annotated[Release | None, Control("Release")] = None
    assigned: Annotated[Assigned | None, Control("Assigned to")] = None
    q: Annotated[Text | None, Control("Text", placeholder="title, culprit, event id")] = None

    @property
    def statuses(self) -> Sequence[str]:
        """The statuses of the issues that match this filter."""
        return [self.status] if self.status else STATUSES

    @property
    def is_indexed(self) -> bool:
        """Whether an index finds all issues of a status that match, without a check of each."""
        return not self._along() and not self._others()

    def seen_by(self, username: str | None) -> Self:
        """Return this filter with ``me`` replaced by the name of a user.

        :raise InputError: the filter has ``me``, and the caller is not a user.
        """
        if self.assigned != ME:
            return self
        if username is None:
            raise InputError("a token is not a user: expected the name of one", "assigned")
        return self.model_copy(update={"assigned": username})

    def resolved(self, conn: Connection) -> IssueSelection:
        """Return this filter with what is looked up once for all of its queries.

        An event id in ``q`` is replaced by the issues of that event, if it is stored. A user with
        few issues is found by the index of assigned issues.
        """
        assigned, changed = issues.c.assigned_to, {"is_resolved": True}
        if self.assigned not in (None, NOBODY):
            changed["few_assigned"] = is_small(conn, assigned, assigned == self.assigned)
        return self.selection(**changed)._of_event(conn)

    def selection(self, **changed: Any) -> IssueSelection:
        """Return this filter with other values of some fields, also those of a selection."""
        given = {name: value for name, value in self if name in IssueSelection.model_fields}
        return IssueSelection.model_construct(**given | changed)

    def listing(self, status: str, sort: str = "last_seen") -> Listing:
        """Return the listing of the issues of one status that match this filter.

        :param sort: one of :data:`SORTS`.
        """
        columns = issues.c
        along, others = [columns.status == status, *self._along()], self._others()
        if self.project_id is not None and sort == "last_seen":
            along.append(columns.project_id == self.project_id)
        elif self.project_id is not None:
            others.append(hidden(columns.project_id) == self.project_id)
        return Listing([columns[sort], columns.id], along, others)

    def apply(self, query: Select[Any]) -> Select[Any]:
        """Return a query over ``issues`` with the conditions of this filter, except its status."""
        conditions = [*self._along(), *self._others()]
        if self.project_id is not None:
            conditions.append(issues.c.project_id == self.project_id)
        return query.where(*conditions)

    def _along(self) -> list[Any]:
        """Return the conditions that an index can find rows by."""
        return []

    def _others(self) -> list[Any]:
        """Return the conditions that have to be checked on each issue."""
        found: list[Any] = []
        if self.level is not None:
            found.append(issues.c.level == self.level)
        if self.assigned is not None:
            assigned = hidden(issues.c.assigned_to)
            name = None if self.assigned == NOBODY else clean_text(self.assigned)
            found.append(assigned.is_not_distinct_from(name))
        if self.environment is not None:
            found.append(_has_tag("environment", clean_text(self.environment)))
        if self.release is not None:
            release = clean_text(self.release)
            # A release may be in the issue's own row although its tags had no room for it.
            known = or_(hidden(issues.c.first_release) == release, issues.c.last_release == release)
            found.append(or_(known, _has_tag("release", release)))
        text = search_text(self.q)
        return [*found, contains(text, issues.c.title, issues.c.culprit)] if text else found


class IssueSelection(IssueFilter):
    """A filter with parameters that only this program uses.

    :param transactions: an event of the issue has one of these transactions. For events from
        before transactions were counted, only the last event is compared.
    :param ids: the ids of the issues.
    :param few_assigned: the user of ``assigned`` has so few issues that all can be read.
    :param is_resolved: whether everything was looked up.
    :param conditions: conditions in SQL, which are checked on each issue.
    :param wanted: the only statuses that issues can have; ``None`` for all of them.
    :param seen_since: the issues were last seen at this time or later.
    :param searched_back_to: when the last event happened that was read for ``ids``, if the search
        stopped at its bound.
    :param first_before: the issues were first seen before this time.
    """

    transactions: tuple[str, ...] | None = None
    ids: tuple[int, ...] | None = None
    few_assigned: bool = False
    is_resolved: bool = False
    conditions: tuple[Any, ...] = ()
    wanted: tuple[str, ...] | None = None
    seen_since: datetime | None = None
    first_before: datetime | None = None
    searched_back_to: datetime | None = None

    @property
    def statuses(self) -> Sequence[str]:
        """The statuses of the issues that match this filter."""
        statuses = super().statuses
        return statuses if self.wanted is None else [s for s in statuses if s in self.wanted]

    def resolved(self, conn: Connection) -> IssueSelection:
        """Return this filter with what is looked up once for all of its queries."""
        return self if self.is_resolved else super().resolved(conn)

    def _of_event(self, conn: Connection) -> IssueSelection:
        event_id = parse_event_id(search_text(self.q))
        if event_id is None:
            return self
        # The project comes first, as in the index.
        of_event = select(events.c.issue_id).where(
            events.c.project_id.in_(select(projects.c.id)), events.c.event_id == event_id
        )
        found = tuple(conn.scalars(of_event))
        if not found:
            return self
        if self.ids is not None:
            found = tuple(issue_id for issue_id in found if issue_id in self.ids)
        return self.selection(q=None, ids=found)

    def apply(self, query: Select[Any]) -> Select[Any]:
        """Return a query over ``issues`` with the conditions of this filter, except its status."""
        query = super().apply(query)
        return query if self.seen_since is None else query.where(self._is_seen())

    def _is_seen(self) -> Any:
        return hidden(issues.c.last_seen) >= self.seen_since

    def listing(self, status: str, sort: str = "last_seen") -> Listing:
        """Return the listing of the issues of one status that match this filter."""
        listing = super().listing(status, sort)
        is_few = self.few_assigned or self.ids is not None
        if self.seen_since is not None and sort == "last_seen" and not is_few:
            seen = issues.c.last_seen >= self.seen_since
            listing = listing._replace(along=[*listing.along, seen])
        elif self.seen_since is not None:
            listing = listing._replace(others=[*listing.others, self._is_seen()])
        if not is_few:
            return listing
        # So few rows that all are read: no index of the status may be used instead.
        is_it = [hidden(issues.c.status) == status, *self._along(), *self._of_project()]
        if self.few_assigned:
            is_it.append(issues.c.assigned_to == self.assigned)
        along = is_it
        return listing._replace(along=along, is_small=True)

    def _of_project(self) -> list[Any]:
        project = hidden(issues.c.project_id)
        return [] if self.project_id is None else [project == self.project_id]

    def _along(self) -> list[Any]:
        return [] if self.ids is None else [issues.c.id.in_(self.ids)]

    def _others(self) -> list[Any]:
        found = [*super()._others(), *self.conditions]
        if self.first_before is not None:
            found.append(hidden(issues.c.first_seen) < self.first_before)
        if self.transactions is None:
            return found
        names = [clean_text(name) for name in self.transactions]
        return [*found, or_(issues.c.culprit.in_(names), _has_tag("transaction", *names))]


def _has_tag(key: str, *values: str) -> Any:
    columns = issue_tags.c
    return exists().where(
        and_(columns.issue_id == issues.c.id, columns.key == key, columns.value.in_(values))
    )
