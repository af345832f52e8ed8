"""A search: by meaning, by keywords, or by both, joined by their ranks.

    filter    the catalog decides which memories fulfil it; the index may find only these
    meaning   the index finds the closest vectors
    keywords  the catalog finds memories with the names and words of the query
    joined    reciprocal rank fusion: whoever is near the top of both lists comes first

Whatever they find is read from SQL again: user, agent, run, expiry, kind, tags and filter are
checked there, and scores are made of the vectors there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Row

from app.memory import queries
from app.memory.catalog import Catalog, Listing
from app.memory.filters import Conditions
from app.memory.inputs import MemoryFilter, MemorySearch
from app.memory.keywords import query_words
from app.memory.scope import Scope
from app.memory.vectors.errors import VectorError
from app.memory.vectors.index import Match, Query, Space, Vector
from app.memory.vectors.packing import unpack
from app.store import Store, utc_now

# How far down the list of the index a match by keywords can still gain from its rank there.
DEPTH = 50
# Source: Cormack, Clarke and Büttcher, Reciprocal Rank Fusion, SIGIR 2009.
RANK_OFFSET = 60
ROUNDING = 1e-6
# Memories that fulfil a filter, read at once for a list.
LIST_BATCH_SIZE = 500


class Hit(NamedTuple):
    """A memory that a search found.

    :param score: the cosine; of a search by keywords, the share of the query's words that it has.
    :param found_by: ``meaning``, ``keywords`` or both.
    """

    row: Row[Any]
    score: float
    found_by: tuple[str, ...] = ("meaning",)


class Searched(NamedTuple):
    """What a search found, best first.

    :param failure: why only keywords were searched, although meaning was wanted too.
    """

    hits: list[Hit]
    failure: VectorError | None = None


class Searcher:
    """Searches the memories of one store.

    :param embed: returns the vector of a text and its space.
    :param ask: asks the index.
    """

    def __init__(
        self,
        store: Store,
        catalog: Catalog,
        embed: Callable[[str], tuple[Space, Vector]],
        ask: Callable[[Space, Query], list[Match]],
    ) -> None:
        self._store = store
        self._catalog = catalog
        self._embed = embed
        self._ask = ask

    def search(self, wanted: MemorySearch) -> Searched:
        """Return the best memories for a query.

        In the mode ``auto`` only keywords are searched if the embedder or the index fails.

        :raise app.memory.vectors.errors.VectorError: it fails, and the mode is ``vector``.
        """
        try:
            return Searched(self._search(wanted))
        except VectorError as error:
            if wanted.mode == "vector":
                raise
            by_words = wanted.model_copy(update={"mode": "keyword"})
            return Searched(self._search(by_words), error)

    def _search(self, wanted: MemorySearch) -> list[Hit]:
        listing = only = None
        if wanted.mode != "vector" or wanted.filters is not None:
            listing = self._catalog.of(wanted.user_id)
        if listing is not None and wanted.filters is not None:
            entries = self._catalog.matching(listing, wanted.filters)
            only = frozenset(entry.id for entry in entries)
        shares = self._by_keywords(listing, wanted, only) if listing else {}
        if wanted.mode == "keyword":
            return self._checked(wanted, list(shares), shares)
        space, vector = self._embed(wanted.query)
        query = Query(
            vector,
            wanted.scope,
            max(wanted.limit, DEPTH) if shares else wanted.limit,
            int(time.time()),
            wanted.min_score,
            wanted.kind,
            tuple(wanted.tags),
            only,
        )
        ranked = ranking(self._ask(space, query))
        hits = self._checked(wanted, joined(ranked, shares), shares, ranked, space, vector)
        # The index may have known other vectors.
        return hits if shares else sorted(hits, key=lambda hit: (-hit.score, hit.row.id))

    def near(self, space: Space, query: Query, but: str) -> list[Hit]:
        """Return the closest memories to a vector, without one of them.

        :raise app.memory.vectors.errors.IndexFailure: the index does not answer.
        """
        ids = [match.id for match in self._ask(space, query) if match.id != but]
        with self._store.read() as conn:
            rows = queries.find_all(conn, query.scope, ids)
        hits = [Hit(row, _cosine(row, space, query.vector)) for row in rows.values()]
        lowest = -1.0 if query.min_score is None else query.min_score - ROUNDING
        return sorted([hit for hit in hits if hit.score >= lowest], key=lambda hit: -hit.score)

    def listed(
        self,
        scope: Scope,
        filter: MemoryFilter,
        conditions: Conditions,
        *,
        before: int | None,
        limit: int,
    ) -> list[Row[Any]]:
        """Return the memories of a scope that fulfil a filter, newest first.

        :param before: return only memories with a smaller ``seq`` than this.
        """
        entries = self._catalog.matching(self._catalog.of(scope.user_id), conditions)
        seqs = sorted((entry.seq for entry in entries), reverse=True)
        rows: list[Row[Any]] = []
        for start in range(0, len(seqs), LIST_BATCH_SIZE):
            some = seqs[start : start + LIST_BATCH_SIZE]
            if before is not None and some[-1] >= before:
                continue
            with self._store.read() as conn:
                found = queries.list_memories(
                    conn, scope, filter, before=before, limit=limit - len(rows), seqs=some
                )
            rows += [row for row in found if conditions.matches(row)]
            if len(rows) >= limit:
                break
        return rows

    def _by_keywords(
        self, listing: Listing, wanted: MemorySearch, only: frozenset[str] | None
    ) -> dict[str, float]:
        """Return the share of each memory that has words of the query, best first."""
        if wanted.mode == "vector":
            return {}
        now, shares = utc_now(), dict[str, float]()
        words = query_words(wanted.query)
        for match in listing.keyword_matches(words, only_close=wanted.mode == "auto"):
            entry = match.entry
            if (only is None or entry.id in only) and _is_wanted(entry, wanted, now):
                shares[entry.id] = match.share
                if len(shares) == max(wanted.limit, DEPTH):
                    break
        return shares

    def _checked(
        self,
        wanted: MemorySearch,
        ids: Sequence[str],
        shares: dict[str, float],
        ranked: Sequence[str] = (),
        space: Space | None = None,
        vector: Vector | None = None,
    ) -> list[Hit]:
        """Read memories from SQL, in an order, and return as many as are wanted."""
        by_meaning, now = frozenset(ranked), utc_now()
        lowest = -1.0 if wanted.min_score is None else wanted.min_score - ROUNDING
        hits: list[Hit] = []
        for row in self._rows(wanted, ids):
            is_meant = row.id in by_meaning and space is not None and row.model == space.model
            if not _is_wanted(row, wanted, now) or not (is_meant or row.id in shares):
                continue
            if wanted.filters is not None and not wanted.filters.matches(row):
                continue
            if space is None or vector is None:
                score = shares[row.id]
            else:
                score = _cosine(row, space, vector)
            if score >= lowest:
                found = ("meaning",) * is_meant + ("keywords",) * (row.id in shares)
                hits.append(Hit(row, score, found))
                if len(hits) == wanted.limit:
                    break
        return hits

    def _rows(self, wanted: MemorySearch, ids: Sequence[str]) -> Iterator[Row[Any]]:
        size = wanted.limit + 5
        for start in range(0, len(ids), size):
            some = ids[start : start + size]
            with self._store.read() as conn:
                rows = queries.find_all(conn, wanted.scope, some)
            yield from (rows[id] for id in some if id in rows)


def ranking(matches: Sequence[Match]) -> list[str]:
    """Return the ids of matches, best first. Equal scores are ordered alike by every index."""
    return [
        match.id for match in sorted(matches, key=lambda match: (-round(match.score, 5), match.id))
    ]


def joined(ranked: Sequence[str], shares: dict[str, float]) -> list[str]:
    """Return the ids of two rankings in the order of reciprocal rank fusion.

    :param ranked: by meaning, best first.
    :param shares: by keywords, best first. Equal shares have the same rank. Of two ids with the
        same sum, the one that is higher here comes first.
    """
    places = {share: place for place, share in enumerate(dict.fromkeys(shares.values()))}
    sums = {id: 1 / (RANK_OFFSET + 1 + places[share]) for id, share in shares.items()}
    for rank, id in enumerate(ranked, RANK_OFFSET + 1):
        sums[id] = sums.get(id, 0.0) + 1 / rank
    return sorted(sums, key=lambda id: -sums[id])


def _cosine(row: Any, space: Space, vector: Vector) -> float:
    """Return the cosine of a memory with a vector; 0 until it has a vector of this space."""
    if row.model != space.model:
        return 0.0
    return min(float(unpack(row.vector) @ vector), 1.0)


def _is_wanted(memory: Any, wanted: MemorySearch, now: Any) -> bool:
    if memory.expires_at is not None and memory.expires_at <= now:
        return False
    if wanted.agent_id not in (None, memory.agent_id) or wanted.run_id not in (None, memory.run_id):
        return False
    if wanted.kind not in (None, memory.kind):
        return False
    return not wanted.tags or not set(wanted.tags).isdisjoint(memory.tags)
