"""Memories: the operations that routes, pages and commands call.

Every change is written to SQL first, and is safe from then on. The request then writes to a
separate index (:mod:`.indexing`). If this fails, or if the embedder makes no vector, the background
task repeats it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Row

from app.accounts import audit
from app.memory import pending, queries, records, removing, user_counts
from app.memory.catalog import Catalog
from app.memory.content import normalise, without_secrets
from app.memory.errors import Contended, Refused
from app.memory.gate import Gate
from app.memory.indexing import Indexing
from app.memory.inputs import MemoryBody, MemoryFilter, MemorySearch
from app.memory.observed import embedding_span, note_tokens, operation, report_failure
from app.memory.rows import StoredRows
from app.memory.scope import Scope, scope_of
from app.memory.searching import Hit, Searcher
from app.memory.vectors.embedder import Embedded, EmbedderSource, embed, source_of, space_of
from app.memory.vectors.errors import EmbedderUnavailable, IndexFailure, VectorError
from app.memory.vectors.exact import ExactIndex
from app.memory.vectors.index import Index, Query, Space, Vector
from app.memory.vectors.packing import pack, unpack
from app.memory.vectors.qdrant import index_of
from app.memory.vectors.watch import Watch
from app.protocol.scrub import Finding, Scrubber
from app.store import Store
from config import Config

# Two sentences that differ in one or two words have this score.
DUPLICATE_SCORE = 0.95
# A change is tried again if another request changed the memory meanwhile.
CHANGE_TRIES = 5


class Stored(NamedTuple):
    """A stored memory.

    :param indexed: whether searches find it already.
    :param duplicate_of: the id of another memory with nearly the same content.
    :param scrubbed: the secrets that were removed before it was stored.
    """

    row: Row[Any]
    is_new: bool
    indexed: bool
    duplicate_of: str | None
    scrubbed: list[Finding]


class Found(NamedTuple):
    """The result of a search, best match first.

    :param waiting: how many memories of the user were not searched, because the index does not have
        them yet or another model made their vectors.
    :param problem: why only keywords were searched, although meaning was wanted too.
    """

    hits: list[Hit]
    waiting: int
    problem: str | None = None


@dataclass(frozen=True)
class State:
    """The state of the memory service.

    :param index: kind of index: ``sqlite``, ``postgresql`` or ``qdrant``.
    :param lacking: number of memories that the index does not have yet.
    :param removals: number of memories that the index must still remove.
    :param foreign: number of memories whose vectors were made by another model.
    :param failure: why the index does not work, as this process last saw it.
    :param embedder_failure: why the embedder makes no vectors, as this process last saw it.
    """

    users: int
    memories: int
    index: str
    embedder: str
    model: str | None
    lacking: int
    removals: int
    foreign: int
    failure: str | None
    embedder_failure: str | None = None


class Memories:
    """The memories of one store.

    :param index: searches the memories; by default an exact search of the rows.
    :param scrubber: removes secrets before a memory is stored; by default with the built-in rules.
    """

    def __init__(
        self,
        store: Store,
        embedders: EmbedderSource,
        index: Index | None = None,
        scrubber: Scrubber | None = None,
    ) -> None:
        self.store = store
        self.scrubber = scrubber or Scrubber()
        self.embedders = embedders
        self.index: Index = index or ExactIndex(StoredRows(store))
        self.gate = Gate(self.index, self._note_lost)
        self.watch = Watch(self.index)
        self.catalog = Catalog(store)
        self.indexing = Indexing(store, self.index, self.gate, embedders)
        self.searcher = Searcher(store, self.catalog, self._embed, self.indexing.search)

    @classmethod
    def of(cls, store: Store, config: Config, scrubber: Scrubber) -> Memories:
        """Return the memory service for a configuration."""
        return cls(store, source_of(config), index_of(config), scrubber)

    # ---- operations -----------------------------------------------------------------------------

    def add(self, scope: Scope, body: MemoryBody) -> Stored:
        """Store a memory without its secrets. The same content of the same scope keeps its id.

        If the embedder does not work, the memory is stored without a vector, and the upkeep makes
        it later.

        :param body: if the memory exists already, the given fields replace its fields.
        :raise app.memory.errors.TooMany: the user has the largest number of memories.
        """
        with operation("add", scope.user_id, characters=len(body.content)) as facts:
            [stored] = self._add_all([(scope, body)])
            if isinstance(stored, Refused):
                raise stored
            facts |= {"id": stored.row.id, "is_new": stored.is_new, "indexed": stored.indexed}
            return stored

    def add_all(self, items: Sequence[tuple[Scope, MemoryBody]]) -> list[Stored | Refused]:
        """Store memories as :meth:`add`, in one transaction and with one call of the embedder.

        :return: for each item the stored memory, or why it is not stored.
        """
        with operation("add_all", items[0][0].user_id, items=len(items)) as facts:
            stored = self._add_all(items)
            facts["refused"] = sum(isinstance(one, Refused) for one in stored)
            return stored

    def import_all(
        self, items: Sequence[tuple[Scope, MemoryBody]], origins: Sequence[records.Origin]
    ) -> list[records.Kept | Refused]:
        """Store imported memories as :meth:`add_all`, without a search for duplicates.

        :param origins: the id and the times of each.
        """
        with operation("import", items[0][0].user_id, items=len(items)):
            return self._keep_all(items, origins)[0]

    def change(self, scope: Scope, id: str, changes: dict[str, Any]) -> Stored | None:
        """Change fields of a memory. Return ``None`` if the scope has no such memory.

        The whole memory is scrubbed, also its other fields.

        :param changes: the new values of fields, as in :class:`MemoryBody`.
        :raise app.memory.errors.Refused: another memory of the same scope has this content, or
            other requests change the memory all the time.
        """
        with operation("change", scope.user_id, id=id, fields=sorted(changes)) as facts:
            for _ in range(CHANGE_TRIES):
                with self.store.read() as conn:
                    read = queries.find(conn, scope, id)
                if read is None:
                    return None
                stored = self._change(read, changes)
                if stored is not None:
                    facts["indexed"] = stored.indexed
                    return stored
            raise Contended("other requests change this memory: try again")

    def search(self, wanted: MemorySearch) -> Found:
        """Return the memories of a scope that are close to a text by meaning, or have its words.

        :raise app.memory.vectors.errors.VectorError: the mode is ``vector``, and the embedder or
            the index does not answer.
        """
        with operation("search", wanted.user_id, limit=wanted.limit) as facts:
            hits, failure = self.searcher.search(wanted)
            if failure is not None:
                report_failure(failure)
            by_words = wanted.mode == "keyword" or failure is not None
            found = Found(hits, self._left_out(wanted.user_id, by_words), _problem(failure))
            facts |= {"found": len(found.hits), "waiting": found.waiting}
            return found

    def listed(
        self, scope: Scope, filter: MemoryFilter, *, before: int | None, limit: int
    ) -> list[Row[Any]]:
        """Return the memories of a scope, newest first.

        :param before: return only memories with a smaller ``seq`` than this.
        """
        with operation("list", scope.user_id):
            if filter.filters is not None:
                listed = self.searcher.listed
                return listed(scope, filter, filter.filters, before=before, limit=limit)
            with self.store.read() as conn:
                return queries.list_memories(conn, scope, filter, before=before, limit=limit)

    def remove(self, scope: Scope, id: str) -> bool:
        """Remove a memory. Return whether the scope had it."""
        with operation("remove", scope.user_id, id=id):
            with self.store.write() as conn:
                was_there = removing.remove(conn, scope, id, self.index.identity)
                if was_there:
                    audit.note(conn, "memories_deleted", "a user", "memories: 1")
            if was_there:
                self.indexing.remove([id])
            return was_there

    def remove_all(self, scope: Scope) -> int:
        """Remove all memories of a scope. Return how many there were."""
        with operation("remove_all", scope.user_id) as facts:
            with self.store.write() as conn:
                gone = removing.remove_all(conn, scope, self.index.identity)
                if gone:
                    audit.note(conn, "memories_deleted", "a user", f"memories: {gone}")
            self.indexing.remove_all(scope)
            facts["removed"] = gone
            return gone

    def state(self) -> State:
        """Return the state of the service, for all users. This does not wait for the index to
        answer.
        """
        name, space = self.index.identity, self.embedders.space
        closed = self.gate.failure
        failure = str(closed) if closed else name and self.watch.see().failure
        with self.store.read() as conn:
            users, stored = user_counts.totals(conn)
            return State(
                users=users,
                memories=stored,
                index=self.index.system,
                embedder=self.embedders.state,
                model=space.model if space else None,
                lacking=pending.count_lacking(conn, name) if name else 0,
                removals=pending.count_removals(conn, name) if name else 0,
                foreign=queries.count_foreign(conn, space.model) if space else 0,
                failure=failure,
                embedder_failure=self.embedders.failure,
            )

    def _add_all(self, items: Sequence[tuple[Scope, MemoryBody]]) -> list[Stored | Refused]:
        kept, findings = self._keep_all(items, [records.HERE for _ in items])
        return [
            one if isinstance(one, Refused) else self._stored(one.row, one.is_new, scrubbed)
            for one, scrubbed in zip(kept, findings, strict=True)
        ]

    def _keep_all(
        self, items: Sequence[tuple[Scope, MemoryBody]], origins: Sequence[records.Origin]
    ) -> tuple[list[records.Kept | Refused], list[list[Finding]]]:
        """Store memories. Return for each the row or why it is refused, and what was scrubbed."""
        cleaned = [without_secrets(body, self.scrubber) for _, body in items]
        embeddings = self._embeddings([body.content for body, _ in cleaned])
        kept: list[records.Kept | Refused] = []
        with self.store.write() as conn:
            for (scope, given), (body, _), embedding, origin in zip(
                items, cleaned, embeddings, origins, strict=True
            ):
                fields = frozenset(given.model_fields_set)
                try:
                    kept.append(records.keep(conn, scope, body, embedding, fields, origin))
                except Refused as refused:
                    kept.append(refused)
        self.indexing.put([one.row.id for one in kept if not isinstance(one, Refused)])
        return kept, [findings for _, findings in cleaned]

    def _change(self, read: Row[Any], changes: dict[str, Any]) -> Stored | None:
        """Change a memory. Return ``None`` if it was changed or removed since it was read."""
        fields = {name: getattr(read, name) for name in MemoryBody.model_fields} | changes
        body, scrubbed = without_secrets(MemoryBody.model_construct(**fields), self.scrubber)
        embedding = None
        if normalise(body.content) != normalise(read.content):
            [embedding] = self._embeddings([body.content])
        with self.store.write() as conn:
            row = records.change(conn, read, body, embedding, self.index.identity)
        if row is None:
            return None
        self.indexing.put([row.id])
        return self._stored(row, False, scrubbed)

    def _stored(self, row: Row[Any], is_new: bool, scrubbed: list[Finding]) -> Stored:
        """Return what is told of a memory that was just stored, as it is now."""
        with self.store.read() as conn:
            found = queries.find_all(conn, scope_of(row), [row.id]).get(row.id)
        if found is None:  # Another request has removed it since.
            return Stored(row, is_new, False, None, scrubbed)
        duplicate = self._near(found) if self.indexing.has_vector(found) else None
        return Stored(row, is_new, self.indexing.has(found), duplicate, scrubbed)

    def _embeddings(self, texts: Sequence[str]) -> list[records.Embedding | None]:
        """Return the vectors of texts, or ``None`` for each if the embedder does not work."""
        try:
            vectors = self.embed(texts).vectors
        except EmbedderUnavailable as error:
            report_failure(error)
            return [None for _ in texts]
        model = space_of(self.embedders.get()).model
        return [records.Embedding(pack(vector), model) for vector in vectors]

    def embed(self, texts: Sequence[str]) -> Embedded:
        """Return the vectors of texts. Secrets are not sent to an embedder elsewhere.

        A search, and a memory of an earlier version, may have some.

        :raise app.memory.vectors.errors.EmbedderUnavailable: the embedder cannot make vectors.
        """
        embedder = self.embedders.get()
        if not self.embedders.is_local:
            texts = [self.scrubber.scrub_text(text) for text in texts]
        with embedding_span(embedder) as span:
            embedded = embed(embedder, texts)
            note_tokens(span, embedded.tokens)
        return embedded

    def _embed(self, text: str) -> tuple[Space, Vector]:
        vectors = self.embed([text]).vectors
        return space_of(self.embedders.get()), vectors[0]

    def _near(self, row: Any) -> str | None:
        """Return the id of another memory with nearly the same content, of the same agent and run
        if the memory has them. Return ``None`` if there is none or the index does not answer.

        :param row: with its vector.
        """
        space = space_of(self.embedders.get())
        vector = unpack(row.vector)
        query = Query(vector, scope_of(row), 2, int(time.time()), DUPLICATE_SCORE)
        try:
            hits = self.searcher.near(space, query, row.id)
        except IndexFailure as error:
            report_failure(error)
            return None
        return hits[0].row.id if hits else None

    def _left_out(self, user_id: str, by_words: bool) -> int:
        if by_words:
            return len(self.catalog.of(user_id).wordless)
        return self.indexing.waiting(user_id)

    def _note_lost(self) -> None:
        if (name := self.index.identity) is not None:
            with self.store.write() as conn:
                pending.note_lost(conn, name)


def _problem(failure: VectorError | None) -> str | None:
    return None if failure is None else f"searched by keywords only: {failure}"
