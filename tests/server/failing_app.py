"""The application whose batches fail as the file ``fails`` says: with an error, or the thread."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from app.ingest.direct import DirectDoor
from app.server.batches import Answer, Complete
from wsgi import app

__all__ = ["app"]

FAILS = Path(os.environ["FAILS"])
_answer = DirectDoor.answer


def _failing(self: DirectDoor, requests: Iterable[Complete]) -> list[Answer | None]:
    answers = _answer(self, requests)
    if not FAILS.exists():
        return answers
    raise {"error": ValueError, "thread": SystemExit}[FAILS.read_text()]


DirectDoor.answer = _failing  # type: ignore[method-assign]
