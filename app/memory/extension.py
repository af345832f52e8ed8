"""Registers the memory service with the application.

The registered parts are small. The service itself, with NumPy, the embedder and the index, is
imported and created on its first use, see :func:`current_memories`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from flask import Flask
from flask.typing import ResponseReturnValue

from app.memory import status
from app.memory.commands import memory_group
from app.memory.task import MemoryTask
from app.memory.vectors.errors import VectorError
from app.protocol.scrub import Scrubber
from app.sentry import ErrorTracker, event_id_of
from app.store import Store
from app.web.current import install, register
from app.web.errors import answer_unavailable
from app.web.later import Later
from config import Config

if TYPE_CHECKING:
    from app.memory.service import Memories


def init_app(app: Flask, store: Store, config: Config, scrubber: Scrubber) -> None:
    """Register the service, its errors, commands, task, health check and status section."""
    memories = Later(partial(_make, store, config, scrubber))
    install(app, memories=memories)
    app.register_error_handler(VectorError, answer_vector_error)
    app.cli.add_command(memory_group)
    register(app, "status", vectors=status.section)
    register(app, "tasks", memories=lambda owner: MemoryTask(store, owner, memories.get))
    if config.QDRANT_URL is not None:
        register(app, "checks", vectors=status.check)


def _make(store: Store, config: Config, scrubber: Scrubber) -> Memories:
    from app.memory.service import Memories

    return Memories.of(store, config, scrubber)


def answer_vector_error(error: VectorError) -> ResponseReturnValue:
    """Answer 503 with the id of the event: the embedder or the index does not answer.

    If the error only repeats an earlier failure, the answer has the event id of that failure.
    """
    cause = error.__cause__
    echoes = isinstance(cause, VectorError)
    event_id = event_id_of(cause) if echoes else ErrorTracker().log_error(error)
    return answer_unavailable(str(error), error.retry_after_s, event_id)
