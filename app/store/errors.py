"""The errors of a store::

StoreError
├── StoreBusy         another writer held the store for the whole bounded wait
├── StoreFull         the store has reached its bound, and nothing in it may be removed
└── StoreUnavailable  the store cannot be used: disk full, read-only, missing, damaged
"""

from __future__ import annotations


class StoreError(Exception):
    """The store could not complete an operation."""


class StoreBusy(StoreError):
    """Another writer held the store for the whole wait."""


class StoreFull(StoreError):
    """The store has reached its bound, and nothing in it may be removed."""


class StoreUnavailable(StoreError):
    """The store cannot be used at the moment."""
