"""Flask's settings, the security headers, and the paths that are not traced."""

from __future__ import annotations

import logging
import os
import re
import secrets
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode

from flask import Flask, Request, Response, has_request_context, redirect, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import ImmutableMultiDict, iter_multi_items
from werkzeug.formparser import FormDataParser
from werkzeug.routing import PathConverter, Rule, UnicodeConverter

from app.protocol.lenient import clean_text
from app.sentry import UNHANDLED_LOGGER, UNTRACED_PATHS
from app.web import access, static_files
from app.web.observer import STARTED
from app.web.sessions import Sessions
from app.web.templating import Environment
from config import Config

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        # Bootstrap's style sheet draws its arrows and ticks from data: URLs.
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)


# What Werkzeug leaves as it is in a query.
QUERY_SAFE = "!$'()*,/:;?@"


class LazyRule(Rule):
    """A route that compiles its URL builder when the first URL is built.

    Werkzeug compiles two functions for each route in advance. For all routes that is 50 of the
    60 ms of CPU that creating an application takes, and a process builds URLs of few routes.
    """

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        compile = super()._compile_builder
        compiled: list[Callable[..., tuple[str, str]]] = []

        def build(rule: Rule, /, **values: Any) -> tuple[str, str]:
            if not compiled:
                compiled.append(compile(append_unknown))
            return compiled[0](rule, **values)

        return build


class SimpleUrl(NamedTuple):
    """A route with at most one variable, which is a number or a word.

    :param name: the name of the variable, empty if there is none.
    """

    before: str
    kind: type
    name: str
    after: str

    def path(self, values: dict[str, Any]) -> str | None:
        """Return the path with a value, ``None`` if the value needs Werkzeug's care."""
        text, rest = "", values
        if self.name:
            rest = dict(values)
            value = rest.pop(self.name, None)
            text = str(value) if type(value) is self.kind else ""
            if not (text.isalnum() and text.isascii()):  # So a negative number is left to Werkzeug.
                return None
        if not all(type(rest[name]) in (str, int) and name[0] != "_" for name in rest):
            return None  # A list stands for several parameters, and _anchor for none.
        query = f"?{urlencode(rest, safe=QUERY_SAFE)}" if rest else ""
        return f"{self.before}{text}{self.after}{query}"


def simple_url(rule: str) -> SimpleUrl | None:
    """Return the parts of a route, ``None`` if it has several variables or one of another kind."""
    found = re.fullmatch(r"([^<]*)(?:<(int:)?(\w+)>([^<]*))?", rule)
    if found is None:
        return None
    before, is_number, name, after = found.groups()
    return SimpleUrl(before, int if is_number else str, name or "", after or "")


class Segment(UnicodeConverter):
    """A part of a path, as a text that a database takes: PostgreSQL refuses NUL."""

    def to_python(self, value: str) -> str:
        """Return the text; one that no row can have finds none, as any other unknown one."""
        return clean_text(value)


class Segments(PathConverter):
    """Several parts of a path, as a text that a database takes."""

    def to_python(self, value: str) -> str:
        """Return the text."""
        return clean_text(value)


class Parameters(ImmutableMultiDict[str, str]):
    """Parameters of an address or a form; Werkzeug makes an exception for each that is missing."""

    def get(  # type: ignore[override]  # not in three overloads
        self, key: str, default: Any = None, type: Any = None
    ) -> Any:
        """Return the first value of a parameter, or the default."""
        return super().get(key, default, type) if key in self else default


class FormFields(Parameters):
    """The fields of a form, as texts that a database takes. Files are fields, too."""

    def __init__(self, fields: Iterable[tuple[str, Any]] = ()) -> None:
        super().__init__(
            [
                (name, clean_text(value) if isinstance(value, str) else value)
                for name, value in iter_multi_items(fields)
            ]
        )


class PageRequest(Request):
    """A request of a page, which asks for a dozen parameters that most addresses lack."""

    parameter_storage_class = Parameters

    def make_form_data_parser(self) -> FormDataParser:
        """Return the parser of a form, whose fields a database takes."""
        parser = super().make_form_data_parser()
        parser.cls = FormFields
        return parser


class App(Flask):
    """Flask, with the SDK's middleware only for requests that it should trace, and fast URLs."""

    url_rule_class = LazyRule
    jinja_environment = Environment
    request_class = PageRequest
    session_interface = Sessions()

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.url_map.converters |= {"default": Segment, "string": Segment, "path": Segments}
        self._simple_urls: dict[str, SimpleUrl | None] = {}
        self._static_prefixes: dict[str, str] = {}

    def url_for(self, endpoint: str, **values: Any) -> str:
        """Return the URL of an endpoint.

        A list has fifty links, most to one endpoint. Werkzeug takes 6 µs for each of them, and this
        takes 1 µs for routes without variables, or with one that is a number or a plain word, and
        some more for a query. Six links of every page are of static files, which took 15 µs each.
        """
        # flask.url_for() passes all of its options, as None.
        values = {name: value for name, value in values.items() if value is not None}
        simple = self._simple_url(endpoint)
        path = simple.path(values) if simple is not None else self._static_path(endpoint, values)
        if path is None or not has_request_context():
            return super().url_for(endpoint, **values)
        prefix: str = request.environ.get("SCRIPT_NAME", "")
        return f"{prefix.rstrip('/')}{path}" if prefix else path

    def _simple_url(self, endpoint: str) -> SimpleUrl | None:
        if endpoint not in self._simple_urls:
            rules = [rule for rule in self.url_map.iter_rules() if rule.endpoint == endpoint]
            self._simple_urls[endpoint] = simple_url(rules[0].rule) if len(rules) == 1 else None
        return self._simple_urls[endpoint]

    def _static_path(self, endpoint: str, values: dict[str, Any]) -> str | None:
        """Return the path of a static file; every page has six of them."""
        folder = static_files.folder_of(self, endpoint)
        if folder is None or values.keys() != {"filename"}:
            return None
        prefix = self._static_prefix(endpoint)
        return static_files.path_of(folder, prefix, str(values["filename"]))

    def _static_prefix(self, endpoint: str) -> str:
        if endpoint not in self._static_prefixes:
            rule = next(self.url_map.iter_rules(endpoint)).rule
            self._static_prefixes[endpoint] = rule.removesuffix("<path:filename>")
        return self._static_prefixes[endpoint]

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve a request. Probes and static files are neither traced nor counted."""
        if UNTRACED_PATHS.match(environ.get("PATH_INFO", "")) or self._may_be_tunnel(environ):
            return self.wsgi_app(environ, start_response)
        environ[STARTED] = time.perf_counter()
        return super().__call__(environ, start_response)

    def _may_be_tunnel(self, environ: WSGIEnvironment) -> bool:
        # See app.ingest: an envelope may be sent to any path of one segment that has no route.
        path = environ.get("PATH_INFO", "").rstrip("/")
        if environ["REQUEST_METHOD"] != "POST" or path.count("/") != 1:
            return False
        return not self.url_map.bind("").test(path, method="POST")

    def log_exception(self, exc_info: Any) -> None:
        """Log an unhandled error, to a logger that the SDK ignores.

        The error was captured when it was raised. Building its event again, only to drop it as a
        duplicate, took a third of the time of a failing request.
        """
        where = f"{request.method} {request.path}"
        logging.getLogger(UNHANDLED_LOGGER).error("unhandled error: %s", where, exc_info=exc_info)


def flask_settings(config: Config) -> dict[str, Any]:
    """Return the settings of Flask and its extensions."""
    return {
        "TESTING": config.testing,
        "SECRET_KEY": config.SECRET_KEY,
        # Our 500 handler answers in every environment. "debug" is the SDK's output, not Flask's.
        "PROPAGATE_EXCEPTIONS": False,
        "MAX_CONTENT_LENGTH": 1024 * 1024,
        "SESSION_COOKIE_NAME": "devenviro_session",
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        # Not by environment, because login must work in a container at http://localhost.
        "SESSION_COOKIE_SECURE": config.public_url.startswith("https:"),
        "PERMANENT_SESSION_LIFETIME": timedelta(hours=12),
        "WTF_CSRF_TIME_LIMIT": None,  # As long as the session.
        "BOOTSTRAP_SERVE_LOCAL": True,
    }


def init_app(app: Flask) -> None:
    """Register the headers of every answer, static files, and the redirect of ``/``."""
    app.after_request(_secure)
    static_files.init_app(app)

    @app.get("/")
    @access.anyone
    def index() -> ResponseReturnValue:
        return redirect(url_for("admin.start"))


def _secure(response: Response) -> Response:
    response.headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "same-origin")
    response.headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
    if request.endpoint not in access.OPEN_ENDPOINTS:
        response.headers.setdefault("Cache-Control", "no-store")
    return response


def kept_secret(path: Path) -> str:
    """Return a secret that is kept across restarts and is the same in every process.

    :param path: the file of the secret. It is created if it does not exist.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            _write_once(path, secrets.token_urlsafe(48))
        return path.read_text()
    except OSError:
        return secrets.token_urlsafe(48)  # Sessions end with the process, but it can start.


def _write_once(path: Path, text: str) -> None:
    # The file is written completely or not at all. The first process wins: link() never replaces.
    part = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    try:
        os.link(part, path)
    except FileExistsError:
        pass
    finally:
        part.unlink()
