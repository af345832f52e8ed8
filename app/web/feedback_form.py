"""The feedback form on the error page: the affected user describes what happened.

    error page ── form with a ticket ── POST /feedback/<event_id> ── intake ── as any SDK's feedback

The route is open to everyone, so its input is bounded. A ticket is signed and valid for one event
and eight hours. An event has at most one feedback from this form. At most a hundred are accepted in
an hour, counted by their rows.
"""

from __future__ import annotations

import hashlib
import logging
from datetime import timedelta
from typing import Any

from flask import Blueprint, Flask, abort, current_app, render_template, request
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from flask_wtf.csrf import CSRFProtect
from itsdangerous import BadData, SignatureExpired, URLSafeTimedSerializer
from wtforms import HiddenField, StringField, TextAreaField, ValidationError
from wtforms.validators import InputRequired, Length

from app.issues.feedback import has_feedback, nth_newest_at
from app.projects import OWN_PROJECT_ID
from app.protocol.envelope import Envelope, Item
from app.protocol.event import clean_text
from app.protocol.feedback import MAX_MESSAGE
from app.store import StoreError, utc_now
from app.web import access
from app.web.current import current_config, current_intake, current_release, current_store

log = logging.getLogger("app.tracker")

SOURCE = "error_page"
GOOD_FOR = timedelta(hours=8)
# Each takes about 5 KB with its row. So strangers can write at most half a megabyte an hour.
MAX_AN_HOUR = 100
HOUR = timedelta(hours=1)
# Every character of the longest message may take twelve bytes on the wire.
MAX_BODY_BYTES = 64 * 1024
MAX_URL = 1000
ACCEPT_WAIT_S = 5.0
RETRY_AFTER_S = 5

bp = Blueprint("feedback", __name__)


def _plain(text: str | None) -> str:
    # Browsers send CRLF at the end of a line, and count it as one character.
    return clean_text((text or "").replace("\r\n", "\n")).strip()


class FeedbackForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF has no types
    """The fields of the form."""

    class Meta:
        # The ticket replaces the CSRF token, so no session is needed.
        csrf = False

    ticket = HiddenField()
    message = TextAreaField(
        "What happened?",
        [InputRequired("Say in a few words what happened."), Length(max=MAX_MESSAGE)],
        filters=[_plain],
        render_kw={"rows": 4, "placeholder": "What you did, and what you expected"},
    )
    name = StringField(
        "Your name, if you like",
        [Length(max=100)],
        filters=[_plain],
        render_kw={"autocomplete": "name"},
    )
    email = StringField(
        "E-mail, for an answer",
        [Length(max=254)],
        filters=[_plain],
        render_kw={"autocomplete": "email", "inputmode": "email"},
    )

    def validate_message(self, message: TextAreaField) -> None:
        """Refuse a message that contains only whitespace."""
        if not message.data:
            raise ValidationError("Say in a few words what happened.")

    def validate_email(self, email: StringField) -> None:
        """Refuse a malformed address. Only a mail could show whether the address exists."""
        name, _, host = email.data.rpartition("@")
        if email.data and (not name or not host or any(map(str.isspace, email.data))):
            raise ValidationError("An address such as ada@example.org is expected.")


def init_app(app: Flask, csrf: CSRFProtect) -> None:
    """Register the route. Its forms have their own ticket, so they need no CSRF token."""
    csrf.exempt(bp)
    app.register_blueprint(bp)


def form_about(event_id: str) -> FeedbackForm:
    """Return an empty form for the event that recorded the current request."""
    # Leave out the query, which may contain data that must not be kept. ``formdata=None``: the
    # failed request may have sent a form with fields of the same names.
    ticket = _tickets(event_id).dumps(request.base_url[:MAX_URL])
    return FeedbackForm(formdata=None, data={"ticket": ticket})


@bp.post("/feedback/<event_id>")
@access.anyone
def take(event_id: str) -> ResponseReturnValue:
    """Store the feedback. 422 names the invalid field and shows the input again.

    :raise 403: the ticket is not for this event.
    :raise 413: the body exceeds 64 KiB.
    """
    request.max_content_length = MAX_BODY_BYTES
    form = FeedbackForm()
    try:
        url = _tickets(event_id).loads(
            form.ticket.data or "", max_age=int(GOOD_FOR.total_seconds())
        )
    except SignatureExpired:
        return _page(event_id, form, "expired"), 410
    except BadData:
        abort(403, description="this form does not belong to the error it was sent for")
    if not form.validate():
        return _page(event_id, form, "wrong"), 422
    try:
        return _keep(event_id, form, url)
    except StoreError as error:
        # Log this, but record no event: there may be as many of these as there are requests.
        log.warning("the store did not take feedback: %s", error)
        return _page(event_id, form, "later"), 503, {"Retry-After": str(RETRY_AFTER_S)}


def _keep(event_id: str, form: FeedbackForm, url: str) -> ResponseReturnValue:
    own_id = _id_of_feedback(event_id)
    with current_store().read() as conn:
        is_there = has_feedback(conn, OWN_PROJECT_ID, own_id)
        limit_at = nth_newest_at(conn, OWN_PROJECT_ID, MAX_AN_HOUR)
    if is_there:
        return _page(event_id, form, "again")
    wait = limit_at + HOUR - utc_now() if limit_at else timedelta()
    if wait > timedelta():
        return _page(event_id, form, "full"), 429, {"Retry-After": str(wait.seconds + 1)}
    # Two requests may arrive here at once. They have the same id, so they become one row.
    envelope = Envelope({"event_id": own_id}, [_item(own_id, event_id, form, url)])
    current_intake().accept(
        envelope, project_id=OWN_PROJECT_ID, timeout_s=ACCEPT_WAIT_S, uid=own_id
    )
    return _page(event_id, form, "kept")


def _item(own_id: str, event_id: str, form: FeedbackForm, url: str) -> Item:
    """Return the item in the format of the JavaScript SDK.

    Source: https://develop.sentry.dev/sdk/telemetry/feedbacks/, 2026-11-24.
    """
    said = {
        "message": form.message.data,
        "name": form.name.data,
        "contact_email": form.email.data,
        "url": url,
        "associated_event_id": event_id,
        "source": SOURCE,
    }
    payload: dict[str, Any] = {
        "event_id": own_id,
        "type": "feedback",
        "timestamp": utc_now().timestamp(),
        "level": "info",
        "platform": "python",
        "environment": current_config().ENVIRONMENT,
        "release": current_release(),
        "contexts": {"feedback": {name: value for name, value in said.items() if value}},
    }
    return Item({"type": "feedback"}, payload)


def _page(event_id: str, form: FeedbackForm, outcome: str) -> str:
    return render_template("feedback_form.html", event_id=event_id, form=form, outcome=outcome)


def _tickets(event_id: str) -> URLSafeTimedSerializer:
    """Return the serializer that signs and checks the address where an event happened."""
    # The event id is part of the signature, so a ticket is valid for one event only.
    return URLSafeTimedSerializer(current_app.config["SECRET_KEY"], salt=f"feedback on {event_id}")


def _id_of_feedback(event_id: str) -> str:
    """Return the id of this form's feedback on an event. It is the same for every sender."""
    return hashlib.sha256(f"feedback on {event_id}".encode()).hexdigest()[:32]
