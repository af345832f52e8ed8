"""Notifications: the list, and one notification with every attempt to send it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from flask import abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm

from app.admin import bp
from app.admin.filter_bar import row_number
from app.admin.filters import plural, sentence
from app.alerts import queries
from app.alerts.channels.stored import list_channels
from app.alerts.errors import AlertError
from app.alerts.naming import existing
from app.alerts.notifications import send_again
from app.issues.queries import find_issue
from app.store import utc_now
from app.web import access
from app.web.current import current_store

PAGE_SIZE = 50
UNKNOWN = "no notification has this id; it may have been removed since"


class AlertForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF has no types
    """A form of a channel or a rule; the input model of each checks the values.

    :cvar aliases: input field to form field, where their names differ.
    """

    aliases: ClassVar[dict[str, str]] = {}

    @contextmanager
    def errors_at_fields(self) -> Iterator[None]:
        """Show each error of an :class:`AlertError` at its field.

        An error of a field that the form does not have is shown at the field ``name``.
        """
        try:
            yield
        except AlertError as error:
            for name, text in error.errors.items():
                name = self.aliases.get(name, name.removeprefix("filters."))
                field = self[name] if name in self else self["name"]
                field.errors = [*field.errors, sentence(text)]


@bp.get("/alerts")
@access.views
def list_of_alerts() -> ResponseReturnValue:
    """Show notifications, the newest first."""
    before = row_number("before")
    with current_store().read() as conn:
        rows = queries.list_notifications(conn, before=before, limit=PAGE_SIZE + 1)
        sendings = queries.sendings_of(conn, [row.id for row in rows])
        channels = list_channels(conn)
    page = rows[:PAGE_SIZE]
    return render_template(
        "alerts.html",
        rows=page,
        sendings=sendings,
        has_channels=any(channel.enabled for channel in channels),
        is_first=before is None,
        older=page[-1].id if len(rows) > PAGE_SIZE else None,
    )


@bp.get("/alerts/<int:notice_id>")
@access.views
def show_alert(notice_id: int) -> ResponseReturnValue:
    """Show a notification with its issues and its attempts.

    :raise 404: no notification has this id.
    """
    with current_store().read() as conn:
        detail = queries.find_detail(conn, notice_id) or abort(404, description=UNKNOWN)
        issue_id = detail.notification.issue_id
        issue = find_issue(conn, issue_id) if issue_id else None
        there = existing(conn, [one.issue_id for one in detail.issues])
    return render_template(
        "alert.html",
        row=detail.notification,
        ways=detail.ways,
        issue=issue,
        named=detail.issues,
        there=there,
        now=utc_now(),
    )


@bp.post("/alerts/<int:notice_id>/send")
@access.configures
def send_notification_again(notice_id: int) -> ResponseReturnValue:
    """Send a notification again by the channels that gave up, and redirect to it (303).

    :raise 404: no notification has this id.
    """
    with current_store().write() as conn:
        if queries.find_notification(conn, notice_id) is None:
            abort(404, description=UNKNOWN)
        ways = send_again(conn, notice_id, utc_now())
    if ways:
        flash(f"It goes out again by {plural(ways, 'channel')}, within seconds.")
    else:
        flash("Nothing of it was left to send.", "warning")
    return redirect(url_for("admin.show_alert", notice_id=notice_id), 303)
