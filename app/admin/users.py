"""Users: list and add them; change a user's role and password, end sessions, remove the user."""

from __future__ import annotations

from typing import Any

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from flask_wtf import FlaskForm
from wtforms import PasswordField, RadioField, SelectChoice, StringField
from wtforms.validators import InputRequired, Length

from app.accounts.people import MAX_NAME_LENGTH, NoSuchUser, Person
from app.accounts.roles import ROLES
from app.accounts.sessions import open_sessions
from app.accounts.users import MAX_PASSWORD_LENGTH, UserError
from app.admin import bp
from app.admin.filters import plural
from app.admin.model_form import ModelForm
from app.web import access
from app.web.current import current_accounts, current_logins, current_store

# What each role may do, for the forms.
SUMMARIES = {
    "viewer": "reads",
    "member": "also decides about issues and comments",
    "admin": "also configures, deletes, manages users",
}
_PASSWORD = {"autocomplete": "new-password"}


def password_field(label: str, **settings: Any) -> PasswordField:
    """Return the field of a new password."""
    checks = [InputRequired("A password is expected."), Length(max=MAX_PASSWORD_LENGTH)]
    text = "At least 8 characters."
    return PasswordField(label, checks, description=text, render_kw=_PASSWORD, **settings)


class NewUserForm(ModelForm):
    """The form of a new user."""

    username = StringField(
        "User name",
        [InputRequired("A name is expected."), Length(max=MAX_NAME_LENGTH)],
        render_kw={"autocomplete": "off"},
    )
    password = password_field("Password")
    role = RadioField(
        "Role", choices=[SelectChoice(role, role) for role in ROLES], default="member"
    )


class PasswordForm(ModelForm):
    """The form of a new password of a user."""

    password = password_field("New password")


@bp.route("/users", methods=["GET", "POST"])
@access.admin
def list_of_users() -> ResponseReturnValue:
    """Show every user and the form of a new one; add the user on POST (303)."""
    accounts, form = current_accounts(), NewUserForm()
    if form.validate_on_submit():
        name = (form.username.data or "").strip()
        try:
            accounts.add_user(name, form.password.data or "", form.role.data)
            flash(f"{name} may log in now, as {form.role.data}.", "note")
            return redirect(url_for("admin.list_of_users"), 303)
        except UserError as error:
            form.blame(error.field, str(error))
    with current_store().read() as conn:
        people = accounts.list_users(conn)
    page = render_template("users.html", people=people, form=form, roles=SUMMARIES)
    return page, 422 if form.errors else 200


@bp.get("/users/user")
@access.admin
def show_user() -> ResponseReturnValue:
    """Show a user with the sessions that are open.

    :raise 404: there is no such user.
    """
    return _page(_asked(request.args.get("name", "")), PasswordForm(formdata=None))


@bp.post("/users/role")
@access.admin
def change_role() -> ResponseReturnValue:
    """Give a user another role (303)."""
    name, role = _named(), request.form.get("role", "")
    current_accounts().change_role(name, role)
    flash(f"{name} is {'an' if role == 'admin' else 'a'} {role} from now on.", "note")
    return redirect(url_for("admin.list_of_users"), 303)


@bp.post("/users/password")
@access.admin
def set_user_password() -> ResponseReturnValue:
    """Set the password of a user and end the sessions (303).

    :raise 404: there is no such user.
    """
    person, form, accounts = _asked(_named()), PasswordForm(), current_accounts()
    if form.validate():
        try:
            accounts.change_password(person.username, form.password.data or "")
            flash("The password is set, and the sessions of the old one have ended.", "note")
            return redirect(url_for("admin.show_user", name=person.username), 303)
        except UserError as error:
            form.blame("password", str(error))
    return _page(person, form)


@bp.post("/users/end-sessions")
@access.admin
def end_user_sessions() -> ResponseReturnValue:
    """End every session of a user (303)."""
    person = _asked(_named())
    count = current_accounts().end_sessions(person.username)
    flash(f"{plural(count, 'session')} ended.", "note")
    return redirect(url_for("admin.show_user", name=person.username), 303)


@bp.post("/users/unlock")
@access.admin
def unlock_user() -> ResponseReturnValue:
    """Let a user log in at once who has to wait after wrong passwords (303)."""
    person = _asked(_named())
    count = current_logins().unlock(person.username)
    words = f"{plural(count, 'lock')} removed" if count else "there was no lock"
    flash(f"{person.username} may log in at once: {words}.", "note")
    return redirect(url_for("admin.show_user", name=person.username), 303)


@bp.post("/users/remove")
@access.admin
def remove_user() -> ResponseReturnValue:
    """Remove a user and end the sessions (303)."""
    name, accounts = _named(), current_accounts()
    accounts.remove_user(name)
    with current_store().read() as conn:
        tokens = accounts.count_made_by(conn, name)
    flash(f"{name} is removed.", "note")
    if tokens:
        works = "works" if tokens == 1 else "work"
        flash(f"{plural(tokens, 'token')} that {name} made still {works}: see Tokens.", "warning")
    return redirect(url_for("admin.list_of_users"), 303)


def _named() -> str:
    return request.form.get("name", "")


def _asked(name: str) -> Person:
    with current_store().read() as conn:
        people = current_accounts().list_users(conn)
    for person in people:
        if person.username == name:
            return person
    raise NoSuchUser("there is no such user", "name")


def _page(person: Person, form: PasswordForm) -> ResponseReturnValue:
    with current_store().read() as conn:
        sessions = open_sessions(conn, person.username)
    page = render_template(
        "user.html",
        person=person,
        sessions=sessions,
        form=form,
        plain=FlaskForm(formdata=None),
        roles=SUMMARIES,
        is_own=person.username == current_user.username,
    )
    return page, 422 if form.errors else 200
