"""The page of the user who is logged in: password, time zone, theme, and the open sessions."""

from __future__ import annotations

import math

from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_user
from wtforms import PasswordField, StringField
from wtforms.validators import InputRequired, Length

from app.accounts import Attempt, LoginRefused
from app.accounts.sessions import open_sessions
from app.accounts.users import UserError
from app.admin import THEMES, bp
from app.admin.filters import plural
from app.admin.model_form import ModelForm
from app.admin.session import theme_cookie
from app.admin.users import password_field
from app.inputs.time_zones import EXPECTED, read_time_zone, time_zones
from app.web import access
from app.web.current import current_accounts, current_logins, current_store


class ChoiceForm(ModelForm):
    """What a user chose for pages."""

    time_zone = StringField(
        "Time zone",
        [Length(max=64)],
        description="Such as Europe/Berlin. Empty for the zone of the browser.",
        render_kw={"list": "zones", "autocomplete": "off"},
    )


class OwnPasswordForm(ModelForm):
    """The form that changes the own password."""

    current = PasswordField(
        "Present password",
        [InputRequired("The present password is expected."), Length(max=1000)],
        render_kw={"autocomplete": "current-password"},
    )
    password = password_field("New password")


@bp.route("/account", methods=["GET", "POST"])
@access.views
def show_account() -> ResponseReturnValue:
    """Show what the user chose; store time zone and theme on POST (303)."""
    form = ChoiceForm(data={"time_zone": current_user.time_zone or ""})
    if form.validate_on_submit():
        zone, theme = (form.time_zone.data or "").strip(), request.form.get("theme", "auto")
        if theme not in THEMES:
            abort(400, description="there is no such theme")
        known = read_time_zone(zone)
        if known or not zone:
            _choose(known, theme)
            flash("Saved.", "note")
            return theme_cookie(redirect(url_for("admin.show_account"), 303), theme)
        form.blame("time_zone", EXPECTED)
    return _page(form, OwnPasswordForm(formdata=None))


@bp.post("/account/password")
@access.views
def change_own_password() -> ResponseReturnValue:
    """Change the own password; every other session ends (303)."""
    form, name, accounts = OwnPasswordForm(), current_user.username, current_accounts()
    if form.validate() and _is_right(form):
        try:
            accounts.change_password(name, form.password.data or "")
            agent = request.user_agent.string
            login_user(accounts.open_session(name, request.remote_addr, agent))
            flash("The password is changed. Other sessions have ended.", "note")
            return redirect(url_for("admin.show_account"), 303)
        except UserError as error:
            form.blame("password", str(error))
    choices = ChoiceForm(formdata=None, data={"time_zone": current_user.time_zone or ""})
    return _page(choices, form)


@bp.post("/account/sessions/end")
@access.views
def end_own_session() -> ResponseReturnValue:
    """End one of the own sessions, or all but this one (303)."""
    chosen, accounts = request.form.get("session", ""), current_accounts()
    if chosen == "others":
        count = accounts.end_sessions(current_user.username, but=current_user.session)
        flash(f"{plural(count, 'session')} ended.", "note")
    elif chosen.isascii() and chosen.isdigit() and len(chosen) < 19:
        ended = accounts.end_session(current_user.username, int(chosen))
        flash("The session ended." if ended else "This session had ended already.", "note")
    return redirect(url_for("admin.show_account"), 303)


def _is_right(form: OwnPasswordForm) -> bool:
    """Check the present password as a login does: wrong ones are counted."""
    attempt = Attempt(current_user.username, request.remote_addr)
    try:
        if current_logins().is_right(attempt, form.current.data or ""):
            return True
        form.blame("current", "The password is wrong.")
    except LoginRefused as refused:
        form.blame("current", f"Too many tries: wait {math.ceil(refused.wait.total_seconds())} s.")
    return False


def _choose(zone: str | None, theme: str) -> None:
    own = None if theme == "auto" else theme
    current_accounts().choose(current_user.username, time_zone=zone, theme=own)


def _page(form: ChoiceForm, password: OwnPasswordForm) -> ResponseReturnValue:
    accounts, name = current_accounts(), current_user.username
    with current_store().read() as conn:
        sessions = open_sessions(conn, name)
    page = render_template(
        "account.html",
        form=form,
        password=password,
        sessions=sessions,
        zones=time_zones(),
        is_configured=accounts.is_configured(name),
    )
    return page, 422 if form.errors or password.errors else 200
