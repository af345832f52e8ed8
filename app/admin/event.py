"""One event: its page, its trail, its payload, its Markdown, its attachments."""

from __future__ import annotations

import json
from typing import Any

from flask import Response, render_template
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection, Row

from app.admin import bp
from app.admin.attachment_preview import beginning_of, picture, picture_type
from app.admin.event_view import EventView, attachment_shown
from app.admin.feedback import SHOWN_BESIDE
from app.admin.header import header_from
from app.admin.last_project import remember
from app.admin.logs import logs_beside
from app.admin.lookups import issue_with_project, neighbours
from app.admin.trails import trail_of
from app.events.attachments import Attachment, all_attachments, find_attachment
from app.events.markdown import markdown_of
from app.events.queries import StoredEvent, find_event
from app.issues.feedback import FeedbackFilter, page_of_feedback
from app.issues.groupings import grouping_of_event
from app.protocol.event import parse_event_id
from app.web import access
from app.web.current import current_store
from app.web.delivery_status import follow
from app.web.downloads import download
from app.web.errors import or_404

UNKNOWN = "no event has this id; it may have been removed since"


@bp.get("/events/<event_id>")
@access.views
def show_event(event_id: str) -> ResponseReturnValue:
    """Show an event with all its data.

    :raise 404: no event has this id.
    """
    with current_store().read() as conn:
        header = header_from(conn)
        progress = or_404(follow(conn, event_id, header.destination_of), UNKNOWN)
        stored = progress.stored
        remember(stored.row.project_id)
        issue = issue_with_project(conn, stored.row.issue_id)
        grouping = grouping_of_event(conn, stored.row)
        around = neighbours(conn, stored.row, issue.stored_event_count if issue else 1)
        files, unlisted = all_attachments(conn, stored.row)
        attached = [_attached(file) for file in files]
        view = EventView(stored, issue.source_url if issue else None)
        logs = logs_beside(conn, view)
        said = _said_of(conn, stored.row) if issue is None or issue.has_feedback else []
    return render_template(
        "event.html",
        header=lambda: header,
        view=view,
        row=stored.row,
        issue=issue,
        grouping=grouping,
        attachments=attached,
        unlisted=unlisted,
        feedback=said,
        shown_feedback=SHOWN_BESIDE,
        around=around,
        trail=trail_of(stored.row.event_id, progress),
        logs=logs,
    )


@bp.get("/live/trail/<event_id>")
@access.views
def show_trail(event_id: str) -> ResponseReturnValue:
    """Show the trail alone; pages reload it until it is final.

    :raise 404: the id is not an event id.
    """
    parsed = or_404(parse_event_id(event_id), "this is no event id")
    with current_store().read() as conn:
        progress = follow(conn, parsed)
    return render_template("_trail.html", trail=trail_of(parsed, progress))


@bp.get("/events/<event_id>/raw")
@access.views
def show_payload(event_id: str) -> ResponseReturnValue:
    """Show the payload as it is stored.

    :raise 404: no event has this id.
    """
    text = json.dumps(_find(event_id).payload, indent=2)
    return Response(text + "\n", content_type="application/json")


@bp.get("/events/<event_id>.md")
@access.views
def show_markdown(event_id: str) -> ResponseReturnValue:
    """Show an event as Markdown.

    :raise 404: no event has this id.
    """
    return Response(markdown_of(_find(event_id)), content_type="text/markdown; charset=utf-8")


@bp.get("/events/<event_id>/attachments/<int:number>")
@access.views
def download_attachment(event_id: str, number: int) -> ResponseReturnValue:
    """Return an attachment as a download.

    :param number: its index among the event's attachments, from 0.
    :raise 404: the event does not exist, or has no attachment with this number.
    """
    with current_store().read() as conn:
        stored = or_404(find_event(conn, event_id), UNKNOWN)
        found = or_404(
            find_attachment(conn, stored.row, number), "the event has no such attachment"
        )
    return download(found)


@bp.get("/events/<event_id>/attachments/<int:number>/picture")
@access.views
def show_picture(event_id: str, number: int) -> ResponseReturnValue:
    """Show an attachment that is a picture, by its first bytes.

    :param number: its index among the event's attachments, from 0.
    :raise 404: there is no such attachment, or it is no picture.
    """
    with current_store().read() as conn:
        stored = or_404(find_event(conn, event_id), UNKNOWN)
        found = or_404(find_attachment(conn, stored.row, number), "there is no such attachment")
    return picture(found.payload, or_404(picture_type(found.payload), "it is no picture"))


def _attached(file: Attachment) -> dict[str, Any]:
    is_picture = picture_type(file.payload) is not None
    text = "" if is_picture else beginning_of(file.payload)
    return attachment_shown(file.described()) | {"is_picture": is_picture, "text": text}


def _said_of(conn: Connection, row: Row[Any]) -> list[Row[Any]]:
    about = FeedbackFilter(project_id=row.project_id, event_id=row.event_id)
    return page_of_feedback(conn, about, limit=SHOWN_BESIDE + 1).rows


def _find(event_id: str) -> StoredEvent:
    with current_store().read() as conn:
        return or_404(find_event(conn, event_id), UNKNOWN)
