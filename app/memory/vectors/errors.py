"""Errors of embedders and indexes::

VectorError
├── EmbedderUnavailable   the model is not loaded yet or cannot be loaded, or its API fails
└── IndexFailure
    ├── IndexUnavailable  no answer, a late answer, 429, 5xx: the same call may work later
    │   └── IndexMissing  the index lost its collection: ``prepare`` creates it again
    └── IndexRejected     it refuses the call (401, 403, 400) or its answer is not valid: a
                          person must look
"""

from __future__ import annotations

RETRY_AFTER_S = 5


class VectorError(Exception):
    """An embedder or an index failed. The message never contains a memory's text or a secret.

    :param retry_after_s: seconds after which a client may try again.
    """

    def __init__(self, message: str, retry_after_s: int = RETRY_AFTER_S) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class EmbedderUnavailable(VectorError):
    """The model is still being loaded or cannot be loaded, or its API does not make vectors."""


class IndexFailure(VectorError):
    """The index did not carry out a call. SQL still has all data."""


class IndexUnavailable(IndexFailure):
    """The index does not answer, or is overloaded."""


class IndexMissing(IndexUnavailable):
    """The index has no collection for these vectors, or lost it."""


class IndexRejected(IndexFailure):
    """The index refuses the call, or its answer is not valid."""
