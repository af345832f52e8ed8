"""API tokens: list them, make one, which is shown once, and revoke one."""

from __future__ import annotations

from datetime import timedelta

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from wtforms import (
    SelectChoice,
    SelectField,
    SelectMultipleField,
    StringField,
    TextAreaField,
)
from wtforms.validators import InputRequired, Length

from app.accounts import SCOPES
from app.accounts.tokens import MAX_NAME_LENGTH, TokenError
from app.admin import bp
from app.admin.model_form import ModelForm
from app.projects import list_projects
from app.store import utc_now
from app.web import access
from app.web.current import current_accounts, current_config, current_store

SUMMARIES = {
    "read": "everything that reads below /api/",
    "write": "everything that writes below /api/",
    "diagnostics": "test errors",
    "memories": "/memories",
    "audit": "the audit log",
    "mcp": "tools at /mcp that read",
    "mcp:write": "tools at /mcp that resolve, ignore, assign, comment and replay, beside mcp",
}
DAYS = {"": "never", "7": "in 7 days", "30": "in 30 days", "90": "in 90 days", "365": "in a year"}
SHOWN_PROJECTS = 200


class TokenForm(ModelForm):
    """The form of a new token."""

    name = StringField(
        "Name",
        [InputRequired("A name is expected."), Length(max=MAX_NAME_LENGTH)],
        description="Of the program that gets it.",
        render_kw={"autocomplete": "off"},
    )
    scopes = SelectMultipleField("Scopes", choices=[SelectChoice(name, name) for name in SCOPES])
    projects = SelectMultipleField("Projects", coerce=int)
    memory_users = TextAreaField(
        "Memories of",
        description="Users whose memories the tools at /mcp read, one a line; needs the scope mcp.",
        render_kw={"rows": 2},
    )
    days = SelectField(
        "Expires", choices=[SelectChoice(*one) for one in DAYS.items()], default="90"
    )


@bp.route("/tokens", methods=["GET", "POST"])
@access.admin
def list_of_tokens() -> ResponseReturnValue:
    """Show every token and the form of a new one; make the token on POST and show it (201)."""
    accounts, form, token = current_accounts(), TokenForm(), None
    with current_store().read() as conn:
        names = {one.id: one.name for one in list_projects(conn)[:SHOWN_PROJECTS]}
    form.projects.choices = [SelectChoice(*one) for one in names.items()]
    if form.validate_on_submit():
        token = _made(form)
    with current_store().read() as conn:
        found = accounts.list_tokens(conn)
    page = render_template(
        "tokens.html",
        tokens=found,
        names=names,
        form=form if token is None else _empty(names),
        token=token,
        summaries=SUMMARIES,
        now=utc_now(),
        has_setting=bool(current_config().API_TOKEN),
    )
    return page, 422 if form.errors else 201 if token else 200


@bp.post("/tokens/revoke")
@access.admin
def revoke_token() -> ResponseReturnValue:
    """Revoke a token; every process refuses it from its next request on (303)."""
    name = request.form.get("name", "")
    if current_accounts().revoke_token(name):
        flash(f"{name} is revoked.", "note")
    else:
        flash("There is no such token that works.", "warning")
    return redirect(url_for("admin.list_of_tokens"), 303)


def _empty(names: dict[int, str]) -> TokenForm:
    form = TokenForm(formdata=None)
    form.projects.choices = [SelectChoice(*one) for one in names.items()]
    return form


def _lines(text: str | None) -> list[str]:
    return [line.strip() for line in (text or "").splitlines() if line.strip()]


def _made(form: TokenForm) -> str | None:
    try:
        return current_accounts().create_token(
            (form.name.data or "").strip(),
            form.scopes.data or (),
            projects=form.projects.data or None,
            memory_users=_lines(form.memory_users.data),
            expires_at=utc_now() + timedelta(days=int(form.days.data)) if form.days.data else None,
        )
    except TokenError as error:
        form.blame(error.field, str(error))
        return None
