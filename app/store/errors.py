"""What a store can fail with::

StoreError
├── StoreBusy         another writer held the store for the whole bounded wait
├── StoreFull         the store has as much as it may have, and nothing of it may go
└── StoreUnavailable  the store cannot be used: disk full, read-only, gone, damaged
"""

from __future__ import annotations


class StoreError(Exception):
    """The store did not do what it was asked."""


class StoreBusy(StoreError):
    """Another writer held the store for the whole wait."""


class StoreFull(StoreError):
    """The store has as much as it may have, and nothing of it may go."""


class StoreUnavailable(StoreError):
    """The store cannot be used at the moment."""
