"""How writers share a transaction.

:class:`GroupCommit` is for those who wait: the first becomes the leader and commits for everyone
who came meanwhile, the others are called when their outcome is there, or when it is their turn to
lead. A lock and a list, no thread that a fork could lose. :class:`Buffer` is for those who do not
wait: a bounded queue that a thread, started by the first who needs it, empties at least once a
second.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from app.store import StoreBusy, StoreError

# One transaction stays short enough for the 200 ms that a capture may wait: 100 events take some
# 60 ms on SQLite.
MAX_BATCH = 100
# How long what nobody waits for may stay in memory.
PERIOD_S = 1.0


T = TypeVar("T")
R = TypeVar("R")


def _held() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock


@dataclass(slots=True, eq=False)
class _Ticket(Generic[T, R]):
    """An item and its outcome.

    :param leads: whether its caller is to commit for everyone who waits.
    :param call: held until its caller has something to do: to lead, or to take the outcome.
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
    """Turns many waiting callers into few transactions.

    :param commit: takes a function and the seconds it may wait for the store. It calls the function
        when the store is its own, so that whoever came during the wait comes along; commits what
        that returns in one transaction, and returns one result for each, in order.
    """

    def __init__(self, commit: Callable[[Callable[[], list[T]], float], list[R]]) -> None:
        self._commit = commit
        self._mutex = threading.Lock()
        self._is_led = False
        self._waiting: list[_Ticket[T, R]] = []

    def submit(self, item: T, timeout_s: float) -> R:
        """Wait until the item is committed and return its result.

        :raise StoreError: it was not committed within the time, or could not be.
        """
        ticket: _Ticket[T, R] = _Ticket(item)
        deadline = time.monotonic() + timeout_s
        with self._mutex:
            self._waiting.append(ticket)
            ticket.leads, self._is_led = not self._is_led, True
        # Each is called by itself. In a queue for one lock those whose outcome was there would wait
        # for the next leader, and their answers with them.
        if ticket.leads or self._is_called(ticket, timeout_s):
            try:
                self._lead(ticket, max(0.0, deadline - time.monotonic()))
            finally:
                self._hand_on(ticket)
        return self._outcome(ticket)

    def _is_called(self, ticket: _Ticket[T, R], timeout_s: float) -> bool:
        """Wait; return whether it is this one's turn to lead."""
        ticket.call.acquire(timeout=timeout_s)
        with self._mutex:
            if not ticket.leads and ticket in self._waiting:
                self._waiting.remove(ticket)
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

    def _outcome(self, ticket: _Ticket[T, R]) -> R:
        if ticket.error is not None:
            raise ticket.error
        if not ticket.settled:
            # A leader may still commit it; whoever stores it elsewhere relies on the uid.
            raise StoreBusy("the store is busy: no turn within the bounded wait")
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
            # The others may have longer to wait.
            _fail(batch or [own], error)
        except StoreError as error:
            if not batch:
                take()
            _fail(batch, error)
        except Exception as error:
            # One of them is poisoned: each for itself, so that it takes no other one with it.
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
    """A bounded queue that is emptied in batches by a thread of its own.

    :param drain: called with up to :data:`MAX_BATCH` items; raises :class:`StoreError` to have them
        stay for the next time.
    :param settle: called when the queue is empty; raises :class:`StoreError` to be called again.
    :param limit: items; beyond it the newest are refused.
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
        """Queue an item; ``False`` when the queue is full."""
        with self._mutex:
            if len(self._items) >= self._limit:
                return False
            self._items.append(item)
        self.wake()
        return True

    def wake(self) -> None:
        """Have the thread do its work within a second, starting it if there is none."""
        self._wanted.set()
        if not self._is_running():
            with self._mutex:
                if not self._is_running() and not self._closed.is_set():
                    self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                    self._thread.start()

    @property
    def is_woken(self) -> bool:
        """Whether its work is still to begin, so that it will see what was put down before."""
        return self._wanted.is_set()

    def close(self, timeout_s: float = 5.0) -> None:
        """Empty the queue a last time and end the thread."""
        self._closed.set()
        self.flush()
        self._wanted.set()
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _is_running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def flush(self) -> bool:
        """Empty the queue now; ``False`` when the store does not take it."""
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
