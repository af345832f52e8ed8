"""How several writers share a transaction.

:class:`GroupCommit` is for callers that wait for the result. The first caller becomes the leader
and commits for everyone who arrived in the meantime. The others are woken when their result is
ready, or when they become the leader. It uses a lock and a list, and no thread that a fork could
lose.

:class:`Buffer` is for callers that do not wait. It is a bounded queue. A thread, started by the
first caller that needs it, empties the queue at least once a second.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from app.store import StoreBusy, StoreError

# Keeps a transaction well below the 200 ms that a capture may wait: 100 events take about 60 ms on
# SQLite.
MAX_BATCH = 100
# The seconds an item of a Buffer may stay in memory.
PERIOD_S = 1.0


T = TypeVar("T")
R = TypeVar("R")


def _held() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock


@dataclass(slots=True, eq=False)
class _Ticket(Generic[T, R]):
    """An item and its result.

    :param leads: whether the caller of this item has to commit for everyone who waits.
    :param call: a lock, held until the caller has to act: lead, or return the result.
    """

    item: T
    leads: bool = False
    result: R | None = None
    error: Exception | None = None
    settled: bool = False
    call: threading.Lock = field(default_factory=_held)

    def settle(self, result: R | None = None, error: Exception | None = None) -> None:
        self.result, self.error, self.settled = result, error, True
        self.call.release()


class GroupCommit(Generic[T, R]):
    """Combine the items of many waiting callers into few transactions.

    :param commit: a function that takes another function, ``take``, and the seconds that it may
        wait for the store. It calls ``take`` after it has acquired the store, so that items that
        arrived during the wait are included. It commits the returned items in one transaction, and
        returns one result for each, in order.
    """

    def __init__(self, commit: Callable[[Callable[[], list[T]], float], list[R]]) -> None:
        self._commit = commit
        self._mutex = threading.Lock()
        self._is_led = False
        self._waiting: list[_Ticket[T, R]] = []

    def submit(self, item: T, timeout_s: float) -> R:
        """Wait until the item is committed and return its result.

        :param timeout_s: seconds to wait at most.
        :raise StoreError: the item was not committed in time, or could not be committed.
        """
        (outcome,) = self.submit_all([item], timeout_s)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def submit_all(self, items: list[T], timeout_s: float) -> list[R | Exception]:
        """Wait until the items are committed. They usually share one transaction.

        :return: for each item, its result or the error with which it was not committed.
        """
        tickets: list[_Ticket[T, R]] = [_Ticket(item) for item in items]
        deadline = time.monotonic() + timeout_s
        with self._mutex:
            self._waiting += tickets
            for ticket in tickets[:1]:
                ticket.leads, self._is_led = not self._is_led, True
        return [self._outcome_by(deadline, ticket) for ticket in tickets]

    def _outcome_by(self, deadline: float, ticket: _Ticket[T, R]) -> R | Exception:
        # Each caller waits on its own lock. In a queue for one shared lock, callers whose result is
        # ready would wait for the next leader, and so would their clients.
        if ticket.leads or self._is_called(ticket, max(0.0, deadline - time.monotonic())):
            try:
                self._lead(ticket, max(0.0, deadline - time.monotonic()))
            finally:
                self._hand_on(ticket)
        return self._outcome(ticket)

    def _is_called(self, ticket: _Ticket[T, R], timeout_s: float) -> bool:
        """Wait, and return whether this caller has to lead."""
        is_called = ticket.call.acquire(timeout=timeout_s)
        with self._mutex:
            if not ticket.leads and ticket in self._waiting:
                self._waiting.remove(ticket)
        if ticket.leads and not is_called:
            # The call came just after the wait ended. It has to be taken, since the result is
            # announced with the same lock.
            ticket.call.acquire()
        return ticket.leads

    def _hand_on(self, own: _Ticket[T, R]) -> None:
        with self._mutex:
            if own in self._waiting:
                self._waiting.remove(own)
            if not self._waiting:
                self._is_led = False
                return
            successor = self._waiting[0]
            successor.leads = True
        successor.call.release()

    def _outcome(self, ticket: _Ticket[T, R]) -> R | Exception:
        if ticket.error is not None:
            return ticket.error
        if not ticket.settled:
            # A leader may still commit it. A caller that stores it elsewhere relies on the uid.
            return StoreBusy("the store is busy: no turn within the bounded wait")
        return ticket.result  # type: ignore[return-value]  # settled without an error

    def _lead(self, own: _Ticket[T, R], timeout_s: float) -> None:
        batch: list[_Ticket[T, R]] = []

        def take() -> list[T]:
            with self._mutex:
                batch[:], self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
            return [ticket.item for ticket in batch]

        try:
            results = self._commit(take, timeout_s)
        except StoreBusy as error:
            # The other callers may have more time left, so only this one fails.
            _fail(batch or [own], error)
        except StoreError as error:
            if not batch:
                take()
            _fail(batch, error)
        except Exception as error:
            # One item may cause the error. Commit each item alone, so that the others do not fail.
            if len(batch) <= 1:
                _fail(batch or [own], error)
            for ticket in batch if len(batch) > 1 else ():
                self._alone(ticket, timeout_s)
        else:
            for ticket, result in zip(batch, results, strict=True):
                ticket.settle(result)

    def _alone(self, ticket: _Ticket[T, R], timeout_s: float) -> None:
        try:
            ticket.settle(self._commit(lambda: [ticket.item], timeout_s)[0])
        except Exception as error:
            ticket.settle(error=error)


def _fail(batch: list[_Ticket[T, R]], error: Exception) -> None:
    for ticket in batch:
        ticket.settle(error=error)


class Buffer(Generic[T]):
    """A bounded queue that a separate thread empties in batches.

    :param drain: called with up to :data:`MAX_BATCH` items. It raises :class:`StoreError` to keep
        them in the queue for the next run.
    :param settle: called when the queue is empty. It raises :class:`StoreError` to be called again.
    :param limit: the number of items the queue may hold. When it is full, new items are refused.
    :param name: the name of the thread.
    """

    def __init__(
        self,
        drain: Callable[[list[T]], None],
        settle: Callable[[], object] = lambda: None,
        *,
        limit: int,
        name: str,
    ) -> None:
        self._drain = drain
        self._settle = settle
        self._limit = limit
        self._name = name
        self._items: deque[T] = deque()
        self._mutex = threading.Lock()
        self._draining = threading.Lock()
        self._wanted = threading.Event()
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()

    def offer(self, item: T) -> bool:
        """Queue an item and return ``True``, or return ``False`` when the queue is full."""
        with self._mutex:
            if len(self._items) >= self._limit:
                return False
            self._items.append(item)
        self.wake()
        return True

    def wake(self) -> None:
        """Have the thread empty the queue within a second. Start the thread if it does not run."""
        self._wanted.set()
        if not self._is_running():
            with self._mutex:
                if not self._is_running() and not self._closed.is_set():
                    self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                    self._thread.start()

    @property
    def is_woken(self) -> bool:
        """Whether a run is requested and has not begun. It will include all items queued so far."""
        return self._wanted.is_set()

    def close(self, timeout_s: float = 5.0) -> None:
        """Empty the queue one last time and end the thread.

        :param timeout_s: seconds to wait for the thread.
        """
        self._closed.set()
        self.flush()
        self._wanted.set()
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _is_running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def flush(self) -> bool:
        """Empty the queue now. Return ``False`` if the store could not write the items."""
        with self._draining:
            self._wanted.clear()
            try:
                while self._items:
                    self._drain_once()
                self._settle()
            except StoreError:
                return False
        return True

    def _drain_once(self) -> None:
        with self._mutex:
            batch = [self._items.popleft() for _ in range(min(MAX_BATCH, len(self._items)))]
        try:
            self._drain(batch)
        except StoreError:
            with self._mutex:
                self._items.extendleft(reversed(batch))
            raise

    def _run(self) -> None:
        while not self._closed.is_set():
            self._wanted.wait()
            self._closed.wait(PERIOD_S)
            if not self.flush():
                self._wanted.set()
