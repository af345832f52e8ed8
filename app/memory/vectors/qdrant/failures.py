"""Map failures of Qdrant to errors of :mod:`app.memory.vectors.errors`, with the cause in words.

    no connection, no answer in time, connection broken off     IndexUnavailable
    408 409 425 429 5xx, also as a page of a proxy in front      IndexUnavailable, with Retry-After
    404 of a collection                                          IndexMissing
    any other status, redirects, answers that are not Qdrant's   IndexRejected

The words are our own. The text from Qdrant or a proxy is only written to the log.
"""

from __future__ import annotations

import json
from typing import NamedTuple

import httpcore
from pydantic import ValidationError

from app.memory.vectors.errors import (
    IndexFailure,
    IndexMissing,
    IndexRejected,
    IndexUnavailable,
)
from app.memory.vectors.network import Peer, causes, network_words, seconds_of

QDRANT = Peer(
    "Qdrant", "QDRANT_URL", "QDRANT_TIMEOUT_S", "start Qdrant", "look whether it restarts"
)
NOT_QDRANT = (
    "what answers at QDRANT_URL does not answer as Qdrant does: correct the address, or the proxy"
)
BUSY_HERE = "Qdrant has too many calls of this process under way: try again in a moment"
_TEMPORARY = {
    408: "did not get the request in time: look at its load",
    409: "is busy with another change: try again in a moment",
    425: "answered 425: try again in a moment",
    429: "has too much to do: try again later, or look at its limits",
}
_REFUSALS = {
    401: "Qdrant wants an API key, or another one: set QDRANT_API_KEY",
    403: "the API key may not do that: QDRANT_API_KEY needs the right to make collections",
    404: "there is no Qdrant at QDRANT_URL: correct port and path",
    413: "Qdrant takes no request that large: raise its limit",
}


class ClosedHere(IndexUnavailable):
    """This process closed the client. A new client works."""


class Answered(NamedTuple):
    """An answer with a status other than 200."""

    status: int
    text: str
    retry_after: str | None


def failure_of(error: Exception) -> IndexFailure:
    """Return the failure that an error of qdrant-client or of a lower layer means.

    :param error: any error that a call of the client raised.
    """
    if isinstance(error, IndexFailure):
        return error
    for cause in causes(error):
        known = _of_the_network(cause) or _of_an_answer(cause)
        if known is not None:
            return known
    return IndexRejected(NOT_QDRANT)


def server_words(error: Exception) -> str:
    """Return the text of the server's answer, for the log; empty if there is none."""
    answered = _answered(error)
    return "" if answered is None else f"{answered.status} {answered.text[:200]}".strip()


def _of_the_network(error: BaseException) -> IndexFailure | None:
    if isinstance(error, httpcore.PoolTimeout):
        return IndexUnavailable(BUSY_HERE)
    if isinstance(error, RuntimeError) and "closed" in str(error):
        return ClosedHere("the connection to Qdrant was closed here: try again")
    words = network_words(error, QDRANT)
    return None if words is None else IndexUnavailable(words)


def _of_an_answer(error: BaseException) -> IndexFailure | None:
    if isinstance(error, AssertionError | ValidationError | ValueError):
        return IndexRejected(NOT_QDRANT)  # JSONDecodeError is a ValueError too.
    answered = _answered(error)
    return None if answered is None else _of_status(answered)


def _answered(error: BaseException) -> Answered | None:
    from qdrant_client.common.client_exceptions import QdrantException, ResourceExhaustedResponse
    from qdrant_client.http.exceptions import UnexpectedResponse

    if isinstance(error, UnexpectedResponse):
        text = error.content.decode(errors="replace")
        return Answered(error.status_code or 0, text, error.headers.get("Retry-After"))
    if isinstance(error, ResourceExhaustedResponse):
        return Answered(429, error.message, str(error.retry_after_s))
    # The client could not read the Retry-After, for example a date.
    return Answered(429, "", None) if isinstance(error, QdrantException) else None


def _of_status(answered: Answered) -> IndexFailure:
    status = answered.status
    if status in _TEMPORARY or status >= 500:
        words = f"Qdrant {_TEMPORARY.get(status, f'answered {status}: its log says why')}"
        return IndexUnavailable(words, seconds_of(answered.retry_after))
    if status == 404 and _is_of_qdrant(answered.text):
        return IndexMissing(
            "Qdrant has no collection for these memories: it is made with the next call"
        )
    if 300 <= status < 400:
        return IndexRejected("QDRANT_URL leads elsewhere: set it to where it leads")
    return IndexRejected(
        _REFUSALS.get(status, f"Qdrant refused what it was asked ({status}): the log says why")
    )


def _is_of_qdrant(text: str) -> bool:
    """Return whether a body has the form of Qdrant's errors. A proxy's 404 has another meaning."""
    try:
        return bool(json.loads(text)["status"]["error"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return False
