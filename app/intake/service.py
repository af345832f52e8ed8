"""The intake: the only way for an envelope into the store.

    1. prepare   scrub, parse, group; pure, on the caller's thread
    2. submit    one transaction for all callers that wait (group commit), synced to the disk
    3. only then the caller continues, and the forwarder is woken

Errors of this application come through :meth:`Intake.capture`, which never raises. If the store
does not write an envelope within a bounded wait, the scrubbed envelope goes to the emergency
folder, and is recovered from there automatically. Envelopes of other programs come through
:meth:`Intake.accept`, which raises, so that the ingest routes answer 503.
"""

from __future__ import annotations

import base64
import logging
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime

from app.delivery import accounting
from app.delivery.destinations import Destinations
from app.intake.batching import Buffer, GroupCommit
from app.intake.commit import commit_batch
from app.intake.emergency import EmergencyFolder, Waiting
from app.intake.prepared import Accepted, Prepared
from app.intake.preparing import Preparer
from app.intake.remembered import Remembered, see_releases
from app.intake.store_bound import StoreBound
from app.issues.rulebook import RuleBook
from app.projects import OWN_PROJECT_ID
from app.projects.quotas import refusal_counter
from app.protocol.caller import Caller
from app.protocol.envelope import Envelope
from app.protocol.scrub import Scrubber
from app.protocol.scrubbing.envelopes import Attachments
from app.protocol.sdk_name import read_sdk
from app.protocol.transaction import Timing
from app.stats.losses import REFUSED, UNREAD, Lost, WaitingLosses, tally_of
from app.stats.months import category_of_items
from app.stats.observations import Observations
from app.stats.releases import release_of
from app.store import Store, StoreBusy, StoreError, utc_now
from app.store.recording import is_recording, recording

# The SDK does not capture this logger, so the tracker never records its own errors.
log = logging.getLogger("app.tracker")

# How long an error of the application may delay the code in which it happened. Code that logs
# inside its own open write transaction waits for itself, so the wait must be bounded.
CAPTURE_WAIT_S = 0.25
# How many transactions, sessions, logs and metrics of the application may wait in memory; about ten
# seconds of a busy process. Further ones are counted and dropped. Errors are never dropped.
BUFFER_LIMIT = 1000


class Intake:
    """Stores envelopes in one store.

    :param destinations: decides which projects' envelopes are forwarded.
    :param max_new_issues: new issues per project and hour; 0 means no limit.
    :param bound: decides which projects may store something. By default every project may.
    :param attachments: whether files are scrubbed, kept unchanged, or not kept.
    :param reraise: in tests, raise a failure inside the tracker instead of logging it only.
    """

    def __init__(
        self,
        store: Store,
        emergency: EmergencyFolder,
        scrubber: Scrubber,
        *,
        destinations: Destinations | None = None,
        max_new_issues: int = 0,
        bound: StoreBound | None = None,
        attachments: Attachments = "scrub",
        reraise: bool = False,
    ) -> None:
        self.store = store
        self.emergency = emergency
        self.destinations = destinations or Destinations()
        # Called after every commit of an envelope to forward. The worker sets it to its wake-up.
        self.stored: Callable[[], object] = lambda: None
        self.scrubber = scrubber
        self.bound = bound or StoreBound(store, 0)
        self._reraise = reraise
        self._committer: GroupCommit[Prepared, Accepted] = GroupCommit(self._commit)
        self._buffer: Buffer[Envelope] = Buffer(
            self._store_offered, self._settle, limit=BUFFER_LIMIT, name="tracker-buffer"
        )
        # Counts that could not be written when they happened. The next commit writes them.
        self._owed = accounting.Tally()
        self.rules = RuleBook(store)
        self._preparer = Preparer(scrubber, self.rules, attachments, self._owed.count)
        self._refused = WaitingLosses()
        self._observed = Observations(OWN_PROJECT_ID)
        self._remembered = Remembered(max_new_issues)

    # ---- entry points ---------------------------------------------------------------------------

    def accept(
        self,
        envelope: Envelope,
        *,
        project_id: int,
        timeout_s: float,
        via: str | None = None,
        quota: int | None = None,
        caller: Caller | None = None,
        uid: str | None = None,
    ) -> Accepted:
        """Store an envelope and return when it is on the disk.

        :param timeout_s: seconds to wait for the store.
        :param via: the instances that forwarded the envelope, separated by commas.
        :param quota: envelopes per minute that its project may send. Beyond the quota nothing is
            stored, and the result has ``refused_until``.
        :param caller: the sender of the envelope.
        :param uid: the unique key of the envelope, 32 hex digits. A second envelope with the same
            key is not stored.
        :raise ShareExceeded: the store is nearly full, and the project exceeds its share of it.
        :raise StoreFull: the store is full.
        :raise StoreError: the envelope is not stored. The caller must not answer that it is.
        """
        self.check_room(project_id, envelope, caller)
        prepared = self.prepare(
            envelope, project_id=project_id, via=via, quota=quota, caller=caller, uid=uid
        )
        (outcome,) = self.store_all([prepared], timeout_s)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def prepare(
        self,
        envelope: Envelope,
        *,
        project_id: int,
        via: str | None = None,
        quota: int | None = None,
        caller: Caller | None = None,
        uid: str | None = None,
        received_at: datetime | None = None,
    ) -> Prepared:
        """Scrub, read and group an envelope, for :meth:`store_all`.

        :param received_at: by default now. Other parameters: :meth:`accept`.
        """
        with recording():
            return self._preparer.of_client(
                envelope,
                project_id,
                caller or Caller(),
                via=via,
                quota=quota,
                uid=uid,
                received_at=received_at,
            )

    def store_all(self, batch: list[Prepared], timeout_s: float) -> list[Accepted | Exception]:
        """Store prepared envelopes and return when all are on the disk, or are refused.

        :param timeout_s: seconds to wait for the store.
        :return: for each envelope, the result, or the error with which it was not stored.
        """
        with recording():
            return self._committer.submit_all(batch, timeout_s)

    def capture(self, envelope: Envelope, known_secrets: frozenset[str] = frozenset()) -> None:
        """Store an event of this application, in the emergency folder if necessary.

        :param known_secrets: values to scrub wherever they occur.
        """
        with recording() as already, self._guarded("capture"):
            if already:
                self._owed.count("recursions")
                return
            prepared = self._preparer.of_application(envelope, known_secrets)
            try:
                if self.store.is_held_here:
                    raise StoreBusy("the store is busy: the code that failed holds it itself")
                self.bound.check(OWN_PROJECT_ID)
                self._committer.submit(prepared, CAPTURE_WAIT_S)
            except Exception as error:
                self._set_aside(prepared, error)

    def offer(self, envelope: Envelope) -> None:
        """Queue a transaction, session, log or metric of this application, to be stored soon."""
        if is_recording() or not self._buffer.offer(envelope):
            self._owed.count("buffer_overflow")

    def count(self, name: str) -> None:
        """Add one to a counter. It is written to the store within a second or two."""
        self._owed.count(name)
        # Check first whether the buffer is woken. In a flood each refusal is counted, and waking
        # the buffer costs more than counting.
        if not self._buffer.is_woken:
            self._buffer.wake()

    def count_refusal(
        self,
        reason: str,
        project_id: int | None,
        envelope: Envelope | None = None,
        caller: Caller | None = None,
    ) -> None:
        """Count an envelope that was refused. It is written within a second or two.

        :param reason: one of :data:`app.projects.quotas.REASONS`.
        :param project_id: ``None`` if the project does not exist.
        :param envelope: ``None`` if it was not read.
        """
        if project_id is not None:
            category = UNREAD if envelope is None else category_of_items(envelope.item_types)
            sdk = read_sdk(envelope, caller or Caller())
            self._refused.add(project_id, Lost(REFUSED, sdk, reason, category))
        self.count(refusal_counter(reason, project_id))

    def observe(self, timing: Timing) -> None:
        """Count a request that this application answered. It is stored within a second or two."""
        if not self._observed.add(timing):
            self._owed.count("buffer_overflow")
        # Check first whether the buffer is woken, because waking it costs more than the rest.
        if not self._buffer.is_woken:
            self._buffer.wake()

    def flush(self) -> None:
        """Store the queued envelopes now."""
        self._buffer.flush()

    def close(self) -> None:
        """Store the queued envelopes and end the thread. ``capture`` still works afterwards."""
        self._buffer.close()

    def recover(self) -> int:
        """Store the envelopes of the emergency folder and return how many there were."""
        taken = 0
        # A command that must not make a store comes here at its end.
        if not self.emergency.count():
            return 0
        if self.bound.is_refused(OWN_PROJECT_ID):
            return 0  # The store has no more room than when they were put in the folder.
        with recording():
            for waiting in self.emergency.waiting():
                taken += self._recover_one(waiting)
        return taken

    def _settle(self) -> None:
        self.recover()
        owed, observed, refused = self._owed.take(), self._observed.take(), self._refused.take()
        if not owed and not observed.tally and not refused:
            return
        try:
            # A power cut may undo this write. These are only counts, and no client waited for them.
            with self.store.write(durable=False) as conn:
                accounting.add(conn, owed + observed.counters)
                now = utc_now()
                self._remembered.measures.add_timings(conn, observed.tally, now)
                self._remembered.losses.add(conn, tally_of(refused), now)
                heard = (release_of(OWN_PROJECT_ID, one) for one in observed.releases)
                see_releases(conn, heard, self._remembered, now)
        except Exception:
            self._owed.give_back(owed)
            self._observed.give_back(observed)
            self._refused.give_back(refused)
            raise

    def _recover_one(self, waiting: Waiting) -> int:
        try:
            restored = self._preparer.restored(waiting)
            self._commit(lambda: [restored], timeout_s=5.0)
        except StoreError:
            raise
        except Exception:
            log.exception("a file of the emergency folder cannot be stored, it stays as .damaged")
            with suppress(OSError):
                self.emergency.quarantine(waiting.path)
            return 0
        try:
            waiting.path.unlink(missing_ok=True)
        except OSError as error:
            # If the file is recovered again, it is the same envelope, and is not stored twice.
            log.warning("a file of the emergency folder cannot be removed: %s", error.strerror)
            return 0
        self._owed.count("emergency:taken_in")
        return 1

    def check_room(
        self, project_id: int, envelope: Envelope | None = None, caller: Caller | None = None
    ) -> None:
        """Check that a project may store something, and count the refusal if it may not.

        :param envelope: what it sends; ``None`` if it was not read yet.

        :raise ShareExceeded: the store is nearly full, and the project exceeds its share of it.
        :raise StoreFull: the store is full.
        """
        with recording():
            try:
                self.bound.check(project_id)
            except StoreError:
                self.count_refusal("store_full", project_id, envelope, caller)
                raise

    # ---- committing -----------------------------------------------------------------------------

    def _commit(self, take: Callable[[], list[Prepared]], timeout_s: float) -> list[Accepted]:
        owed = self._owed.take()
        try:
            with self.store.write(timeout_s) as conn:
                counts = Counter(owed)
                accepted = commit_batch(
                    conn, take(), self.destinations, self._remembered, counts, utc_now()
                )
        except Exception:
            self._owed.give_back(owed)
            raise
        if any(envelope.is_due for envelope in accepted):
            self.stored()
        return accepted

    # ---- when the store cannot write ------------------------------------------------------------

    def _set_aside(self, prepared: Prepared, error: Exception) -> None:
        log.warning("the store did not take an event, it is in the emergency folder: %s", error)
        try:
            self.emergency.put(
                prepared.uid,
                prepared.project_id,
                prepared.received_at,
                prepared.body,
                prepared.receipt,
            )
            self._owed.count("emergency:set_aside")
            self._buffer.wake()
        except OSError as worse:
            # The last resort: write the event to stderr, compressed and scrubbed. A program that
            # collects stderr has it then.
            self._owed.count("emergency:stderr")
            text = base64.b64encode(prepared.packed).decode()
            print(f"devenviro: event on stderr ({worse.strerror}): {text}", file=sys.stderr)

    def _store_offered(self, batch: list[Envelope]) -> None:
        with recording():
            tried = [self._prepare_offered(envelope) for envelope in batch]
            prepared = [one for one in tried if one is not None]
            try:
                if prepared:
                    self._commit(lambda: prepared, timeout_s=5.0)
            except StoreError:
                raise
            except Exception:
                log.exception("transactions or sessions of the application were not stored")
                self._owed.count("internal_errors")

    def _prepare_offered(self, envelope: Envelope) -> Prepared | None:
        with self._guarded("read an envelope"):
            return self._preparer.of_application(envelope)
        return None

    @contextmanager
    def _guarded(self, doing: str) -> Iterator[None]:
        try:
            yield
        except Exception:
            self._owed.count("internal_errors")
            log.exception("the tracker failed to %s", doing)
            if self._reraise:
                raise
