"""The store: one database, read in deferred transactions and written by one writer at a time.

database.py      ``Store``: engines, reading, writing, migrations
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

from app.store.database import (
    RowId,
    Store,
    StoreBusy,
    StoreError,
    StoreFull,
    StoreUnavailable,
    UtcDateTime,
    facts,
    insert,
    insert_for,
    inserted,
    metadata,
    newest_revision,
    utc_now,
)

__all__ = [
    "RowId",
    "Store",
    "StoreBusy",
    "StoreError",
    "StoreFull",
    "StoreUnavailable",
    "UtcDateTime",
    "facts",
    "insert",
    "insert_for",
    "inserted",
    "metadata",
    "newest_revision",
    "utc_now",
]
