"""What can go wrong with vectors::

VectorError
├── EmbedderUnavailable   the model is not loaded (yet), or does not load
└── IndexFailure
    ├── IndexUnavailable  no answer, a late one, 429, 5xx: the same call may work later
    │   └── IndexMissing  it answers, but lost its collection: ``prepare`` makes it anew
    └── IndexRejected     it refuses us (401, 403, 400) or answers nonsense: a person must look
"""

from __future__ import annotations

RETRY_AFTER_S = 5


class VectorError(Exception):
    """Something about vectors did not work; the message never quotes a text or a secret.

    :param retry_after_s: seconds after which another try makes sense.
    """

    def __init__(self, message: str, retry_after_s: int = RETRY_AFTER_S) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class EmbedderUnavailable(VectorError):
    """The model is still being loaded, or cannot be."""


class IndexFailure(VectorError):
    """The index did not do what it was asked; SQL still has everything."""


class IndexUnavailable(IndexFailure):
    """The index does not answer, or has too much to do."""


class IndexMissing(IndexUnavailable):
    """The index has no collection for these vectors (any more)."""


class IndexRejected(IndexFailure):
    """The index refuses the call, or its answer makes no sense."""
