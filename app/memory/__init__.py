"""The memory service: notes of agents and people, found again by what they mean.

    fields      what a program may give for each field                     pure
    content     what makes two texts the same, and the id they get        pure
    tables      memories, users, and what an index has still to forget
    records     rows: kept, changed, listed, removed, swept
    rows        what the exact index reads
    gate        asks the index, and leaves it alone for a moment when it does not answer
    upkeep      brings vectors and index to what SQL says: missed writes, another model
    task        the thread that does so, and sweeps what expired
    observed    each operation's context, metric, log line
    service     Memories: the verbs that routes and pages call
    extension   where the application learns of all this
    status      how the service is, for health, status page and metrics
    commands    `flask memory`

SQL holds text and vector and is the truth. An index is asked for ids alone, which are read from SQL
again, so that the two never disagree outwardly.

A process that is not asked for memories loads neither the service nor NumPy, embedder or index.
"""

from __future__ import annotations

from app.memory.extension import init_app
from app.memory.status import current_memories

__all__ = ["current_memories", "init_app"]
