"""Observability of each operation: user, tags, breadcrumb and spans while it runs, metrics and a
log line when it is done. None of them contains the text of a memory.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import sentry_sdk
from sentry_sdk import metrics
from sentry_sdk.consts import OP, SPANDATA
from sentry_sdk.tracing import Span

from app.memory.vectors.errors import VectorError
from app.sentry import ErrorTracker, set_context, set_tag, set_user_context

if TYPE_CHECKING:
    from app.memory.vectors.embedder import Embedder

log = logging.getLogger("app.memory")


@contextmanager
def operation(name: str, user_id: str, **facts: Any) -> Iterator[dict[str, Any]]:
    """Set the context for errors and traces of an operation. Yield a dict for further facts.

    :param name: ``add``, ``search`` …
    :param facts: numbers and ids, never texts.
    """
    facts = {"operation": name, **facts}
    sentry_sdk.get_isolation_scope().add_event_processor(_without_content)
    set_user_context(user_id)
    set_tag("memory.operation", name)
    set_context("memory", facts)
    sentry_sdk.add_breadcrumb(category="memory", message=name, data=dict(facts), level="info")
    began = time.perf_counter()
    with sentry_sdk.start_span(op=f"memory.{name}", name=f"memory {name}"):
        try:
            yield facts
        except Exception as error:
            # Set the context again, with the facts that were added meanwhile.
            set_context("memory", facts)
            _measure(name, began, type(error).__name__)
            raise
    _measure(name, began, "ok")
    log.info("memory %s done", name, extra={"memory": facts})


def report_failure(error: VectorError) -> None:
    """Record that the index or the embedder failed, if the operation goes on without it."""
    # An error that only repeats an earlier failure is not recorded again.
    if not isinstance(error.__cause__, VectorError):
        ErrorTracker().log_error(error)
    log.warning("the index or the embedder of memories failed: %s", error)


@contextmanager
def index_span(system: str, operation: str) -> Iterator[Span]:
    """Create a span for a call of the index.

    Source: https://opentelemetry.io/docs/specs/semconv/database/, 2026-11-26.
    """
    with sentry_sdk.start_span(op=OP.DB, name=f"{operation} memories") as span:
        span.set_data(SPANDATA.DB_SYSTEM, system)
        span.set_data(SPANDATA.DB_SYSTEM_NAME, system)
        span.set_data(SPANDATA.DB_OPERATION_NAME, operation)
        span.set_data("db.collection.name", "memories")
        yield span


@contextmanager
def embedding_span(embedder: Embedder) -> Iterator[Span]:
    """Create a span for embedding a text. The caller adds the number of tokens.

    Source: https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/, 2026-11-26.
    """
    with sentry_sdk.start_span(op=OP.GEN_AI_EMBEDDINGS, name=f"embeddings {embedder.name}") as span:
        span.set_data(SPANDATA.GEN_AI_OPERATION_NAME, "embeddings")
        span.set_data(SPANDATA.GEN_AI_REQUEST_MODEL, embedder.name)
        span.set_data("gen_ai.embeddings.dimension.count", embedder.dims)
        yield span


def note_tokens(span: Span, tokens: int | None) -> None:
    """Record the number of tokens of a text, if it is known."""
    if tokens is not None:
        span.set_data(SPANDATA.GEN_AI_USAGE_INPUT_TOKENS, tokens)
        metrics.count("memory.tokens", tokens)


def _without_content(event: Any, hint: dict[str, Any]) -> Any:
    """Remove what may contain the text of a memory: variables of frames, body and query of the
    request.
    """
    for value in (event.get("exception") or {}).get("values") or ():
        for frame in (value.get("stacktrace") or {}).get("frames") or ():
            frame.pop("vars", None)
    for name in ("data", "query_string"):
        (event.get("request") or {}).pop(name, None)
    return event


def _measure(name: str, began: float, outcome: str) -> None:
    attributes = {"operation": name, "outcome": outcome}
    metrics.count("memory.operations", 1, attributes=attributes)
    ms = (time.perf_counter() - began) * 1000
    metrics.distribution("memory.duration", ms, unit="millisecond", attributes=attributes)
