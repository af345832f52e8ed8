"""Tools that read issues: the list, one of them, and similar ones."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row

from app.events.filter import EventFilter
from app.events.queries import page_of_events
from app.issues.queries import Tag, tags_of, transitions_of
from app.issues.similar import Similar, similar_to
from app.mcp.answers import Answer, Sized, at, number
from app.mcp.kinds.arguments import Arguments, IssueId, ListLimit
from app.mcp.reach import Reach
from app.mcp.tools import tool
from app.search.issue_page import IssueQuery, page_of
from app.web import access
from app.web.current import current_config, current_store

MAX_TAGS, MAX_HISTORY = 20, 20


class IssuesArguments(Sized, IssueQuery):
    """Which issues to list."""

    limit: ListLimit = 20


class IssueArguments(Arguments):
    """Which issue to read."""

    issue_id: IssueId


class SimilarArguments(IssueArguments):
    """The issue that others are similar to."""

    limit: ListLimit = 10


@tool("list_issues", "List issues")
def list_issues(given: IssuesArguments, reach: Reach, answer: Answer) -> None:
    """List issues, those seen last first unless `sort` says otherwise. `query` has terms such as
    is:unresolved level:error release:shop@1.2 timesSeen:>100 assigned:ada !has:release
    lastSeen:-24h and words of the title; a term with ! in front is excluded. `period`, or `start`
    and `end`, leave out issues without an event in that time.
    """
    query = given.model_copy(update={"project_id": reach.project(given.project_id)})
    with current_store().read() as conn:
        selection = query.seen_by(access.username()).resolved(conn)
        page = page_of(conn, query, selection)
    answer.say_page(len(page.rows), "issue", page.next)
    if back_to := selection.searched_back_to:
        answer.say(f"The search stopped at {at(back_to)}: go on with that time as end.")
    for row in page.rows:
        _say_issue(answer, row)
        answer.quote(title=row.title, culprit=row.culprit)


@tool("get_issue", "Read an issue")
def get_issue(given: IssueArguments, reach: Reach, answer: Answer) -> None:
    """Read one issue: its figures, releases, the most frequent values of its tags, its history with
    the comments of people, and the id of its newest event.
    """
    with current_store().read() as conn:
        row = reach.issue(conn, given.issue_id)
        tags = tags_of(conn, row.id, top=3)[:MAX_TAGS]
        history = transitions_of(conn, row.id, limit=MAX_HISTORY)
        newest = page_of_events(conn, EventFilter(issue_id=row.id), limit=1).rows
    _say_issue(answer, row)
    answer.say(f"Page: {current_config().public_url}/admin/issues/{row.id}")
    if newest:
        answer.say(f"Newest event: {newest[0].event_id} (read it with get_event)")
    _quote_issue(answer, row)
    _quote_tags(answer, tags)
    answer.say(f"The last {number(len(history), 'entry')} of its history:")
    for entry in history:
        answer.say(f"{at(entry.at)} {entry.kind}")
        answer.quote(by=entry.actor, note=entry.note, release=entry.release)


@tool("similar_issues", "Find similar issues")
def similar_issues(given: SimilarArguments, reach: Reach, answer: Answer) -> None:
    """Find issues of the same project that failed at a similar place with a similar message, the
    most similar first, and how they were resolved: the release, the last comment, and the comment
    that people marked as the fix.
    """
    with current_store().read() as conn:
        found = similar_to(conn, reach.issue(conn, given.issue_id), limit=given.limit)
    answer.say(f"{number(len(found), 'similar issue')}.")
    for one in found:
        _say_issue(answer, one.issue, f", score {one.score:.2f}")
        answer.quote(title=one.issue.title, culprit=one.issue.culprit, **_end_of(one))


def _end_of(similar: Similar) -> dict[str, Any]:
    resolved, comment = similar.resolved, similar.comment
    return {
        "resolved_by": resolved and resolved.actor,
        "resolved_in": resolved and (resolved.release or similar.issue.resolved_in),
        "last_comment": comment and comment.note,
        "remembered_fix": similar.fix and similar.fix.note,
    }


def _say_issue(answer: Answer, row: Row[Any], more: str = "") -> None:
    regressed = ", regressed" if row.regressed else ""
    answer.say(
        f"#{row.id} in project {row.project_id}: {row.status}{regressed}, {row.level},"
        f" {number(row.times_seen, 'event')}, {number(row.users, 'user')}, first seen"
        f" {at(row.first_seen)}, last seen {at(row.last_seen)}{more}"
    )


def _quote_issue(answer: Answer, row: Row[Any]) -> None:
    answer.quote(
        title=row.title,
        culprit=row.culprit,
        type=row.type,
        first_release=row.first_release,
        last_release=row.last_release,
        resolved_in=row.resolved_in,
        assigned_to=row.assigned_to,
        tracker=row.tracker_url,
    )


def _quote_tags(answer: Answer, tags: list[Tag]) -> None:
    if tags:
        answer.say("Tags, with their most frequent values and how many events have each:")
        answer.quote_text("\n".join(_line_of(tag) for tag in tags))


def _line_of(tag: Tag) -> str:
    values = ", ".join(f"{value.value} ({value.times_seen})" for value in tag.values)
    return f"{tag.key}: {values}".replace("\n", "⏎")[:400]
