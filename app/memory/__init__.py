"""The memory service: stores notes of agents and people, and finds them again by their meaning.

    inputs      the fields of requests and their checks                    pure
    content     when two texts are the same, and the id of a content       pure
    tables      memories, users, changes, and removals that an index has not done yet
    queries     rows: find, list and count memories
    records     rows: store and change memories
    removing    rows: remove memories, and sweep expired ones
    user_counts how many memories each user has, and their version
    history     the last changes of each memory
    filters     the language of filters                                    pure
    keywords    the words of a text by which a memory is found             pure
    scope       whose memories: of a user, an agent, a run                 pure
    catalog     fields and words of a user's memories, for filters and keywords
    searching   a search: filter, meaning, keywords, and how they are joined
    rows        the rows that the exact index reads
    gate        calls the index, and stops calling it for a moment after a failure
    indexing    puts memories into the index, and knows which it lacks
    upkeep      updates vectors and index from SQL: missed writes, another model
    task        the task that runs the upkeep and sweeps expired memories
    observed    the context, metrics and log line of each operation
    transfer    export and import as NDJSON
    service     Memories: the operations that routes and pages call
    extension   registers the service with the application
    status      the state of the service, for health, status page and metrics
    commands    `flask memory`

SQL stores texts and vectors and is the source of truth. An index only returns ids, and their rows
are read again from SQL. So a caller never sees a difference between the two.

A process without requests for memories loads neither the service nor NumPy, embedder or index.
"""

from __future__ import annotations

from app.memory.extension import init_app
from app.memory.status import current_memories

__all__ = ["current_memories", "init_app"]
