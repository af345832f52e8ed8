"""Sentry: how the SDK is set up, and the few verbs that other code uses.

    capture_* ── sentry_sdk ── LocalTransport ── intake: on the disk ── then on its way to Sentry

The SDK always captures every error; how many of them reach Sentry is decided after they are
stored, so that the local counts stay true. Traces and profiles are sampled by the SDK.
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
from sentry_sdk.integrations.logging import LoggingIntegration, ignore_logger
from sentry_sdk.integrations.sqlalchemy import SqlalchemyIntegration
from sentry_sdk.scope import add_global_event_processor
from sentry_sdk.transport import Transport

from app.intake import Intake
from app.protocol.caller import read_address
from app.protocol.envelope import Envelope, Item
from app.protocol.request_headers import keep_known_headers
from app.protocol.scrubbing.known import named_secrets
from config import ROOT, VERSION, Config, load_config

log = logging.getLogger("app.tracker")

Filter = Callable[[dict[str, Any], dict[str, Any]], "dict[str, Any] | None"]

# What waits for the disk; everything else of this application is stored within a second.
DURABLE_ITEMS = frozenset({"event", "feedback", "check_in"})
# Where unhandled errors are logged, which are captured already.
UNHANDLED_LOGGER = "app.unhandled"
# Where other programs report.
INGEST_PATHS = re.compile(r"(?:/.*)?/api/(?:[^/]+/)?(?:envelope|store|security)/?$|/tunnel/?$")
# Our own plumbing: neither traced nor counted as a session.
UNTRACED_PATHS = re.compile(
    rf"/(?:static|bootstrap|health|admin/live)(?:/|$)|{INGEST_PATHS.pattern}"
)
# Where an exception carries the id of its event, so that logging and then raising it is one event.
_MARK = "_devenviro_event"

# The secrets of the event that this context is capturing.
_known_secrets: ContextVar[frozenset[str]] = ContextVar("known_secrets", default=frozenset())
_filters: list[Filter] = []
_defaults: Config | None = None
_intake: Intake | None = None


class LocalTransport(Transport):
    """Gives every envelope of the SDK to the intake and never raises.

    An instance, because the SDK ignores a transport class when there is no DSN.
    """

    def __init__(self, intake: Intake | None) -> None:
        super().__init__()
        self._intake = intake

    def capture_envelope(self, envelope: SdkEnvelope) -> None:
        """Store an envelope: events before returning, the rest soon."""
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
        """Store what still waits for its batch; from the store it reaches Sentry by itself."""
        if self._intake is not None:
            self._intake.flush()


def connect(config: Config, intake: Intake) -> None:
    """Tell this module where envelopes go and what :func:`init_sentry` falls back to."""
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
    """Set up the SDK; what is not given comes from the configuration.

    :param dsn: where errors go in the end; without one they stay in the store.
    :param sample_rate: share of errors that are sent on, 0 to 1; all of them are stored.
    :param enable_tracing: ``True`` at the configured rate, ``False`` not at all.
    :param enable_profiling: the same for profiles.
    :param debug: the SDK's own debug output on stderr.
    """
    config = _defaults or load_config()
    dsn = config.SENTRY_DSN if dsn is None else dsn
    tracing = enable_tracing is not False and config.SENTRY_TRACES_SAMPLE_RATE > 0
    profiling = enable_profiling is not False and config.SENTRY_PROFILES_SAMPLE_RATE > 0
    with warnings.catch_warnings():
        # Successors of these two options switch the SDK's scrubber off, and are not ready.
        warnings.filterwarnings("ignore", message="The send_default_pii option is deprecated")
        warnings.filterwarnings("ignore", message="Transaction-based profiling is deprecated")
        sentry_sdk.init(
            # An empty string, since for None the SDK reads SENTRY_DSN itself.
            dsn=dsn or "",
            environment=environment or config.ENVIRONMENT,
            release=find_release(config),
            debug=config.SENTRY_DEBUG if debug is None else debug,
            sample_rate=1.0,
            traces_sampler=_traces_sampler(config.SENTRY_TRACES_SAMPLE_RATE) if tracing else None,
            profiles_sample_rate=(
                config.SENTRY_PROFILES_SAMPLE_RATE if tracing and profiling else None
            ),
            send_default_pii=config.SENTRY_SEND_PII,
            max_request_body_size="medium" if config.SENTRY_SEND_PII else "never",
            before_send=_before_send,  # type: ignore[arg-type]  # events are plain dicts to us
            transport=LocalTransport(_intake),
            project_root=str(ROOT),
            integrations=[FlaskIntegration(), LoggingIntegration()],
            # They would import every library they know that is installed: HTTPX and Hugging Face,
            # which only memories need, took 0.16 s of CPU and 12 MB at each start.
            auto_enabling_integrations=False,
            # Dedupe forgets an exception as soon as another one passes, and drops a second raise of
            # one object in the next request; _before_send does both right. SQLAlchemy's would put
            # the tracker's own queries among the application's breadcrumbs.
            disabled_integrations=[DedupeIntegration(), SqlalchemyIntegration()],
        )
    ignore_logger("app.tracker")
    ignore_logger(UNHANDLED_LOGGER)
    if _intake is not None:
        rate = config.SENTRY_SAMPLE_RATE if sample_rate is None else sample_rate
        _intake.destinations.own_dsn, _intake.destinations.sample_rate = dsn or None, rate


def find_release(config: Config) -> str:
    """Return ``SENTRY_RELEASE``, else the git commit, else what the image was built from."""
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
    """Record an exception and return its event id, the first one's if it is recorded already.

    :param custom_context: shown on the event as the context ``custom``.
    """
    with sentry_sdk.new_scope() as scope:
        if custom_context:
            scope.set_context("custom", dict(custom_context))
        return sentry_sdk.capture_exception(e) or event_id_of(e)


def set_user_context(
    user_id: str | int, username: str | None = None, email: str | None = None
) -> None:
    """Name the user whom the errors of this request hit."""
    user = {"id": str(user_id), "username": username, "email": email}
    sentry_sdk.set_user({key: value for key, value in user.items() if value is not None})


def set_tag(key: str, value: str) -> None:
    """Put a searchable pair on the events of this request."""
    sentry_sdk.set_tag(key, value)


def set_context(key: str, value: Mapping[str, Any]) -> None:
    """Put structured facts on the events of this request."""
    sentry_sdk.set_context(key, dict(value))


def add_filter(function: Filter) -> Filter:
    """Add a filter that sees every event before it is stored; usable as a decorator.

    :param function: takes the event and the SDK's hint; returns the event, changed or not, or
        ``None`` to drop it. A filter that raises is skipped: its mistake must not cost an event.
    """
    _filters.append(function)
    return function


def remove_filter(function: Filter) -> None:
    """Remove a filter."""
    _filters.remove(function)


def reraises() -> bool:
    """Whether the tracker's own failures are raised, as they are under test."""
    return _defaults is not None and _defaults.testing


def event_id_of(e: BaseException | None) -> str | None:
    """Return the id of the event that this exception was recorded as."""
    mark = getattr(e, "__dict__", {}).get(_MARK)
    return mark[1] if mark else None


# ---- hooks of the SDK ---------------------------------------------------------------------------


@add_global_event_processor
def _drop_recorded(event: Any, hint: dict[str, Any]) -> Any:
    # As an event processor, since those run before the SDK serialises the event.
    exception = (hint.get("exc_info") or (None, None))[1]
    return None if exception is not None and _is_marked(exception) else event


@add_global_event_processor
def _note_secrets(event: Any, hint: dict[str, Any]) -> Any:
    # Before the SDK's scrubber, which takes away what the copies of a secret are found by.
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
    # The SDK's own processor, which runs late, believes X-Forwarded-For whoever wrote it; Flask has
    # the address by TRUSTED_PROXIES.
    user = event.get("user")
    if has_request_context() and isinstance(user, dict) and "ip_address" in user:
        return {**event, "user": {**user, "ip_address": read_address(request.remote_addr)}}
    return event


def _before_send(event: dict[str, Any], hint: dict[str, Any]) -> dict[str, Any] | None:
    exception = (hint.get("exc_info") or (None, None))[1]
    filtered = _filtered(_with_caller(event), hint)
    if filtered is not None and exception is not None:
        exception.__dict__[_MARK] = (_scope_token(), str(filtered.get("event_id")))
    return filtered


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
    # Another request that raises the same object again (a constant of a module, say) met the error
    # anew: only within one scope is it the same occurrence.
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
    """Translate without serialising: the SDK's payloads are JSON-ready already."""
    return Envelope(dict(envelope.headers), [_own_item(item) for item in envelope.items])


def _own_item(item: SdkItem) -> Item:
    payload = item.payload.json
    if payload is not None:
        payload = keep_known_headers(payload)
    return Item(dict(item.headers), item.get_bytes() if payload is None else payload)


def flush(timeout_s: float = 2.0) -> None:
    """Wait until everything captured so far is stored."""
    sentry_sdk.flush(timeout=timeout_s)
