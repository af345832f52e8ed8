"""Issues: the list, one issue, its tags, its users and its history."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from pydantic import Field
from sqlalchemy import Connection, Row

from app.api.events import grouping_of
from app.api.requests import Paged, Query, first_page
from app.api.routes import Routes
from app.api.schemas import ApiModel, Grouping, Next
from app.inputs import Range, RangeFilter, period_range
from app.insights.releases import users_of_days
from app.issues.figures import Figures, figures_of, hours_of
from app.issues.filter import Status
from app.issues.groupings import latest_groupings
from app.issues.ignore_until import IgnoreUntil, read_stored
from app.issues.overflow import types_of
from app.issues.queries import (
    count_matching,
    find_issue,
    tags_of,
    transitions_of,
)
from app.issues.series import series_of
from app.protocol.event import Level
from app.search.issue_page import IssueQuery, page_of
from app.stats.users import ISSUE, Subject, date_of
from app.store import utc_now
from app.web import access
from app.web.current import current_store
from app.web.errors import or_404

UNKNOWN = "no issue has this id"
# Counting more rows is too slow.
MAX_TOTAL = 10_000


route = Routes("issues")


class IssueSummary(ApiModel):
    """The main fields of an issue."""

    id: int
    project_id: int
    title: str
    culprit: str
    type: str
    level: Level
    status: Status
    regressed: bool
    times_seen: int


class Issue(IssueSummary):
    """A group of events."""

    stored_event_count: int
    users: int = Field(description="Exact up to 10,000; more say only that there are more.")
    first_seen: datetime
    last_seen: datetime
    first_release: str | None
    last_release: str | None
    resolved_in: str | None = Field(
        description="The release without it; resolved plainly, the newest one of that time."
    )
    resolved_in_next_release: bool = Field(
        description="Resolved in the release after those of that time; `resolved_in` names it once"
        " it appears. Null until then."
    )
    is_test: bool = Field(description="Its events are test errors, which figures do not count.")
    assigned_to: str | None = Field(description="The name of a user.")
    tracker_url: str | None = Field(description="The issue of a tracker that it is linked to.")
    ignore_until: IgnoreUntil | None = Field(
        description="What ends the ignoring; null if nothing does, or if it is not ignored."
    )
    ignored_by: str | None = Field(
        description="A user or a token; null if it is not ignored, or if a rule ignored it."
    )
    ignored_at: datetime | None
    grouping: Grouping
    hours: list[int] = Field(description="Events an hour in the last 24, oldest first.")
    events_in_period: int = Field(description="Of all environments, by whole hours or days.")
    users_in_period: int = Field(description="Of all environments.")
    users_in_period_exact: bool = Field(
        description="False for a range that ended before now, and beyond 10,000 users."
    )
    trend: list[int] = Field(
        description="The events of the range in at most 31 steps of equal length, oldest first."
    )


class TypeCount(ApiModel):
    """The number of events of a type of error."""

    type: str
    times_seen: int


class IssueDetail(Issue):
    """An issue; `types` is null, except for `<other>`: there it has the ten commonest types."""

    types: list[TypeCount] | None


class IssuePage(ApiModel):
    """A page of issues."""

    issues: list[Issue]
    next: Next
    searched_back_to: datetime | None = Field(
        description="Where the search for events stopped, which reads at most 20,000 of them; null"
        " if it did not. Go on with this time as `end`."
    )
    total: int | None = Field(
        description="How many there are; null beyond 10,000, and where a filter would have to look"
        " at more than 20,000 rows to count them."
    )


class DayUsers(ApiModel):
    """The number of affected users on a day (UTC); 10,000 or more means at least 10,000."""

    day: date
    users: int


class IssueUsers(ApiModel):
    """The users of an issue on each of the last 30 days, the oldest first."""

    users: list[DayUsers]


class Transition(ApiModel):
    """An entry in the history of an issue."""

    id: int
    issue_id: int
    at: datetime
    kind: str = Field(
        description="first_seen, resolved, reopened, ignored, unignored, regressed, assigned,"
        " commented, merged, unmerged or linked."
    )
    actor: str | None = Field(description="A user, a token; null for the service itself.")
    event_id: str | None
    note: str | None
    release: str | None
    is_fix: bool = Field(description="Whether this comment is the remembered fix of the issue.")


class TransitionPage(ApiModel):
    """A page of an issue's history, newest first."""

    transitions: list[Transition]
    next: str | None


class TagValue(ApiModel):
    """A value of a tag; `share` is its share of the events with the tag, from 0 to 1."""

    value: str
    times_seen: int
    share: float


class Tag(ApiModel):
    """A tag with its most frequent values."""

    key: str
    times_seen: int
    values: list[TagValue]
    other: int = Field(description="Events with any other value.")


class IssueTags(ApiModel):
    """The tags of an issue's events, as far as they were counted."""

    tags: list[Tag]


class SeriesPoint(ApiModel):
    """A step of a series; `users` is null where it is not known."""

    at: datetime
    events: int
    users: int | None


class Series(ApiModel):
    """Events and users over time, the oldest step first."""

    interval_s: int = Field(description="The length of a step: an hour or a day.")
    points: list[SeriesPoint]


class RangeQuery(RangeFilter, Query):
    """A range of time."""


@route("GET /api/issues", access.reads)
def get_issues(query: IssueQuery) -> IssuePage:
    """List issues, by default those seen last first; with a range, those seen in it.

    Their figures are those of the range, whatever else chooses the issues.
    """
    with current_store().read() as conn:
        filter = query.seen_by(access.username()).resolved(conn)
        page = page_of(conn, query, filter)
        count = count_matching(conn, filter, MAX_TOTAL + 1)
        found = shapes(conn, page.rows, query.range_of(utc_now()))
    total = count.number if count.is_exact and count.number <= MAX_TOTAL else None
    back_to = filter.selection().searched_back_to
    return IssuePage(issues=found, next=page.next, searched_back_to=back_to, total=total)


@route("GET /api/issues/<int:issue_id>", access.reads)
def get_issue(issue_id: int, query: RangeQuery) -> IssueDetail:
    """Return an issue, with its figures in a range.

    :raise 404: no issue has this id.
    """
    with current_store().read() as conn:
        row = found_issue(conn, issue_id)
        found = shapes(conn, [row], query.range_of(utc_now()))[0]
        types = _types(conn, issue_id) if row.is_other else None
    return IssueDetail.of(found, types=types)


@route("GET /api/issues/<int:issue_id>/series", access.reads)
def get_issue_series(issue_id: int, query: RangeQuery) -> Series:
    """Return the events and users of an issue over time, by default in the last 24 hours.

    :raise 404: no issue has this id.
    """
    with current_store().read() as conn:
        found_issue(conn, issue_id)
        series = series_of(conn, issue_id, query.range_of(utc_now(), "day"))
    return series_shape(series)


def series_shape(series: Any) -> Series:
    """Return a series as the API shows it."""
    points = [SeriesPoint(**point._asdict()) for point in series.points]
    return Series(interval_s=series.interval_s, points=points)


@route("GET /api/issues/<int:issue_id>/tags", access.reads)
def get_issue_tags(issue_id: int) -> IssueTags:
    """Return the tags of an issue with their most frequent values.

    :raise 404: no issue has this id.
    """
    with current_store().read() as conn:
        found_issue(conn, issue_id)
        tags = tags_of(conn, issue_id)
    return IssueTags(
        tags=[
            Tag(
                key=tag.key,
                times_seen=tag.times_seen,
                values=tag.values,
                other=tag.rest.times_seen if tag.rest else 0,
            )
            for tag in tags
        ]
    )


@route("GET /api/issues/<int:issue_id>/users", access.reads)
def get_issue_users(issue_id: int) -> IssueUsers:
    """Return the number of affected users of an issue by day.

    :raise 404: no issue has this id.
    """
    with current_store().read() as conn:
        found_issue(conn, issue_id)
        days = users_of_days(conn, Subject(ISSUE, issue_id), utc_now())
    return IssueUsers(users=day_shapes(days))


@route("GET /api/issues/<int:issue_id>/transitions", access.reads)
def get_issue_transitions(issue_id: int, query: Paged) -> TransitionPage:
    """List the history of an issue, newest first.

    :raise 404: no issue has this id.
    """
    with current_store().read() as conn:
        found_issue(conn, issue_id)
        rows = transitions_of(conn, issue_id, before=query.cursor, limit=query.limit + 1)
    page, more = first_page(rows, query.limit)
    return TransitionPage(transitions=page, next=more)


def day_shapes(days: list[tuple[int, int]]) -> list[DayUsers]:
    """Return days and their users as the API shows them.

    :param days: days since 1970 with their number of users.
    """
    return [DayUsers(day=date_of(day), users=users) for day, users in days]


def shapes(conn: Connection, rows: Sequence[Row[Any]], range: Range | None = None) -> list[Issue]:
    """Return rows of issues as the API shows them, with a few queries for all of them.

    :param range: that of the figures; by default all of the past.
    """
    ids, now = [row.id for row in rows], utc_now()
    hours, latest = hours_of(conn, ids, now), latest_groupings(conn, ids)
    figures = figures_of(conn, ids, range or period_range("all", now))
    return [_issue(row, hours[row.id], figures[row.id], latest.get(row.id)) for row in rows]


def _issue(row: Row[Any], hours: list[int], figures: Figures, latest: Row[Any] | None) -> Issue:
    awaits = row.status == "resolved" and row.resolved_after is not None and not row.resolved_in
    return Issue.of(
        row,
        resolved_in_next_release=awaits,
        ignore_until=read_stored(row.ignore_until),
        grouping=grouping_of(latest),
        hours=hours,
        events_in_period=figures.events,
        users_in_period=figures.users,
        users_in_period_exact=figures.users_are_exact,
        trend=list(figures.trend),
    )


def _types(conn: Connection, issue_id: int) -> list[TypeCount]:
    return [TypeCount(type=name, times_seen=times) for name, times in types_of(conn, issue_id)]


def found_issue(conn: Connection, issue_id: int) -> Row[Any]:
    """Return the row of an issue.

    :raise 404: no issue has this id.
    """
    return or_404(find_issue(conn, issue_id), UNKNOWN)
