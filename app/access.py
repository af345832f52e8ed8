"""The rule of every route, stated at the route and enforced in one place.

    @bp.get("/api/events")
    @access.reads
    def list_events(): …

A route without a rule is refused, and a test walks the URL map against the contract's table. In
development and testing callers on this machine need no token for what says ``loopback``: the peer
is a loopback address, nothing was forwarded, ``Host`` is a name of this machine, and a write has a
JSON body, which no form of a foreign page can send.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from flask import Response, abort, current_app, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Unauthorized
from werkzeug.sansio.utils import host_is_trusted

from app.sentry import set_user_context
from app.services import services

View = TypeVar("View", bound=Callable[..., Any])

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]", "::1")
FORWARDED_HEADERS = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip")
# Pages that Flask and its extensions bring, which have no place for a rule of ours.
OPEN_ENDPOINTS = frozenset({"static", "bootstrap.static"})


@dataclass(frozen=True)
class Rule:
    """Who may call a route.

    :param scope: of the token that opens it; ``None`` where no token does.
    :param loopback: whether callers on this machine need none, outside production.
    :param session: whether a logged-in admin may call it, too.
    """

    name: str
    scope: str | None = None
    loopback: bool = False
    session: bool = False

    def __call__(self, view: View) -> View:
        """Put the rule on a view."""
        view.access_rule = self  # type: ignore[attr-defined]  # read by rule_of()
        return view


anyone = Rule("open")
# By the project's public key, which the view itself asks for: it may stand in the body.
keyed = Rule("key")
admin = Rule("admin", session=True)
diagnoses = Rule("diagnostics", scope="diagnostics", loopback=True)
shows = Rule("status", scope="read", loopback=True, session=True)
reads = Rule("read", scope="read", loopback=True)
writes = Rule("write", scope="write", loopback=True)
remembers = Rule("memories", scope="memories", loopback=True)


def rule_of(endpoint: str | None) -> Rule | None:
    """Return the rule of an endpoint, ``None`` where somebody forgot it."""
    if endpoint in OPEN_ENDPOINTS:
        return anyone
    return getattr(current_app.view_functions.get(endpoint or ""), "access_rule", None)


def enforce() -> ResponseReturnValue | None:
    """Let a request pass or answer it; runs before every view.

    :raise 400: the ``Host`` is not one that is allowed.
    :raise 401: no token, or a wrong one.
    :raise 403: the token lacks the scope, or the route has no rule.
    :raise 404: diagnostics are off.
    """
    if request.endpoint is None:
        return None  # Nothing was found: 404 and 405 are for everyone.
    rule = rule_of(request.endpoint)
    if not request.endpoint.startswith("api.health"):
        _check_host()
    if rule is None:
        abort(403, description="this route states no access rule")
    if rule is anyone or rule is keyed:
        return None
    if rule.session and current_user.is_authenticated:
        # Else the SDK, where personal data is sent, takes Flask-Login's id: the session's secret.
        set_user_context(current_user.username)
        return None
    if rule is admin:
        return _to_login()
    if rule is diagnoses and not services().config.DIAGNOSTICS:
        abort(404, description="diagnostics are off (DIAGNOSTICS=off)")
    if rule.loopback and _is_trusted_loopback():
        return None
    _check_token(rule)
    return None


def caller() -> str:
    """Return who makes this request, for the history of what they change."""
    if current_user.is_authenticated:
        return str(current_user.username)
    name = services().accounts.token_name(_bearer() or "")
    return f"token:{name}" if name else "loopback"


def _check_host() -> None:
    # Probes come by address, hence not for them.
    allowed = services().config.ALLOWED_HOSTS
    if allowed and not host_is_trusted(request.host, [*allowed]):
        abort(400, description="Host is not one of ALLOWED_HOSTS")


def _to_login() -> ResponseReturnValue:
    if request.headers.get("X-Fragment"):
        return Response(status=401)  # A polling region of a page whose session ended.
    target = request.full_path.rstrip("?") if request.method == "GET" else None
    return redirect(url_for("admin.login", next=target))


def _is_trusted_loopback() -> bool:
    if not services().config.trusts_loopback or not _is_loopback(request.remote_addr):
        return False
    if any(header in request.headers for header in FORWARDED_HEADERS):
        return False  # It came through a proxy that stands on this machine.
    if not host_is_trusted(request.host, [*LOOPBACK_NAMES, *services().config.ALLOWED_HOSTS]):
        return False  # A foreign page that rebinds its name to this machine.
    return _is_read_or_json()


def _is_read_or_json() -> bool:
    # What a form of a foreign page sends is neither.
    return request.method in {"GET", "HEAD", "OPTIONS"} or request.is_json


def _is_loopback(address: str | None) -> bool:
    try:
        return ipaddress.ip_address(address or "").is_loopback
    except ValueError:
        return False


def _check_token(rule: Rule) -> None:
    token = _bearer()
    if token is None:
        _refuse(_missing_token())
    scopes = services().accounts.token_scopes(token)
    if scopes is None:
        _refuse("the token is unknown or revoked")
    if rule.scope not in (scopes or ()):
        abort(403, description=f"the token lacks the scope {rule.scope!r}")


def _bearer() -> str | None:
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    return (token.strip() or None) if kind.lower() == "bearer" else None


def _missing_token() -> str:
    text = "an API token is needed: `Authorization: Bearer …`"
    if not services().accounts.has_tokens():
        text = "no API token is configured: set API_TOKEN or run `flask token create`"
    is_near = services().config.trusts_loopback and _is_loopback(request.remote_addr)
    if is_near and not _is_read_or_json():
        text += "; from this machine `Content-Type: application/json` will do"
    return text


def _refuse(detail: str) -> NoReturn:
    raise Unauthorized(detail, www_authenticate=WWWAuthenticate("bearer", {"realm": "devenviro"}))
