"""A run in a thread of the server, for pages and the API: they answer at once and show progress.

The identifier is only in the memory of this process. If the process ends before the run does, the
run is shown as stopped, and somebody has to start it again.
"""

from __future__ import annotations

import logging
import threading

from app.accounts import audit
from app.erasing import run
from app.erasing.identifier import Identifier
from app.web.current import current_destinations, current_intake, current_store, part

log = logging.getLogger("app.tracker")


def places_here() -> run.Places:
    """Return where the current application has personal data."""
    memories = part("memories")  # Loaded when a memory has to be removed.
    return run.Places(
        current_store(),
        current_destinations(),
        current_intake().emergency,
        lambda: memories.get().index.identity,
    )


def start(identifier: Identifier, secret: str, *, is_dry: bool) -> int:
    """Begin a run in the background and return its id.

    :param secret: the key of the hash of the identifier.
    :raise app.erasing.records.ErasingAlready: another run has not ended.
    """
    caller = audit.current_caller()
    begun = run.begin(places_here(), identifier, secret, caller.actor, is_dry=is_dry)
    work = threading.Thread(target=_work, args=(begun, caller), name="erasing", daemon=True)
    work.start()
    return begun.id


def _work(begun: run.Run, caller: audit.Caller) -> None:
    try:
        with audit.acting(caller):
            begun.finish()
    except Exception as error:
        # Not the text of the error, which may have a value of the statement that failed.
        log.error("run %d of erasing failed: %s", begun.id, type(error).__name__)
