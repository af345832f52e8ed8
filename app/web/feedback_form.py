"""The form on our own error page: what happened, in the words of whoever met the error.

    error page ── form with a ticket ── POST /feedback/<event_id> ── intake ── as any SDK's feedback

The route is open to everyone, so what it takes is bounded: a ticket is signed, for one event and
for eight hours; an event has one feedback of this form; and there are at most a hundred in an hour,
counted by their rows.
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
# Some 5 KB each with its row: half a megabyte an hour is what strangers can write here at most.
MAX_AN_HOUR = 100
HOUR = timedelta(hours=1)
# Every character of the longest message may take twelve bytes on the wire.
MAX_BODY_BYTES = 64 * 1024
MAX_URL = 1000
ACCEPT_WAIT_S = 5.0
RETRY_AFTER_S = 5

bp = Blueprint("feedback", __name__)


def _plain(text: str | None) -> str:
    # Browsers send lines that end in CRLF, and count each end as one character.
    return clean_text((text or "").replace("\r\n", "\n")).strip()


class FeedbackForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF has no types
    """What somebody says of an error."""

    class Meta:
        # The ticket stands for it: there need be no session.
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
        """Refuse what is nothing but space."""
        if not message.data:
            raise ValidationError("Say in a few words what happened.")

    def validate_email(self, email: StringField) -> None:
        """Refuse what no mail would reach; whether it is somebody's, only a mail could tell."""
        name, _, host = email.data.rpartition("@")
        if email.data and (not name or not host or any(map(str.isspace, email.data))):
            raise ValidationError("An address such as ada@example.org is expected.")


def init_app(app: Flask, csrf: CSRFProtect) -> None:
    """Register the route. Its forms carry a ticket of their own, hence no CSRF token."""
    csrf.exempt(bp)
    app.register_blueprint(bp)


def form_about(event_id: str) -> FeedbackForm:
    """Return an empty form for the event that the current request was recorded as."""
    # Without the query, which may hold what nobody should keep. ``formdata=None``: a request that
    # failed may have sent a form of its own, with fields of the same names.
    ticket = _tickets(event_id).dumps(request.base_url[:MAX_URL])
    return FeedbackForm(formdata=None, data={"ticket": ticket})


@bp.post("/feedback/<event_id>")
@access.anyone
def take(event_id: str) -> ResponseReturnValue:
    """Keep what was filled in; 422 names the field and shows what was typed.

    :raise 403: the ticket is not for this event. :raise 413: the body is beyond 64 KiB.
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
        # Logged, not recorded as an event: there may be as many of these as there are requests.
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
    # Two at once may both come here: they have one id, and so one envelope and one row.
    envelope = Envelope({"event_id": own_id}, [_item(own_id, event_id, form, url)])
    current_intake().accept(
        envelope, project_id=OWN_PROJECT_ID, timeout_s=ACCEPT_WAIT_S, uid=own_id
    )
    return _page(event_id, form, "kept")


def _item(own_id: str, event_id: str, form: FeedbackForm, url: str) -> Item:
    """Return the item as JavaScript's SDK builds it.

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
    """Return what signs, and knows again, the address where an event happened."""
    # The event is part of the signature: what was signed for one is wrong for every other.
    return URLSafeTimedSerializer(current_app.config["SECRET_KEY"], salt=f"feedback on {event_id}")


def _id_of_feedback(event_id: str) -> str:
    """Return the id that the feedback of this form on an event has, whoever sends it how often."""
    return hashlib.sha256(f"feedback on {event_id}".encode()).hexdigest()[:32]
