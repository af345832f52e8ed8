"""The store: one database, read in deferred transactions and written by one writer at a time.

database.py      ``Store``: reading, writing, opening
engines.py       its engines, and the pragmas of SQLite
migrations.py    the schema's revisions
columns.py       metadata and types of columns      tables.py   facts about the store, leases
statements.py    INSERT where a row may be there: ``upsert``, and what its columns get
batches.py       long work in short transactions    errors.py   what a store can fail with
writer_lock.py   one writer among the processes of a machine
leases.py        work that one process at a time may do, as rows that run out by themselves
leased_task.py   a thread that works again and again while its process holds the lease
recording.py     whether the running code is the tracker's own
paging.py        pages of a list
searching.py     a part of a text in any case
integrity.py     whether the SQLite file is whole, and what if it is not
kept_keys.py     what a damaged SQLite file must not lose
disks.py         how much of the disks is free
"""

from app.store.batches import delete_in_batches, first_within, in_batches
from app.store.columns import RowId, UtcDateTime, metadata, partial_index, utc_now
from app.store.database import Store
from app.store.errors import StoreBusy, StoreError, StoreFull, StoreUnavailable
from app.store.migrations import newest_revision
from app.store.statements import (
    added,
    insert,
    insert_for,
    inserted,
    larger,
    new_if_any,
    replaced,
    smaller,
    upsert,
)
from app.store.tables import facts

__all__ = [
    "RowId",
    "Store",
    "StoreBusy",
    "StoreError",
    "StoreFull",
    "StoreUnavailable",
    "UtcDateTime",
    "added",
    "delete_in_batches",
    "facts",
    "first_within",
    "in_batches",
    "insert",
    "insert_for",
    "inserted",
    "larger",
    "metadata",
    "new_if_any",
    "newest_revision",
    "partial_index",
    "replaced",
    "smaller",
    "upsert",
    "utc_now",
]
