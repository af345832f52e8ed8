"""The trigger page: send an error on purpose and follow its trail."""

from __future__ import annotations

import re

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import (
    IntegerField,
    RadioField,
    SelectChoice,
    SelectField,
    StringField,
    TextAreaField,
    ValidationError,
)
from wtforms.validators import InputRequired, Length, NumberRange, Optional

from app.admin import bp, trials
from app.admin.trails import TrailView, trail_of
from app.protocol.event import LEVELS, parse_event_id
from app.web import access
from app.web.current import current_store
from app.web.delivery_status import follow

DEFAULT_MESSAGE = "A test error from the admin pages"
MAX_TAGS = 50
# Source: https://docs.sentry.io/platforms/python/enriching-events/tags/, 2026-11-23.
_TAG_KEY = re.compile(r"[a-zA-Z0-9_.:-]{1,32}")
MAX_TAG_VALUE = 200


class TriggerForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF has no types
    """The form of a test error: its kind and its data."""

    kind = RadioField(
        "Kind",
        [InputRequired()],
        choices=[SelectChoice(name, kind.title) for name, kind in trials.KINDS.items()],
        default="exception",
    )
    message = StringField("Message", [InputRequired(), Length(max=8192)], default=DEFAULT_MESSAGE)
    level = SelectField(
        "Level", choices=[SelectChoice(level, level) for level in LEVELS], default="error"
    )
    status = IntegerField(
        "Status code",
        [Optional(), NumberRange(400, 599, "A status from 400 to 599 is expected.")],
        default=500,
        description="Only for an HTTP error.",
    )
    user_id = StringField("User id", [Length(max=200)])
    username = StringField("User name", [Length(max=200)])
    email = StringField("User e-mail", [Length(max=200)])
    tags = TextAreaField(
        "Tags", [Length(max=10_000)], description="key=value, one a line or separated by commas."
    )

    def validate_email(self, email: StringField) -> None:
        """Refuse a text that is not an address; the field may be empty."""
        if email.data and "@" not in email.data.strip("@"):
            raise ValidationError("An address such as ada@example.org is expected.")

    def validate_tags(self, tags: TextAreaField) -> None:
        """Refuse tags that Sentry would drop; the message names the first."""
        try:
            read_tags(tags.data or "")
        except ValueError as error:
            raise ValidationError(str(error)) from error

    def wish(self) -> trials.Wish:
        """Return the test error that was asked for."""
        user = {"id": self.user_id.data, "username": self.username.data, "email": self.email.data}
        return trials.Wish(
            kind=self.kind.data,
            message=self.message.data,
            level=self.level.data,
            status=self.status.data or 500,
            user={name: value.strip() for name, value in user.items() if value and value.strip()},
            tags=read_tags(self.tags.data or ""),
        )


def read_tags(text: str) -> dict[str, str]:
    """Read ``key=value`` pairs, one a line or separated by commas.

    :raise ValueError: a pair is invalid (the message names it), or there are too many.
    """
    tags: dict[str, str] = {}
    for pair in filter(None, map(str.strip, re.split(r"[\n,]", text))):
        key, sign, value = (part.strip() for part in pair.partition("="))
        if not sign or not value:
            raise ValueError(f"“{pair[:60]}” is not of the form key=value.")
        if not _TAG_KEY.fullmatch(key):
            raise ValueError(f"“{key[:60]}”: a key has 1 to 32 of the characters a-z 0-9 _ . : -")
        if len(value) > MAX_TAG_VALUE:
            raise ValueError(f"The value of “{key}” is longer than {MAX_TAG_VALUE} characters.")
        tags[key] = value
    if len(tags) > MAX_TAGS:
        raise ValueError(f"{len(tags)} tags are too many: at most {MAX_TAGS}.")
    return tags


@bp.route("/trigger", methods=["GET", "POST"])
@access.admin
def trigger() -> ResponseReturnValue:
    """Show the form and the trail of the last test error; make the error on POST (303)."""
    form = TriggerForm()
    if request.method == "GET":
        return render_template("trigger.html", form=form, kinds=trials.KINDS, trail=_asked_trail())
    if not form.validate():
        return render_template("trigger.html", form=form, kinds=trials.KINDS, trail=None), 422
    event_id = trials.run(form.wish())
    if event_id is None:
        flash("A filter of this application dropped the event; nothing was recorded.", "warning")
        return redirect(url_for("admin.trigger"), 303)
    return redirect(url_for("admin.trigger", event=event_id), 303)


def _asked_trail() -> TrailView | None:
    event_id = parse_event_id(request.args.get("event"))
    if event_id is None:
        return None
    with current_store().read() as conn:
        progress = follow(conn, event_id)
    return trail_of(event_id, progress)
