"""The page "Test error": send an error on purpose, and read in one sentence where it is."""

from __future__ import annotations

import re

from flask import redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import (
    BooleanField,
    IntegerField,
    RadioField,
    SelectChoice,
    SelectField,
    StringField,
    TextAreaField,
    ValidationError,
)
from wtforms.validators import InputRequired, Length, NumberRange, Optional, Regexp

from app.admin import bp
from app.admin.lookups import project_names, recent_values
from app.admin.test_answers import links_of
from app.admin.trails import TrailView, trail_of
from app.projects import OWN_PROJECT_ID, find_project
from app.protocol.event import LEVELS, parse_event_id
from app.trials import kinds
from app.trials.answer import Answer, answer_of, refusal
from app.trials.sending import send_test_error
from app.web import access
from app.web.current import current_store
from app.web.delivery_status import follow
from app.web.errors import or_404

DEFAULT_MESSAGE = "A test error from the admin pages"
MAX_TAGS = 50
# Source: https://docs.sentry.io/platforms/python/enriching-events/tags/, 2026-11-23.
_TAG_KEY = re.compile(r"[a-zA-Z0-9_.:-]{1,32}")
MAX_TAG_VALUE = 200


class TriggerForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF has no types
    """The form of a test error: its project, its kind and its data."""

    project = SelectField("Project", coerce=int, default=OWN_PROJECT_ID, validate_choice=False)
    environment = StringField(
        "Environment",
        [Length(max=64), Regexp(r"[^\r\n/]*\Z", message="An environment has no slash.")],
        description="Empty for the environment of the program.",
    )
    kind = RadioField(
        "Kind",
        [InputRequired()],
        choices=[SelectChoice(name, kind.title) for name, kind in kinds.KINDS.items()],
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
    repeat = BooleanField(
        "Repeat the last one",
        description="Counts in the issue of the last equal test error. Otherwise it makes a new"
        " issue, and rules about new issues notify.",
    )

    @classmethod
    def of(cls, projects: dict[int, str], *args: object) -> TriggerForm:
        """Return the form with these projects to choose from."""
        form = cls(*args)
        form.project.choices = [SelectChoice(id, name) for id, name in projects.items()]
        return form

    def validate_project(self, project: SelectField) -> None:
        """Refuse a project that does not exist."""
        if project.choices and project.data not in {choice.value for choice in project.choices}:
            raise ValidationError("There is no such project.")

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

    def wish(self) -> kinds.Wish:
        """Return the test error that was asked for."""
        user = {"id": self.user_id.data, "username": self.username.data, "email": self.email.data}
        return kinds.Wish(
            kind=self.kind.data,
            message=self.message.data,
            level=self.level.data,
            status=self.status.data or 500,
            user={name: value.strip() for name, value in user.items() if value and value.strip()},
            tags=read_tags(self.tags.data or ""),
            environment=(self.environment.data or "").strip(),
            is_repeat=bool(self.repeat.data),
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


@bp.route("/test-error", methods=["GET", "POST"])
@access.tests
def trigger() -> ResponseReturnValue:
    """Show the form and the answer to the last test error; make the error on POST (303)."""
    with current_store().read() as conn:
        projects, environments = project_names(conn), recent_values(conn)["environment"]
    form = TriggerForm.of(projects)
    answer: Answer | None = None
    if request.method == "POST":
        if form.validate():
            with current_store().read() as conn:
                project = find_project(conn, form.project.data)
            sent = send_test_error(form.wish(), project)
            if not sent.refused:
                return redirect(url_for("admin.trigger", event=sent.event_id), 303)
            answer = refusal(project.id, sent.status)
        return _page(form, environments, answer), 422
    event_id = parse_event_id(request.args.get("event"))
    if event_id is None:
        form.project.data = request.args.get("project", OWN_PROJECT_ID, int)
        return _page(form, environments)
    answer, trail = _followed(event_id)
    form.project.data = trail.project_id or OWN_PROJECT_ID
    return _page(form, environments, answer, trail)


@bp.route("/trigger", methods=["GET", "POST"])
@access.tests
def old_trigger() -> ResponseReturnValue:
    """Lead to the page at its new address (308); the method and the form stay the same."""
    event_id = parse_event_id(request.args.get("event"))
    return redirect(url_for("admin.trigger", event=event_id), 308)


@bp.get("/live/test-error/<event_id>")
@access.views
def show_test_error(event_id: str) -> ResponseReturnValue:
    """Show the answer alone; the page reloads it until it is final.

    :raise 404: the id is not an event id.
    """
    answer, trail = _followed(or_404(parse_event_id(event_id), "this is no event id"))
    return render_template(
        "_test_answer.html", answer=answer, trail=trail, remedies=links_of(answer)
    )


def _page(
    form: TriggerForm,
    environments: list[str],
    answer: Answer | None = None,
    trail: TrailView | None = None,
) -> str:
    return render_template(
        "trigger.html",
        form=form,
        kinds=kinds.KINDS,
        environments=environments,
        answer=answer,
        trail=trail,
        remedies=links_of(answer) if answer else [],
    )


def _followed(event_id: str) -> tuple[Answer, TrailView]:
    with current_store().read() as conn:
        progress = follow(conn, event_id)
    return answer_of(progress), trail_of(event_id, progress)
