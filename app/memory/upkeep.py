"""Upkeep: update vectors and index from SQL, a batch at a time.

    sweep      remove expired memories and old changes
    words      make the words of memories of earlier versions, for the search by keywords
    re-embed   make vectors of another model again from the texts
    reset      record for an index that was lost that it has no memories
    removals   remove from the index what was removed in SQL
    lacking    put into the index what it lacks

Each step makes at most one call of the index and short transactions. All steps may be repeated.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, TypeVar

from sqlalchemy import select

from app.memory import history, pending, queries, records, removing
from app.memory.service import Memories
from app.memory.tables import memories, memory_changes
from app.memory.vectors.embedder import space_of
from app.memory.vectors.index import Space
from app.memory.vectors.packing import pack
from app.store import StoreError, delete_in_batches, utc_now

# A request may be putting a memory that another request removes. This takes at most this long, so
# a removal is final only after this time.
REMOVED_AFTER = timedelta(seconds=30)
# After this time, removals of an index that is not used any more are deleted.
REMOVALS_KEPT = timedelta(days=90)
# Texts that are embedded between two reads of the store.
EMBED_BATCH_SIZE = 50
# Memories whose words are made in one transaction.
WORDS_BATCH_SIZE = 100
# How often the points of the index are counted, while there is nothing else to do.
COUNT_EVERY_S = 300.0
# Batches of each step in a run, so that no step waits long for another.
BATCHES = 20

T = TypeVar("T")
Progress = Callable[[int], None]


def _no_progress(count: int) -> None:
    pass


class Upkeep:
    """The upkeep of the memories of one store."""

    def __init__(self, memories: Memories) -> None:
        self._of = memories
        self._store = memories.store
        self._counts_at = float("-inf")

    def work(self, stopping: Callable[[], bool] = lambda: False) -> None:
        """Run all steps that have something to do.

        :param stopping: called between batches; ``True`` ends the run.
        :raise app.memory.vectors.errors.VectorError: the embedder or the index does not answer.
        """
        failed: list[Exception] = []
        for step in (self._sweeping(), self._wording(), self._embedding(), self._indexing()):
            try:
                for _ in zip(range(BATCHES), step, strict=False):
                    if stopping():
                        return
            except StoreError:
                raise
            except Exception as error:
                failed.append(error)  # Another step may still succeed.
        if failed:
            raise failed[0]

    def reindex(self, progress: Progress = _no_progress) -> tuple[int, int]:
        """Make vectors of another model again, and then the whole index, without a time limit.

        :param progress: called after every batch with its number of memories.
        :return: how many memories were embedded again, and how many were put into the index.
        :raise app.memory.vectors.errors.VectorError: the embedder or the index does not answer.
        """
        embedded = sum(_told(self._embedding(), progress))
        name = self._of.index.identity
        if name is None:
            return embedded, 0
        with self._store.write() as conn:
            pending.note_lost(conn, name)
        for _ in self._resetting():
            pass
        indexed = sum(_told(self._lacking(name), progress))
        self._forget_strangers()
        return embedded, indexed

    # ---- steps; each yields the number of memories in a batch ----------------------------------

    def _sweeping(self) -> Iterator[int]:
        while True:
            with self._store.read() as conn:  # Usually nothing has expired, so do not write.
                if not queries.has_expired(conn):
                    break
            with self._store.write() as conn:
                yield removing.sweep(conn, self._of.index.identity)
        delete_in_batches(self._store, memory_changes, history.is_old(utc_now()))
        with self._store.read() as conn:
            before = utc_now() - REMOVALS_KEPT
            old = pending.has_removals(conn, before)
        if old:
            with self._store.write() as conn:
                pending.forget_removals(conn, before)

    def _wording(self) -> Iterator[int]:
        while True:
            with self._store.read() as conn:
                is_over = not queries.list_wordless(conn, 1)
            if is_over:
                return
            with self._store.write() as conn:
                rows = queries.list_wordless(conn, WORDS_BATCH_SIZE)
                records.set_words(conn, rows)
            yield len(rows)

    def _embedding(self) -> Iterator[int]:
        if not self._has_any():
            return
        space = self._space()
        while True:
            with self._store.read() as conn:
                rows = queries.list_foreign(conn, space.model, EMBED_BATCH_SIZE)
            if not rows:
                return
            vectors = self._of.embed([row.content for row in rows]).vectors
            with self._store.write() as conn:
                for row, vector in zip(rows, vectors, strict=True):
                    embedding = records.Embedding(pack(vector), space.model)
                    records.set_vector(conn, row.user_id, row.id, row.version, embedding)
            yield len(rows)

    def _indexing(self) -> Iterator[int]:
        name = self._of.index.identity
        if name is None:
            return
        yield from self._resetting()
        yield from self._removals(name)
        yield from self._lacking(name)
        self._compare(name)

    def _resetting(self) -> Iterator[int]:
        while True:
            with self._store.read() as conn:
                note = pending.lost(conn)
            if note is None:
                return
            with self._store.write() as conn:
                yield pending.reset(conn, note)

    def _removals(self, name: str) -> Iterator[int]:
        while True:
            with self._store.read() as conn:
                ids = pending.removals(conn, name, utc_now() - REMOVED_AFTER)
            if not ids:
                return
            self._remove(ids)
            with self._store.write() as conn:
                pending.finish_removals(conn, name, ids)
            yield len(ids)

    def _lacking(self, name: str) -> Iterator[int]:
        while self._has_any():
            with self._store.read() as conn:
                rows = pending.lacking(conn, name, self._space().model)
            if not rows:
                return
            self._put(rows)
            with self._store.write(durable=False) as conn:
                pending.mark(conn, name, [(row.id, row.version) for row in rows])
            yield len(rows)

    def _compare(self, name: str) -> None:
        """Record that an index was lost if it has fewer memories than it should. This runs rarely,
        and only after all other steps.
        """
        now = time.monotonic()
        if now < self._counts_at or not self._has_any():
            return
        self._counts_at = now + COUNT_EVERY_S
        with self._store.read() as conn:
            held = pending.count_held(conn, name)
        points = self._call("count", self._of.index.check).points
        with self._store.read() as conn:
            held = min(held, pending.count_held(conn, name))
        if points is not None and points < held:
            with self._store.write() as conn:
                pending.note_lost(conn, name)

    def _forget_strangers(self) -> None:
        """Remove memories from the index that SQL does not have."""
        ids = self._ids(None)
        while ids:
            with self._store.read() as conn:
                known = queries.known(conn, ids)
            if strangers := [id for id in ids if id not in known]:
                self._remove(strangers)
            ids = self._ids(ids[-1])

    def _ids(self, after: str | None) -> list[str]:
        return self._call("scroll", lambda: self._of.index.ids(after, pending.BATCH_SIZE))

    def _put(self, rows: list[Any]) -> None:
        points = [pending.point_of(row) for row in rows]
        self._call("upsert", lambda: self._of.index.put(points))

    def _remove(self, ids: list[str]) -> None:
        self._call("delete", lambda: self._of.index.remove(ids))

    def _call(self, operation: str, function: Callable[[], T]) -> T:
        return self._of.gate.call(operation, self._space(), function, knocks=True)

    def _space(self) -> Space:
        return self._of.embedders.space or space_of(self._of.embedders.get())

    def _has_any(self) -> bool:
        with self._store.read() as conn:
            return conn.execute(select(memories.c.id).limit(1)).first() is not None


def _told(batches: Iterator[int], progress: Progress) -> Iterator[int]:
    for count in batches:
        progress(count)
        yield count
