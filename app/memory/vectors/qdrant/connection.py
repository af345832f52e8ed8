"""The Qdrant client of a process. Its calls have a time limit, and only some threads may call it at
the same time.

The client is created on its first use, so after any fork, and created again in a process that was
forked since. This module does not pause after failures; its caller does (app/memory/gate.py).
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from app.memory.vectors.errors import IndexFailure, IndexUnavailable
from app.memory.vectors.qdrant.failures import BUSY_HERE, ClosedHere, failure_of, server_words

if TYPE_CHECKING:
    from qdrant_client import QdrantClient

    from app.memory.vectors.transport import Deadline

T = TypeVar("T")
# The most concurrent calls. A web process has eight threads; the others serve requests without
# Qdrant.
MAX_CALLS = 4
SLOT_WAIT_S = 0.25
# The size of a compressed answer is not known before it is unpacked.
PLAIN = {"Accept-Encoding": "identity"}

_log = logging.getLogger("app.vectors.qdrant")


@dataclass(frozen=True)
class Address:
    """The address of Qdrant and the time limit of its calls.

    :param url: with scheme and port, without a slash at the end.
    :param timeout_s: limit for a whole call, in seconds.
    """

    url: str
    api_key: str | None = field(default=None, repr=False)
    timeout_s: float = 2.0


class Connection:
    """Calls Qdrant for all threads of a process."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._lock = threading.Lock()
        self._slots = threading.BoundedSemaphore(MAX_CALLS)
        self._made: tuple[int, QdrantClient, Deadline] | None = None
        self._last: IndexFailure | None = None

    def call(self, do: Callable[[QdrantClient], T], *, timeout_s: float | None = None) -> T:
        """Call a function with the client and return its result.

        :param timeout_s: limit for the whole call, in seconds; by default that of the address.
        :raise IndexFailure: for any error.
        """
        # The first time this takes seconds, so it must not occupy one of the slots.
        client, deadline = self._client()
        if not self._slots.acquire(timeout=SLOT_WAIT_S):
            raise IndexUnavailable(BUSY_HERE)
        try:
            deadline.within(timeout_s or self.address.timeout_s)
            return self._call(do, client)
        finally:
            self._slots.release()

    def close(self) -> None:
        """Close the connections. The next call opens new ones."""
        with self._lock:
            made, self._made = self._made, None
        if made is not None and made[0] == os.getpid():
            made[1].close()

    def _call(self, do: Callable[[QdrantClient], T], client: QdrantClient) -> T:
        try:
            found = do(client)
        except Exception as error:
            failure = failure_of(error)
            self._note(failure, server_words(error))
            raise failure from (None if failure is error else error)
        if self._last is not None:
            _log.info("Qdrant answers again")
        self._last = None
        return found

    def _note(self, failure: IndexFailure, words: str) -> None:
        """Store a failure. If the same failure repeats, it is logged only once."""
        if self._last is None or str(self._last) != str(failure):
            _log.warning("the index of memories failed: %s%s", failure, words and f" ({words})")
        self._last = failure
        if isinstance(failure, ClosedHere):
            self.close()

    def _client(self) -> tuple[QdrantClient, Deadline]:
        with self._lock:
            if self._made is None or self._made[0] != os.getpid():
                self._made = (os.getpid(), *_make(self.address))
            return self._made[1:]


def _make(address: Address) -> tuple[QdrantClient, Deadline]:
    from qdrant_client import QdrantClient

    from app.memory.vectors.transport import Deadline, DeadlineTransport

    deadline = Deadline()
    # Pass the key as a header: the client warns about a key without TLS, which the settings have
    # already checked.
    key = {"api-key": address.api_key} if address.api_key else {}
    client = QdrantClient(
        url=address.url,
        headers={**PLAIN, **key},
        # The client's check runs in a separate thread, and nobody sees its warnings.
        check_compatibility=False,
        trust_env=False,
        transport=DeadlineTransport(deadline, MAX_CALLS),
    )
    return client, deadline
