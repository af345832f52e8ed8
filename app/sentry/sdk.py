"""Sentry: the setup of the SDK, and the functions that other code calls.

    capture_* ── sentry_sdk ── LocalTransport ── intake: stored on the disk ── sent to Sentry

The SDK always captures every error. Sampling for Sentry happens after an error is stored, so the
local counts stay correct. The SDK samples traces and profiles.
"""

from __future__ import annotations

import logging
import os
import re
import subprocess
import warnings
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import sentry_sdk
from flask import has_request_context, request
from sentry_sdk.envelope import Envelope as SdkEnvelope
from sentry_sdk.envelope import Item as SdkItem
from sentry_sdk.integrations.dedupe import DedupeIntegration
from sentry_sdk.integrations.flask import FlaskIntegration
from sentry_sdk.integrations.logging import (
    LoggingIntegration,
    ignore_logger,
    ignore_logger_for_sentry_logs,
)
from sentry_sdk.integrations.sqlalchemy import SqlalchemyIntegration
from sentry_sdk.scope import add_global_event_processor
from sentry_sdk.transport import Transport

from app.intake import Intake
from app.protocol.caller import read_address
from app.protocol.envelope import Envelope, Item
from app.protocol.request_headers import keep_known_headers
from app.protocol.scrubbing.known import named_secrets
from app.store.recording import is_recording
from config import ROOT, VERSION, Config, load_config

log = logging.getLogger("app.tracker")

Filter = Callable[[dict[str, Any], dict[str, Any]], "dict[str, Any] | None"]

# Envelopes with these items are on the disk before the call returns. All others of this application
# are stored within a second.
DURABLE_ITEMS = frozenset({"event", "feedback", "check_in"})
# The logger of unhandled errors. These errors are already captured.
UNHANDLED_LOGGER = "app.unhandled"
# The ingest routes, to which other programs send their envelopes.
INGEST_PATHS = re.compile(
    r"(?:/.*)?/api/(?:[^/]+/)?(?:envelope|store|security)/?$|/tunnel/?$"
    r"|/api/[^/]+/cron/[^/]+/[^/]+/?$"
)
# Routes whose bodies name the person who is to be erased (app.erasing).
PRIVATE_PATHS = re.compile(r"/(?:admin|api)/erasures(?:/|$)")
# Internal and private routes: they are neither traced nor counted as sessions.
UNTRACED_PATHS = re.compile(
    r"/(?:static|bootstrap|health|admin/live)(?:/|$)"
    rf"|{INGEST_PATHS.pattern}|{PRIVATE_PATHS.pattern}"
)
# The attribute of an exception that holds the id of its event. An exception that is first logged
# and then raised makes one event.
_MARK = "_devenviro_event"

# The secrets of the event that this context is capturing.
_known_secrets: ContextVar[frozenset[str]] = ContextVar("known_secrets", default=frozenset())
_filters: list[Filter] = []
_defaults: Config | None = None
_intake: Intake | None = None


class LocalTransport(Transport):
    """Passes every envelope of the SDK to the intake and never raises.

    The SDK gets an instance, because it ignores a transport class when there is no DSN.
    """

    def __init__(self, intake: Intake | None) -> None:
        super().__init__()
        self._intake = intake

    def capture_envelope(self, envelope: SdkEnvelope) -> None:
        """Store an envelope: events before this returns, other items with the next batch."""
        if self._intake is None:
            return
        try:
            own = _own_envelope(envelope)
            durable = not DURABLE_ITEMS.isdisjoint(own.item_types)
        except Exception:
            log.exception("an envelope of the SDK could not be read")
            return
        if durable:
            self._intake.capture(own, _known_secrets.get())
        else:
            self._intake.offer(own)

    def flush(self, timeout: float, callback: Any | None = None) -> None:
        """Store the envelopes that wait for a batch; the forwarder then sends them to Sentry."""
        if self._intake is not None:
            self._intake.flush()


def connect(config: Config, intake: Intake) -> None:
    """Set the intake that gets the envelopes, and the defaults of :func:`init_sentry`."""
    global _defaults, _intake
    _defaults, _intake = config, intake


def init_sentry(
    *,
    dsn: str | None = None,
    environment: str | None = None,
    sample_rate: float | None = None,
    enable_tracing: bool | None = None,
    enable_profiling: bool | None = None,
    debug: bool | None = None,
) -> None:
    """Set up the SDK. Arguments that are not given come from the configuration.

    :param dsn: the destination of the errors; without a DSN they stay in the store.
    :param sample_rate: the share of errors that are sent to Sentry, 0 to 1; all errors are stored.
    :param enable_tracing: ``False`` switches tracing off; else the configured rate is used.
    :param enable_profiling: the same for profiles.
    :param debug: whether the SDK prints debug output to stderr.
    """
    config = _defaults or load_config()
    dsn = config.SENTRY_DSN if dsn is None else dsn
    tracing = enable_tracing is not False and config.SENTRY_TRACES_SAMPLE_RATE > 0
    profiling = enable_profiling is not False and config.SENTRY_PROFILES_SAMPLE_RATE > 0
    is_debug = config.SENTRY_DEBUG if debug is None else debug
    with warnings.catch_warnings():
        # The new options that replace these two switch the SDK's scrubber off, and are not ready.
        warnings.filterwarnings("ignore", message="The send_default_pii option is deprecated")
        warnings.filterwarnings("ignore", message="Transaction-based profiling is deprecated")
        sentry_sdk.init(
            # An empty string: for None the SDK would read SENTRY_DSN itself.
            dsn=dsn or "",
            environment=environment or config.ENVIRONMENT,
            release=find_release(config),
            debug=is_debug,
            sample_rate=1.0,
            traces_sampler=_traces_sampler(config.SENTRY_TRACES_SAMPLE_RATE) if tracing else None,
            profiles_sample_rate=(
                config.SENTRY_PROFILES_SAMPLE_RATE if tracing and profiling else None
            ),
            send_default_pii=config.SENTRY_SEND_PII,
            max_request_body_size="medium" if config.SENTRY_SEND_PII else "never",
            enable_logs=config.SENTRY_LOGS,
            before_send_log=before_send_log,
            before_send=before_send,  # type: ignore[arg-type]  # events are plain dicts to us
            transport=LocalTransport(_intake),
            project_root=str(ROOT),
            integrations=[FlaskIntegration(), LoggingIntegration()],
            # The auto-enabling integrations import every library they know, if it is installed.
            # HTTPX and Hugging Face, which only memories need, took 0.16 s of CPU and 12 MB at each
            # start.
            auto_enabling_integrations=False,
            # DedupeIntegration remembers only the last exception. It also drops an exception object
            # that is raised again in the next request. before_send handles both cases correctly.
            # SqlalchemyIntegration would add our own queries to the breadcrumbs of the application.
            disabled_integrations=[DedupeIntegration(), SqlalchemyIntegration()],
        )
    # The SDK writes a debug message for each request, which a filter then drops.
    logging.getLogger("sentry_sdk.errors").setLevel(logging.DEBUG if is_debug else logging.WARNING)
    ignore_logger("app.tracker")
    ignore_logger(UNHANDLED_LOGGER)
    # Lines about storing lines would make more lines.
    ignore_logger_for_sentry_logs("app.tracker")
    if _intake is not None:
        rate = config.SENTRY_SAMPLE_RATE if sample_rate is None else sample_rate
        _intake.destinations.own_dsn, _intake.destinations.sample_rate = dsn or None, rate


def find_release(config: Config) -> str:
    """Return ``SENTRY_RELEASE``, or the git commit, or the release that the image was built from.

    Without any of them, return the name and the version of this application.
    """
    if config.SENTRY_RELEASE:
        return config.SENTRY_RELEASE
    return _git_commit(ROOT) or os.environ.get("BUILD_RELEASE") or f"devenviro@{VERSION}"


def _git_commit(folder: Path) -> str | None:
    if not (folder / ".git").exists():
        return None
    try:
        done = subprocess.run(  # noqa: S603 -- no input of anybody's
            ["git", "-C", str(folder), "rev-parse", "HEAD"],  # noqa: S607 -- wherever git is
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


# ---- what other code uses -----------------------------------------------------------------------


def capture_message(text: str, level: str = "info") -> str | None:
    """Record a message and return its event id."""
    return sentry_sdk.capture_message(text, level=level)  # type: ignore[arg-type]


def capture_exception(
    e: BaseException, custom_context: Mapping[str, Any] | None = None
) -> str | None:
    """Record an exception and return its event id.

    :param custom_context: facts to show on the event as the context ``custom``.
    :return: for an exception that is already recorded, the id of its first event.
    """
    with sentry_sdk.new_scope() as scope:
        if custom_context:
            scope.set_context("custom", dict(custom_context))
        return sentry_sdk.capture_exception(e) or event_id_of(e)


def set_user_context(
    user_id: str | int, username: str | None = None, email: str | None = None
) -> None:
    """Set the user on the events of this request."""
    user = {"id": str(user_id), "username": username, "email": email}
    sentry_sdk.set_user({key: value for key, value in user.items() if value is not None})


def set_tag(key: str, value: str) -> None:
    """Set a tag on the events of this request."""
    sentry_sdk.set_tag(key, value)


def set_fingerprint(parts: list[str]) -> None:
    """Set the fingerprint on the events of this request."""
    sentry_sdk.get_isolation_scope().fingerprint = parts


def set_context(key: str, value: Mapping[str, Any]) -> None:
    """Set a context with structured facts on the events of this request."""
    sentry_sdk.set_context(key, dict(value))


def add_filter(function: Filter) -> Filter:
    """Add a filter that sees every event before it is stored; usable as a decorator.

    :param function: takes the event and the hint of the SDK. It returns the event, changed or not,
        or ``None`` to drop the event. A filter that raises is skipped: its bug must lose no event.
    """
    _filters.append(function)
    return function


def remove_filter(function: Filter) -> None:
    """Remove a filter that :func:`add_filter` added."""
    _filters.remove(function)


def reraises() -> bool:
    """Return whether errors inside the error tracker are raised, as they are in tests."""
    return _defaults is not None and _defaults.testing


def event_id_of(e: BaseException | None) -> str | None:
    """Return the id of the event of an exception, or ``None`` if it is not recorded."""
    mark = getattr(e, "__dict__", {}).get(_MARK)
    return mark[1] if mark else None


# ---- hooks of the SDK ---------------------------------------------------------------------------


@add_global_event_processor
def _drop_recorded(event: Any, hint: dict[str, Any]) -> Any:
    # An event processor, because these run before the SDK serialises the event.
    exception = (hint.get("exc_info") or (None, None))[1]
    return None if exception is not None and _is_marked(exception) else event


@add_global_event_processor
def _note_secrets(event: Any, hint: dict[str, Any]) -> Any:
    # This runs before the SDK's scrubber, which removes the values that are needed to find copies
    # of a secret.
    if _intake is not None:
        try:
            values = event.get("exception", {}).get("values", [])
            frames = [
                frame
                for value in values
                for frame in (value.get("stacktrace") or {}).get("frames", [])
            ]
            noted = [frame.get("vars") for frame in frames] + [event.get("request")]
            _known_secrets.set(frozenset(named_secrets(noted, _intake.scrubber, depth=6)))
        except Exception:
            log.exception("the secrets of an event could not be noted")
    return event


def _with_caller(event: dict[str, Any]) -> dict[str, Any]:
    # The processor of the SDK runs late and trusts any X-Forwarded-For header. Flask has the
    # address that TRUSTED_PROXIES allows.
    user = event.get("user")
    if has_request_context() and isinstance(user, dict) and "ip_address" in user:
        return {**event, "user": {**user, "ip_address": read_address(request.remote_addr)}}
    return event


def before_send(event: dict[str, Any], hint: dict[str, Any]) -> dict[str, Any] | None:
    """Apply the filters to an event, and mark its exception as recorded; the SDK calls this."""
    exception = (hint.get("exc_info") or (None, None))[1]
    filtered = _filtered(_without_private(_with_caller(event)), hint)
    if filtered is not None and exception is not None:
        exception.__dict__[_MARK] = (_scope_token(), str(filtered.get("event_id")))
    return filtered


def before_send_log(line: Any, hint: dict[str, Any]) -> Any:
    """Return a line of a log, ``None`` for those of the tracker and of private routes."""
    is_private = has_request_context() and PRIVATE_PATHS.match(request.path)
    return None if is_recording() or is_private else line


def _without_private(event: dict[str, Any]) -> dict[str, Any]:
    """Return an event of a private route without what was sent: no body, no local variables."""
    if not has_request_context() or not PRIVATE_PATHS.match(request.path):
        return event
    for error in (event.get("exception") or {}).get("values") or ():
        for frame in (error.get("stacktrace") or {}).get("frames") or ():
            frame.pop("vars", None)
    return {**event, "request": {**(event.get("request") or {}), "data": None}}


def _filtered(event: dict[str, Any], hint: dict[str, Any]) -> dict[str, Any] | None:
    for function in _filters:
        try:
            result = function(event, hint)
        except Exception:
            log.exception("a filter failed and was skipped: %r", function)
            continue
        if result is None:
            return None
        event = result
    return event


def _is_marked(exception: BaseException) -> bool:
    # Only within one scope it is the same occurrence. When another request raises the same object
    # again (for example a constant of a module), it is a new occurrence.
    mark = exception.__dict__.get(_MARK)
    return mark is not None and mark[0] == _scope_token()


def _scope_token() -> str:
    return sentry_sdk.get_isolation_scope().get_active_propagation_context().span_id


def _traces_sampler(rate: float) -> Callable[[dict[str, Any]], float]:
    def sample(context: dict[str, Any]) -> float:
        path = (context.get("wsgi_environ") or {}).get("PATH_INFO", "")
        if UNTRACED_PATHS.match(path):
            return 0.0
        parent = context.get("parent_sampled")
        return rate if parent is None else float(parent)

    return sample


def _own_envelope(envelope: SdkEnvelope) -> Envelope:
    """Return our envelope for an envelope of the SDK, without serialising its payloads."""
    return Envelope(dict(envelope.headers), [_own_item(item) for item in envelope.items])


def _own_item(item: SdkItem) -> Item:
    payload = item.payload.json
    if payload is not None:
        payload = keep_known_headers(payload)
    return Item(dict(item.headers), item.get_bytes() if payload is None else payload)


def flush(timeout_s: float = 2.0) -> None:
    """Wait until everything captured so far is stored."""
    sentry_sdk.flush(timeout=timeout_s)
