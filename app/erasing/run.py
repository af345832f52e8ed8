"""A run: look through every place where personal data is, in one order, and report.

count    what would be erased; nothing is changed
erase    the same places, changed in short transactions; then the disk; then count again
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from app.delivery.destinations import Destinations
from app.erasing import records
from app.erasing.disk import clean_disk, has_unfinished_restore, raw_hits
from app.erasing.emergency import erase_emergency
from app.erasing.envelopes import count_envelopes, erase_envelopes, note_late_deliveries
from app.erasing.feedback import erase_feedback
from app.erasing.identifier import Identifier
from app.erasing.logs import erase_logs
from app.erasing.memories import erase_memories
from app.erasing.person import Person
from app.erasing.report import Report
from app.erasing.rows import count_rows, erase_rows, note_what_stays
from app.erasing.search import erase_search
from app.erasing.similarity import erase_similarity
from app.erasing.tags import erase_tags
from app.erasing.task import Stopped, Task
from app.erasing.users import erase_users
from app.intake.emergency import EmergencyFolder
from app.store import Store
from app.store.leases import new_owner
from app.store.recording import recording

log = logging.getLogger("app.tracker")

NOTED_EVERY_S = 2.0
DAMAGED = "files of damaged stores lie beside the store and were not searched: delete them"
UNFINISHED = "a restore that was stopped left files beside the store, not searched: delete them"
NOT_TOUCHED = (
    "Backups are not touched, nor is PostgreSQL's write-ahead log or an archive of it.",
    "What Sentry has accepted has to be erased there.",
)

Progress = Callable[[int], None]


@dataclass(frozen=True)
class Places:
    """Where personal data is.

    :param index_name: returns the name of the index of memories, ``None`` without one.
    """

    store: Store
    destinations: Destinations
    emergency: EmergencyFolder
    index_name: Callable[[], str | None]


def size_of(places: Places, *, is_dry: bool) -> int:
    """Return about how many rows and envelopes a run looks through, for a progress bar."""
    task = _task(places, Person(_ANYBODY), is_dry=True)
    return (count_envelopes(task) + count_rows(task)) * (1 if is_dry else 2)


def count(
    places: Places,
    identifier: Identifier,
    progress: Progress = lambda count: None,
    goes_on: Callable[[], bool] = lambda: True,
) -> Report:
    """Count what a run would erase. Nothing is changed.

    :param progress: called with the number of rows and envelopes that were looked through.
    :param goes_on: called between batches; it ends the run by returning ``False``.
    """
    task = _task(places, Person(identifier), is_dry=True)
    task.progress, task.goes_on = progress, goes_on
    with recording():  # An error of this code would be recorded with its local variables.
        _look_through(task, places)
        note_what_stays(task)
    return task.report


def erase(
    places: Places,
    identifier: Identifier,
    progress: Progress = lambda count: None,
    goes_on: Callable[[], bool] = lambda: True,
) -> Report:
    """Erase a person, then look again. The service may go on meanwhile.

    What was accepted before this began is without the person when it ends. If it is stopped, what
    it erased so far is erased; run it again.

    :raise app.erasing.task.Stopped: ``goes_on`` returned ``False``.
    """
    task = _task(places, Person(identifier), is_dry=False)
    task.progress, task.goes_on = progress, goes_on
    with recording():
        _look_through(task, places)
        # An envelope may have been written to the folder while the others were looked through.
        erase_emergency(task, places.emergency)
        note_what_stays(task)
        clean_disk(task)
        note_late_deliveries(task)
        if damaged := places.store.damaged_files():
            task.report.notes.append(f"{len(damaged)} {DAMAGED}")
        if has_unfinished_restore(places.store):
            task.report.note(UNFINISHED)
        # What stays is in the bytes of the file, too.
        raw = 0 if task.report.stays else raw_hits(task)
        task.report.left = _look_again(task, places) + raw
    return task.report


def begin(places: Places, identifier: Identifier, secret: str, actor: str, *, is_dry: bool) -> Run:
    """Begin a run that is noted in the store.

    :param secret: the key of the hash of the identifier that is noted.
    :raise app.erasing.records.ErasingAlready: another run has not ended.
    """
    owner = new_owner()
    id = records.begin(places.store, identifier, secret, actor, owner, is_dry=is_dry)
    log.info("%s began to %s a person (run %d)", actor, "count" if is_dry else "erase", id)
    return Run(places, identifier, id, owner, is_dry)


@dataclass
class Run:
    """A run that is noted in the store; :meth:`finish` does its work."""

    places: Places
    identifier: Identifier
    id: int
    owner: str
    is_dry: bool

    def finish(self, progress: Progress = lambda count: None) -> Report:
        """Do the work, and note how it ended."""
        total, done, noted_at = 0, 0, 0.0

        def advance(count: int) -> None:
            nonlocal done, noted_at
            done += count
            progress(count)
            if time.monotonic() >= noted_at + NOTED_EVERY_S:
                noted_at = time.monotonic()
                records.note_progress(self.places.store, self.id, self.owner, done, total)

        state, report = records.FAILED, Report()
        try:
            total = size_of(self.places, is_dry=self.is_dry)
            report = (count if self.is_dry else erase)(self.places, self.identifier, advance)
            state = records.DONE
        except Stopped:
            state = records.STOPPED
        except Exception as error:
            report.notes.append(f"it failed, and can be run again: {type(error).__name__}")
            raise
        finally:
            records.end(self.places.store, self.id, self.owner, state, report)
        log.info("run %d of erasing ended: %s, %d found", self.id, state, report.found)
        return report


def _task(places: Places, person: Person, *, is_dry: bool) -> Task:
    return Task(places.store, places.destinations, person, is_dry=is_dry)


def _look_through(task: Task, places: Places) -> None:
    erase_emergency(task, places.emergency)
    erase_envelopes(task)
    erase_logs(task)
    erase_feedback(task)
    erase_rows(task)
    erase_tags(task)
    erase_similarity(task)
    erase_users(task)
    erase_memories(task, places.index_name)
    erase_search(task)


def _look_again(task: Task, places: Places) -> int:
    again = _task(places, task.person, is_dry=True)
    again.progress, again.goes_on = task.progress, task.goes_on
    again.identities, again.dids = task.identities, task.dids
    _look_through(again, places)
    # A document of the index may have all words of an identifier from different texts.
    del again.report.counts["search"]
    return again.report.found


# The size of a run does not depend on the person.
_ANYBODY = Identifier.of("user_id", "0")
