"""What one run of erasing has: the person, the store, the report."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from app.delivery.destinations import Destinations
from app.erasing.person import Person
from app.erasing.report import Report
from app.erasing.values import ValueEraser
from app.store import Store

# How long a batch waits for other writers. Nobody waits for an answer, so it may be long.
WRITE_TIMEOUT_S = 60.0
# The lengths at which columns cut longer texts. A cut may go through an identifier.
CUT_AT = frozenset({40, 50, 64, 100, 120, 200, 250, 300, 500, 1000, 2000, 4096})


class Stopped(Exception):
    """The run was told to stop; what it erased so far is erased."""


@dataclass
class Task:
    """One run.

    :param is_dry: only count what would be erased.
    :param progress: called with the number of rows, files or envelopes that were looked through.
    :param goes_on: called between batches; it ends the run by returning ``False``.
    :param identities: hashes under which the person was counted among affected users.
    :param dids: values that were the person's in sessions.
    """

    store: Store
    destinations: Destinations
    person: Person
    is_dry: bool = False
    progress: Callable[[int], None] = lambda count: None
    goes_on: Callable[[], bool] = lambda: True
    report: Report = field(default_factory=Report)
    identities: set[str] = field(default_factory=set)
    dids: set[str] = field(default_factory=set)
    # Row ids: envelopes without an event that are counted, envelopes that were discarded, and
    # events that were not in the search index yet.
    counted: set[int] = field(default_factory=set)
    discarded: set[int] = field(default_factory=set)
    unindexed: set[int] = field(default_factory=set)

    def advance(self, count: int) -> None:
        """Report progress.

        :raise Stopped: the run has to end.
        """
        self.progress(count)
        if not self.goes_on():
            raise Stopped

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Yield the store's only writer for one batch. On SQLite, what it frees is overwritten."""
        with self.store.write(WRITE_TIMEOUT_S) as conn:
            if not self.store.is_sqlite:
                yield conn
                return
            conn.exec_driver_sql("PRAGMA secure_delete=ON").close()
            try:
                yield conn
            finally:
                conn.exec_driver_sql("PRAGMA secure_delete=OFF").close()

    def in_row(self, row: Any, names: tuple[str, ...]) -> dict[str, Any]:
        """Return the new values of those columns of a row that have the person."""
        found = {}
        for name in names:
            value = getattr(row, name)
            new = self.erased(value)
            if new != value:
                found[name] = new
        return found

    def erased(self, value: Any) -> Any:
        """Return a value of a column without the person."""
        if isinstance(value, str):
            text = self.person.in_text(value)
            return self.person.in_cut_text(text) if len(value) in CUT_AT else text
        return ValueEraser(self.person).erase(value) if isinstance(value, dict | list) else value
