"""The access rule of every route, declared at the route and enforced in one place.

    @bp.get("/api/events")
    @access.reads
    def list_events(): …

A route without a rule is refused. A test compares the URL map with the table in the contract.

Users have roles (:mod:`app.accounts.roles`). A rule of pages says which role reads and which one
changes; :func:`may` answers the same for templates, so that a page offers nothing that is refused.
A token may be limited to some projects: :mod:`app.web.token_projects` compares the projects that a
request is about.

In development and testing, callers on this machine need no token for rules with ``loopback``. All
of this must hold: the peer is a loopback address, no proxy forwarded the request, ``Host`` is a
name of this machine, and no page of another site made the request.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar
from urllib.parse import urlsplit

from flask import Response, abort, current_app, g, has_request_context, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Unauthorized

from app.accounts import audit
from app.accounts.roles import includes
from app.accounts.tokens import MCP, Access
from app.sentry import set_user_context
from app.web import token_projects
from app.web.current import current_accounts, current_config

View = TypeVar("View", bound=Callable[..., Any])

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
# Headers that only a proxy adds: its own name, the caller's address, or the original request. The
# pattern matches words of a header's name, because every product has its own headers.
FORWARDING_HEADER = re.compile(
    r"(^|-)(via|forwarded|forwarder|forward|original|originating|real|proxy|proxyuser|envoy|amzn|arr"
    r"|azure|appengine|cloud|varnish|traefik|rewrite|cluster|upstream|remote)(-|$)"
    r"|^(cf|cdn|fastly|akamai|fly|x-vercel|x-nf|x-cdn)-|(^|-)(ip|ips|addr|ipcountry)$"
    r"|^(x-url-scheme|x-scheme|x-host|x-server|front-end-https)$",
    re.IGNORECASE,
)
# A page on another port or subdomain of this site may use these methods. It cannot read the answer.
# The media type of bodies with a JSON object on each line.
NDJSON = "application/x-ndjson"
READING = frozenset({"GET", "HEAD", "OPTIONS"})
MCP_IS_OFF = (
    "MCP is off: no token has the scope mcp. Make one on the page Tokens, or with "
    "`flask token create NAME --scope mcp`"
)
# Endpoints of Flask and its extensions. They offer no place for a rule.
OPEN_ENDPOINTS = frozenset({"static", "bootstrap.static"})


@dataclass(frozen=True)
class Rule:
    """The rule for who may call a route.

    :param scope: the scope that a token needs; ``None`` if tokens give no access.
    :param loopback: whether callers on this machine need no token, outside production.
    :param role: the role that a logged-in user needs; ``None`` if a login gives no access.
    :param changes: the role for methods that change something, if that is another one.
    """

    name: str
    scope: str | None = None
    loopback: bool = False
    role: str | None = None
    changes: str | None = None

    def role_for(self, method: str) -> str | None:
        """Return the role that a logged-in user needs for a method."""
        return self.role if method in READING else self.changes or self.role

    def __call__(self, view: View) -> View:
        """Set this rule on a view."""
        view.access_rule = self  # type: ignore[attr-defined]  # read by rule_of()
        return view


anyone = Rule("open")
# Access by the project's public key. The view itself checks it, because it may be in the body.
keyed = Rule("key")
# Pages, which every user may read.
views = Rule("viewer", role="viewer")
# Triage and comments.
decides = Rule("member", role="viewer", changes="member")
# Pages to send test errors with.
tests = Rule("tests", role="member")
# Pages that every user may read and admins may change.
configures = Rule("configuration", role="viewer", changes="admin")
# Pages and forms of admins, such as users and tokens.
admin = Rule("admin", role="admin")
diagnoses = Rule("diagnostics", scope="diagnostics", loopback=True)
shows = Rule("status", scope="read", loopback=True, role="viewer")
reads = Rule("read", scope="read", loopback=True)
writes = Rule("write", scope="write", loopback=True)
remembers = Rule("memories", scope="memories", loopback=True)
audits = Rule("audit", scope="audit", loopback=True)
# The tools of MCP. Every caller needs a token: without one the route does not exist.
calls_tools = Rule("mcp", scope=MCP)


def rule_of(endpoint: str | None) -> Rule | None:
    """Return the rule of an endpoint, ``None`` if it has none."""
    if endpoint in OPEN_ENDPOINTS:
        return anyone
    return getattr(current_app.view_functions.get(endpoint or ""), "access_rule", None)


def enforce() -> ResponseReturnValue | None:
    """Let a request pass, or answer it. This runs before every view.

    :raise 400: the ``Host`` is not allowed.
    :raise 401: there is no token, or a wrong one.
    :raise 403: the token lacks the scope, the user lacks the role, or the route has no rule.
    :raise 404: diagnostics or MCP are off, or a token of some projects asks for something of
        another one.
    """
    audit.set_caller(_audited)
    if request.endpoint is None:
        return None  # There is no endpoint. Everyone may see 404 and 405.
    rule = rule_of(request.endpoint)
    if rule is None:
        abort(403, description="this route states no access rule")
    if _is_of_browsers(rule):
        _check_host()
    if rule is anyone or rule is keyed:
        return None
    if _is_by_login(rule):
        # Otherwise the SDK, if it sends personal data, uses Flask-Login's id: the session's secret.
        set_user_context(current_user.username)
        demand(rule.role_for(request.method) or "admin")
        return None
    if rule.scope is None:
        return _to_login()
    if rule is diagnoses and not current_config().DIAGNOSTICS:
        abort(404, description="diagnostics are off (DIAGNOSTICS=off)")
    if rule is calls_tools and not _has_mcp_token():
        abort(404, description=MCP_IS_OFF)
    if rule.loopback and _is_trusted_loopback() and not _has_limited_token():
        return None
    _check_token(rule)
    return None


def caller() -> str:
    """Return the caller of this request, for the history of changes."""
    # Check the token first: if the request has a token and a session, the token gave access.
    token = token_access()
    if token is not None:
        return f"token:{token.name}"
    return str(current_user.username) if current_user.is_authenticated else "loopback"


def username() -> str | None:
    """Return the name of the user who makes this request, ``None`` for a token or this machine."""
    is_user = _bearer() is None and current_user.is_authenticated
    return str(current_user.username) if is_user else None


def demand(role: str) -> None:
    """Refuse a user who lacks a role, for a change that needs another one than its route.

    :raise 403: the user lacks the role.
    """
    if not has_role(role):
        own = current_user.role
        text = f"this needs the role {role}, and yours is {own}: an admin can change that on Users"
        abort(403, description=text)


def has_role(role: str) -> bool:
    """Return whether the user who makes this request may do what a role may do."""
    return bool(current_user.is_authenticated) and includes(current_user.role, role)


def may(endpoint: str, method: str = "POST") -> bool:
    """Return whether the user may call a route; templates ask this before they draw its form."""
    rule = rule_of(endpoint)
    needed = rule.role_for(method) if rule else None
    return needed is not None and has_role(needed)


def _audited() -> audit.Caller | None:
    if not has_request_context():
        return None
    return audit.Caller(caller(), request.remote_addr)


def _is_of_browsers(rule: Rule) -> bool:
    """Whether browsers call the route by a session, and not programs by a key or a token.

    Probes and programs often use an address or an internal name. That gives them no access.
    """
    if rule is keyed or (request.endpoint or "").startswith("api.health"):
        return False
    return rule.scope is None or _is_by_login(rule)


def _is_by_login(rule: Rule) -> bool:
    """Whether a login gives access to the route. If a token was sent, the token has to."""
    if rule.role is None or (rule.scope and _bearer() is not None):
        return False
    return bool(current_user.is_authenticated)


def _check_host() -> None:
    allowed = current_config().allowed_hosts
    if allowed and not _is_host_of(allowed):
        abort(
            400,
            description="the host name of this address is not one that is served: add it to "
            "ALLOWED_HOSTS, which is the host of PUBLIC_URL if it is not set",
        )


def _is_host_of(names: Iterable[str]) -> bool:
    """Whether ``Host`` is one of these names, or a subdomain of one that begins with a dot.

    Ports, case and a trailing dot are ignored. (Werkzeug's own check cuts an IPv6 address at its
    first colon, so that it never matches one.)
    """
    host = _host_name(request.host)
    for name in map(_host_name, names):
        if name and (host == name or (name.startswith(".") and f".{host}".endswith(name))):
            return True
    return False


def _host_name(text: str) -> str:
    """Return the normalized name in ``host:port``, empty if there is none."""
    is_bare_ipv6 = text.count(":") > 1 and not text.startswith("[")
    try:
        name = urlsplit(f"//[{text}]" if is_bare_ipv6 else f"//{text}").hostname or ""
        dot = "." if name.startswith(".") else ""
        return dot + name.strip(".").encode("idna").decode("ascii")
    except ValueError:  # This includes UnicodeError.
        return ""


def _to_login() -> ResponseReturnValue:
    if request.headers.get("X-Fragment"):
        return Response(status=401)  # A polling part of a page whose session has ended.
    target = request.full_path.rstrip("?") if request.method == "GET" else None
    return redirect(url_for("admin.login", next=target))


def _is_trusted_loopback() -> bool:
    if not current_config().trusts_loopback or not _is_loopback(request.remote_addr):
        return False
    if _is_forwarded() or not _is_of_this_site():
        return False
    if not _is_host_of((*LOOPBACK_NAMES, *current_config().ALLOWED_HOSTS)):
        return False  # A page of another site may have rebound its name to this machine.
    return _is_beyond_forms()


def _is_forwarded() -> bool:
    """Whether the request came through a proxy on this machine, which may serve a whole network.

    A plain ``proxy_pass`` of nginx adds no header, but it uses HTTP/1.0, which no browser uses.
    """
    if request.environ.get("SERVER_PROTOCOL") != "HTTP/1.1":
        return True
    return any(FORWARDING_HEADER.search(name) for name in request.headers.keys())


def is_of_known_origin() -> bool:
    """Return whether no page made the request, or a page of this service under one of its names.

    A page that rebound its own name to this machine has an origin that equals its ``Host``, so the
    host has to be one that is served.
    """
    origin = request.headers.get("Origin")
    if origin is None or origin == _origin_of(current_config().public_url):
        return True
    names = (*LOOPBACK_NAMES, *current_config().allowed_hosts)
    return origin == request.host_url.rstrip("/") and _is_host_of(names)


def _origin_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _is_of_this_site() -> bool:
    """Whether no page of another site made the request, as far as browsers report it.

    Source: https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header, read 2026-11-27.
    """
    site = request.headers.get("Sec-Fetch-Site", "none").lower()
    origin = request.headers.get("Origin")
    if site == "cross-site" or (origin and origin != request.host_url.rstrip("/")):
        return False
    return request.method in READING or site in {"none", "same-origin"}


def _is_beyond_forms() -> bool:
    # A form on another site's page can send a POST, but neither JSON nor another method.
    is_json = request.is_json or request.mimetype == NDJSON
    return request.method != "POST" or is_json


def needs_no_content_type() -> bool:
    """Return whether a body counts as JSON although ``curl -X PATCH -d`` labels it as a form.

    This holds on this machine, in development. No page of another site can send these methods.
    """
    is_curls_default = request.mimetype in {"", "application/x-www-form-urlencoded"}
    return (
        request.method in {"PATCH", "PUT", "DELETE"}
        and is_curls_default
        and (_is_trusted_loopback())
    )


def _is_loopback(address: str | None) -> bool:
    try:
        return ipaddress.ip_address(address or "").is_loopback
    except ValueError:
        return False


def _check_token(rule: Rule) -> None:
    if _bearer() is None:
        _refuse(_missing_token())
    found = token_access()
    if found is None:
        _refuse("the token is unknown, revoked or expired")
    if rule.scope not in found.scopes:
        abort(403, description=f"the token lacks the scope {rule.scope!r}")
    if found.projects is not None:
        token_projects.check(found.projects)


def _has_limited_token() -> bool:
    # Somebody who tries such a token on this machine expects its limits.
    found = token_access()
    return found is not None and found.projects is not None


def _has_mcp_token() -> bool:
    """Whether the request has a token for MCP, or there is any."""
    found = token_access()
    return (found is not None and MCP in found.scopes) or current_accounts().has_mcp_token()


def token_access() -> Access | None:
    """Return what the token of this request gives access to, ``None`` without a valid one.

    It is looked up once.
    """
    if "token_access" not in g:
        token = _bearer()
        g.token_access = current_accounts().access_of(token) if token else None
    found: Access | None = g.token_access
    return found


def _bearer() -> str | None:
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    return (token.strip() or None) if kind.lower() == "bearer" else None


def _missing_token() -> str:
    text = "an API token is needed: `Authorization: Bearer …`"
    if not current_accounts().has_tokens():
        text = "no API token is configured: set API_TOKEN or run `flask token create`"
    is_near = current_config().trusts_loopback and _is_loopback(request.remote_addr)
    if is_near and not _is_beyond_forms():
        text += "; from this machine `Content-Type: application/json` will do"
    return text


def _refuse(detail: str) -> NoReturn:
    raise Unauthorized(detail, www_authenticate=WWWAuthenticate("bearer", {"realm": "devenviro"}))
