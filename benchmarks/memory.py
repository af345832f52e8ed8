"""The cost of searching memories: 10,000 of fifty users, and 10,000 of one user.

    python -m benchmarks.memory

Four web processes use SQLite with exact search. Each of four clients sends one search after the
other, with other words than the stored memories. Before every tenth search it stores a memory, so
that the processes have to update what they hold in memory. The output is the milliseconds of a
whole request, embedding included, and the CPU milliseconds of it; and the CPU of the index alone in
one process, and of a whole search with a filter and keywords besides the embedding.
"""

from __future__ import annotations

import logging
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import urllib3

from app.memory import records
from app.memory.inputs import MemoryBody, MemorySearch
from app.memory.rows import StoredRows
from app.memory.scope import Scope
from app.memory.service import Memories
from app.memory.vectors.embedder import Embedder, EmbedderSource, embed, space_of
from app.memory.vectors.exact import ExactIndex
from app.memory.vectors.index import Query
from app.memory.vectors.packing import pack
from app.store import Store
from benchmarks.goals import Figure, run_alone
from benchmarks.load import percentiles
from tests.server_process import serving

MEMORIES, CLIENTS, REQUESTS, PROCESSES = 10_000, 4, 400, 4
LIMIT_MS = 30.0
# Searches whose 95th percentile is measured, with filter and keywords.
FILTERED = 100
WORDS = (
    "the nightly backup of orders starts before invoices are printed and Marta who cannot eat"
    " peanuts prefers short answers while the staging server in Frankfurt restarts its queue after"
    " deploys so nobody releases on Friday unless Jonas rides home early and calls the supplier"
).split()


def measure() -> Iterator[Figure]:
    """Measure memories of many users, and of one."""
    # wordllama makes the root logger print everything.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    embedder = EmbedderSource().get(60)
    for users in (50, 1):
        yield from _measure(embedder, users)


def _measure(embedder: Embedder, users: int) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        data.mkdir()
        fill(data, embedder, users)
        cold, warm, changed = alone(data, embedder)
        filtered = with_filter(data)
        latencies, cpu_ms = served(data, users)
    waits, of = percentiles(latencies), f"{MEMORIES:,} memories of {users}"
    yield Figure(f"{of}: a search, p95, ms", waits["p95"], LIMIT_MS)
    yield Figure(f"{of}: a search, p50, ms", waits["p50"])
    yield Figure(f"{of}: a search, ms of CPU", cpu_ms)
    yield Figure(f"{of}: filter and keywords, p95, ms of CPU", filtered, LIMIT_MS)
    yield Figure(f"{of}: the index, first search, ms of CPU", cold)
    yield Figure(f"{of}: the index, next search, ms of CPU", warm)
    yield Figure(f"{of}: the index, after a write, ms of CPU", changed)


def text(number: int) -> str:
    """Return a note of twelve words; it differs for each number."""
    return " ".join(WORDS[(number * 7 + n * (1 + number % 13)) % len(WORDS)] for n in range(12))


def fill(data: Path, embedder: Embedder, users: int) -> None:
    """Store the memories as requests do, but in one transaction."""
    store = Store(f"sqlite:///{data / 'devenviro.sqlite3'}")
    store.open()
    model = space_of(embedder).model
    notes = [f"{text(number)} {number}" for number in range(MEMORIES)]
    vectors = embed(embedder, notes).vectors
    with store.write() as conn:
        for number, (note, vector) in enumerate(zip(notes, vectors, strict=True)):
            metadata = {"team": ("shop", "pay", "web")[number % 3], "n": number}
            user = f"user-{number % users}"
            body = MemoryBody(content=note, tags=["note"], metadata=metadata)
            embedding = records.Embedding(pack(vector), model)
            records.keep(conn, Scope(user), body, embedding, frozenset())
    store.dispose()


def alone(data: Path, embedder: Embedder) -> tuple[float, float, float]:
    """Return the CPU of searches in ms: of the first, of later ones, of those after a write."""
    store = Store(f"sqlite:///{data / 'devenviro.sqlite3'}")
    index = ExactIndex(StoredRows(store))
    space = space_of(embedder)
    index.prepare(space)
    vectors = embed(embedder, [text(number) for number in range(21)]).vectors
    queries = [Query(vector, Scope("user-0"), 10, int(time.time())) for vector in vectors]
    cold = _cpu_ms(lambda: index.search(queries[0]))
    warm = statistics.median(_cpu_ms(lambda q=q: index.search(q)) for q in queries)
    after_writes = []
    for number, query in enumerate(queries):
        with store.write() as conn:
            embedding = records.Embedding(pack(vectors[number]), space.model)
            records.keep(
                conn, Scope("user-0"), MemoryBody(content=f"new {number}"), embedding, frozenset()
            )
        after_writes.append(_cpu_ms(lambda q=query: index.search(q)))
    store.dispose()
    return cold, warm, statistics.median(after_writes)


def with_filter(data: Path) -> float:
    """Return the CPU of searches with a filter and keywords, in ms: the 95th percentile.

    Before every tenth search a memory is stored. The embedding is not included.
    """
    store = Store(f"sqlite:///{data / 'devenviro.sqlite3'}")
    service = Memories(store, EmbedderSource())
    service.embedders.get(60)
    embedding = service.searcher._embed
    by_team = {"field": "metadata.team", "eq": "shop"}
    filters = {"and": [by_team, {"field": "metadata.n", "lt": 9000}]}
    took = []
    for number in range(FILTERED + 1):
        query = f"{text(number * 31)} {number * 97}"
        vector = embedding(query)
        service.searcher._embed = lambda _, vector=vector: vector  # type: ignore[method-assign]
        if number % 10 == 1:
            service.add(Scope("user-0"), MemoryBody(content=f"note {number} {time.time()}"))
        wanted = MemorySearch.model_validate(
            {"user_id": "user-0", "query": query, "filters": filters}
        )
        took.append(_cpu_ms(lambda wanted=wanted: service.search(wanted)))
    store.dispose()
    return percentiles(took[1:])["p95"]  # The first one reads all memories.


def served(data: Path, users: int) -> tuple[list[float], float]:
    """Return the milliseconds of each search, and the average CPU milliseconds of a request."""
    latencies: list[float] = []
    with serving(data, WEB_CONCURRENCY=str(PROCESSES), SENTRY_DSN="") as server:
        _run(server.url, users, [])  # Every process loads its model and its memories.
        workers = server.workers()
        before = sum(_cpu_s(worker) for worker in workers)
        _run(server.url, users, latencies)
        cpu_s = sum(_cpu_s(worker) for worker in workers) - before
    return latencies, cpu_s * 1000 / (CLIENTS * REQUESTS)


def _run(url: str, users: int, latencies: list[float]) -> None:
    clients = [
        threading.Thread(target=_client, args=(url, users, n, latencies)) for n in range(CLIENTS)
    ]
    for client in clients:
        client.start()
    for client in clients:
        client.join()


def _client(url: str, users: int, client: int, latencies: list[float]) -> None:
    pool = urllib3.PoolManager()
    for number in range(REQUESTS):
        note, user = text(number * CLIENTS + client + 1), f"user-{(number + client) % users}"
        body: dict[str, Any] = {"user_id": user}
        if number % 10 == 0:
            keeps = body | {"content": f"{note} {client} {time.time()}"}
            assert pool.request("POST", f"{url}/memories", json=keeps).status == 201
        began = time.perf_counter()
        answer = pool.request("POST", f"{url}/memories/search", json=body | {"query": note})
        latencies.append((time.perf_counter() - began) * 1000)
        assert answer.status == 200 and answer.json()["results"], answer.data


def _cpu_ms(function: Any) -> float:
    began = time.process_time()
    function()
    return (time.process_time() - began) * 1000


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    run_alone(__doc__, measure)
