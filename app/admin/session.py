"""Logging in and out, and the theme: everything that browsers keep in cookies."""

from __future__ import annotations

import math
import re
import secrets
from datetime import timedelta
from urllib.parse import unquote, urlsplit

from flask import (
    current_app,
    flash,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_user, logout_user
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response as BaseResponse
from wtforms import HiddenField, PasswordField, StringField
from wtforms.validators import InputRequired, Length

from app.accounts import Attempt, KnownBrowsers, LoginRefused
from app.accounts.login import KNOWN_BROWSER_AGE, LoginLocked
from app.admin import THEMES, bp, filters
from app.protocol.event import clean_text
from app.web import access
from app.web.current import current_accounts, current_config, current_logins

THEME_MAX_AGE = timedelta(days=365)
# Marks a browser that has logged in before. Attempts of other browsers do not lock it out, see
# app.accounts.
BROWSER_COOKIE = "devenviro_browser"
# Characters that browsers read as a slash, drop, or refuse in an address.
_UNSAFE = re.compile(r"[\\\x00-\x20\x7f-\xa0\u2028\u2029]")


class LoginForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF has no types
    """The form of user name and password."""

    username = StringField(
        "User name", [InputRequired(), Length(max=100)], render_kw={"autocomplete": "username"}
    )
    password = PasswordField(
        "Password",
        [InputRequired(), Length(max=1000)],
        render_kw={"autocomplete": "current-password"},
    )
    next = HiddenField()


@bp.route("/login", methods=["GET", "POST"])
@access.anyone
def login() -> ResponseReturnValue:
    """Ask for name and password; 401 if they are wrong, 429 after too many attempts."""
    if current_user.is_authenticated:
        return redirect(url_for("admin.start"))
    form = LoginForm()
    if request.method == "GET":
        form.next.data = safe_path(request.args.get("next")) or ""
        return _login_page(form)
    if not form.validate():
        return _login_page(form), 422
    return _try(form)


def _try(form: LoginForm) -> ResponseReturnValue:
    # PostgreSQL does not accept NUL in a text.
    name = clean_text(form.username.data)
    browser = _known_browsers().read(request.cookies.get(BROWSER_COOKIE), name)
    try:
        attempt = Attempt(name, request.remote_addr, browser, request.user_agent.string)
        user = current_logins().log_in(attempt, form.password.data)
    except LoginRefused as refused:
        return _refused(form, refused)
    if user is None:
        return _login_page(form, "The user name or the password is wrong."), 401
    # Nothing that was in the session before the login may stay.
    session.clear()
    login_user(user)
    session.permanent = True
    response = redirect(safe_path(form.next.data) or url_for("admin.start"), 303)
    _remember_browser(response, user.username, browser or secrets.token_hex(16))
    return theme_cookie(response, user.theme) if user.theme else response


def _known_browsers() -> KnownBrowsers:
    return KnownBrowsers(current_accounts(), current_app.secret_key or "")


def _remember_browser(response: BaseResponse, username: str, browser: str) -> None:
    response.set_cookie(
        BROWSER_COOKIE,
        _known_browsers().sign(username, browser),
        max_age=KNOWN_BROWSER_AGE,
        path=url_for("admin.login"),
        httponly=True,
        samesite="Lax",
        secure=current_app.config["SESSION_COOKIE_SECURE"],
    )


def _refused(form: LoginForm, refused: LoginRefused) -> ResponseReturnValue:
    seconds = math.ceil(refused.wait.total_seconds())
    wait = filters.duration(seconds)
    text = f"Too many people log in at this moment. Try again in {wait}."
    if isinstance(refused, LoginLocked):
        text = (
            f"Too many tries: this one was not checked. Try again in {wait}. "
            "On the server, `flask user unlock NAME` ends the wait."
        )
    return _login_page(form, text), 429, {"Retry-After": str(seconds)}


def _login_page(form: LoginForm, problem: str = "") -> str:
    config = current_config()
    printed = config.ENVIRONMENT == "development" and config.ADMIN_PASSWORD is None
    return render_template("login.html", form=form, problem=problem, has_printed_password=printed)


@bp.post("/logout")
@access.views
def logout() -> ResponseReturnValue:
    """End every session of this user, here and in other browsers."""
    current_accounts().log_out(current_user.username)
    logout_user()
    session.clear()
    flash("You are logged out, in every browser.")
    return redirect(url_for("admin.login"), 303)


@bp.post("/theme")
@access.views
def set_theme() -> ResponseReturnValue:
    """Store the chosen theme and redirect to the page it was chosen on (303)."""
    theme = request.form.get("theme")
    target = safe_path(request.form.get("next")) or url_for("admin.start")
    if theme not in THEMES:
        return redirect(target, 303)
    own = None if theme == "auto" else theme
    current_accounts().choose(current_user.username, time_zone=current_user.time_zone, theme=own)
    return theme_cookie(redirect(target, 303), theme)


def theme_cookie(response: BaseResponse, theme: str) -> BaseResponse:
    """Store the theme in a cookie, which pages read without asking the store."""
    response.set_cookie(
        "theme",
        theme,
        max_age=THEME_MAX_AGE,
        httponly=True,
        samesite="Lax",
        secure=request.is_secure,
    )
    return response


def safe_path(target: str | None) -> str | None:
    """Return a path of this site, ``None`` for an address that may lead to another site.

    Schemes, hosts, ``//``, backslashes and control characters are refused, also percent-encoded
    once or twice: browsers and proxies differ in how often they decode.
    """
    # urlsplit() reads "///host" as a path without a host. A browser reads it as a host.
    if not target or len(target) > 2000 or target.startswith("//") or _UNSAFE.search(target):
        return None
    try:
        parts = urlsplit(target)
    except ValueError:
        return None
    path = unquote(unquote(parts.path))
    if parts.scheme or parts.netloc or not path.startswith("/"):
        return None
    return None if path.startswith("//") or _UNSAFE.search(path) else target
