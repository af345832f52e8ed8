"""The store: one database, read in deferred transactions and written by one writer at a time.

database.py      ``Store``: reading, writing, opening
engines.py       the engines of a store, and SQLite's pragmas
migrations.py    the schema's revisions
columns.py       metadata and column types      tables.py   facts about the store, leases
statements.py    INSERT where the row may exist already: ``upsert`` and its rules
driver.py        statements that the driver executes, for the intake
batches.py       long work in short transactions    errors.py   the errors of a store
writer_lock.py   one writer among the processes of a machine
leases.py        work that only one process at a time may do, as rows that expire
leased_task.py   a thread that works repeatedly while its process holds the lease
resting_task.py  a leased task in batches, with a rest after each
recording.py     whether the running code belongs to the tracker
paging.py        pages of a list
searching.py     case-insensitive search for a part of a text
integrity.py     checks the SQLite file, and replaces a damaged one
kept_keys.py     the rows that a damaged SQLite file must not lose
size.py          the size of a store on the disk, and its compaction
disks.py         the free space of the disks
"""

from app.store.batches import delete_in_batches, first_within, in_batches
from app.store.columns import RowId, UtcDateTime, metadata, partial_index, utc_now
from app.store.database import Store
from app.store.driver import DriverStatement, is_in
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
    "DriverStatement",
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
    "is_in",
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
