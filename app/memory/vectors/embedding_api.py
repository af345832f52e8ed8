"""The embedder behind a URL: any API that answers ``POST <EMBEDDER_URL>/embeddings`` as OpenAI's.

    texts ─▶ batches ─▶ one request each, within one time limit ─▶ checked rows, in order

A failed call raises :class:`EmbedderUnavailable` with the cause in words, and for some seconds no
request is sent. The key is sent to this URL only: redirects are not followed. What the server says
is neither shown nor logged, because it may repeat the text or the key. Only its error code is.

Source: https://platform.openai.com/docs/api-reference/embeddings/create, 2026-11-28.
"""

from __future__ import annotations

import json
import logging
import re
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import httpcore
import httpx
import numpy as np
from numpy.typing import NDArray

from app.memory.vectors.embedder import Embedded, EmbeddingApi
from app.memory.vectors.errors import EmbedderUnavailable
from app.memory.vectors.network import Peer, causes, network_words, seconds_of
from app.memory.vectors.transport import MAX_BYTES, AnswerTooLarge, Deadline, DeadlineTransport

# The most texts and characters of a request. OpenAI takes 2,048 texts with 300,000 tokens, others
# 32 texts.
BATCH_SIZE = 32
BATCH_CHARACTERS = 100_000
# The most concurrent calls. A web process has eight threads; the others serve requests without
# vectors.
MAX_CALLS = 4
SLOT_WAIT_S = 0.25
# A text that the model refuses is shortened by halves, but not below this many characters.
SHORTEST = 500
# A number has at most 25 bytes with its separator; the rest is room for white space.
BYTES_A_NUMBER = 40
# How long a failure that a person must mend keeps the service from calling again.
REFUSED_S = 30
# Statuses by which a server refuses a single text, mostly since it is too long for the model.
OF_THE_TEXT = (400, 413, 422)

API = Peer(
    "the embedding API",
    "EMBEDDER_URL",
    "EMBEDDER_TIMEOUT_S",
    "start it",
    "its log says why",
)
_REFUSALS = {
    401: "the embedding API wants a key, or another one: set EMBEDDER_API_KEY",
    402: "the embedding API wants to be paid (402): look at the account of EMBEDDER_API_KEY",
    403: "the embedding API does not allow this (403): EMBEDDER_API_KEY has no right to the model",
    404: "the embedding API has no such model, or there is none at EMBEDDER_URL (404): correct"
    " EMBEDDER_MODEL, or the address, which often ends in /v1",
    405: "there is no embedding API at EMBEDDER_URL (405): the address often ends in /v1",
    429: "the embedding API has too much to do, or a quota is used up (429): it is called again"
    " later",
}
_NONSENSE = (
    "what answers at EMBEDDER_URL does not answer as an embedding API does: correct the address, or"
    " the proxy"
)

log = logging.getLogger("app.vectors.embedder")


class Refused(EmbedderUnavailable):
    """The API refuses the request with a status that may be due to a text."""


class Answer(NamedTuple):
    """The rows of a request, and its number of tokens if the API says it."""

    rows: NDArray[np.float32]
    tokens: int | None


@dataclass
class _Pause:
    """For how long nothing is sent after a failure."""

    until: float = float("-inf")
    cause: EmbedderUnavailable | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


class ApiEmbedder:
    """Makes vectors with an embedding API; safe for threads."""

    def __init__(self, api: EmbeddingApi) -> None:
        self._api = api
        self.name, self.dims = api.space
        self._deadline = Deadline()
        self._transport = DeadlineTransport(self._deadline, MAX_CALLS, _proxy_for(api.url))
        self._slots = threading.BoundedSemaphore(MAX_CALLS)
        self._pause = _Pause()
        self._sends_dims = True

    @property
    def failure(self) -> str | None:
        """Why the last call failed, ``None`` if it did not."""
        return str(self._pause.cause) if self._pause.cause else None

    def embed(self, texts: Sequence[str]) -> Embedded:
        """Return one row for each text, in the order of the texts.

        A text that the model refuses, mostly since it is too long, is shortened. If it is refused
        nevertheless, its row is zero: the memory is then not found by its meaning.

        :raise EmbedderUnavailable: the API failed, or failed a moment ago.
        """
        self._check_pause()
        if not self._slots.acquire(timeout=SLOT_WAIT_S):
            raise EmbedderUnavailable(
                "the embedding API has too many calls of this process under way: try again in a"
                " moment"
            )
        try:
            answers = [self._batch(batch) for batch in _batches(texts)]
        except EmbedderUnavailable as error:
            self._note(error)
            raise
        finally:
            self._slots.release()
        if self._pause.cause is not None:
            log.info("the embedding API answers again")
        self._pause.cause = None
        counts = [answer.tokens for answer in answers]
        tokens = None if None in counts else sum(count or 0 for count in counts)
        rows = [answer.rows for answer in answers] or [np.zeros((0, self.dims), np.float32)]
        return Embedded(np.concatenate(rows), tokens)

    def close(self) -> None:
        """Close the connections. The next call opens new ones."""
        self._transport.close()

    def _check_pause(self) -> None:
        left, cause = self._pause.until - time.monotonic(), self._pause.cause
        if left > 0 and cause is not None:
            raise EmbedderUnavailable(str(cause), max(1, round(left))) from cause

    def _note(self, error: EmbedderUnavailable) -> None:
        with self._pause.lock:
            if str(self._pause.cause) != str(error):
                log.warning("%s", error)
            self._pause.cause = error
            self._pause.until = time.monotonic() + error.retry_after_s

    def _batch(self, texts: Sequence[str]) -> Answer:
        self._deadline.within(self._api.timeout_s)
        try:
            return self._ask(texts)
        except Refused as refused:
            # Only a refusal of any text is a failure of the API.
            try:
                self._ask(["text"])
            except Refused:
                raise refused from None
            return self._one_by_one(texts)

    def _one_by_one(self, texts: Sequence[str]) -> Answer:
        """Embed texts of which the model refuses some."""
        self._deadline.within(self._api.timeout_s)
        if len(texts) > 1:
            middle = len(texts) // 2
            halves = [self._half(texts[:middle]), self._half(texts[middle:])]
            return Answer(np.concatenate([half.rows for half in halves]), None)
        [text] = texts
        while len(text) > SHORTEST:
            text = text[: max(len(text) // 2, SHORTEST)]
            try:
                return self._ask([text])
            except Refused:
                continue
        log.warning("the embedding API refuses a text of %d characters", len(texts[0]))
        return Answer(np.zeros((1, self.dims), np.float32), None)

    def _half(self, texts: Sequence[str]) -> Answer:
        self._deadline.within(self._api.timeout_s)
        try:
            return self._ask(texts)
        except Refused:
            return self._one_by_one(texts)

    def _ask(self, texts: Sequence[str]) -> Answer:
        """Send one request.

        Models with a fixed number of dimensions may refuse the field ``dimensions``, so the request
        is sent again without it.
        """
        if not self._sends_dims:
            return self._send(texts, {})
        try:
            return self._send(texts, {"dimensions": self.dims})
        except Refused:
            answer = self._send(texts, {})
        self._sends_dims = False
        return answer

    def _send(self, texts: Sequence[str], more: dict[str, int]) -> Answer:
        body = {"model": self._api.model, "input": list(texts), **more}
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            # The size of a compressed answer is not known before it is unpacked.
            "Accept-Encoding": "identity",
            "User-Agent": "DevEnviro",
        }
        if self._api.key is not None:
            headers["Authorization"] = f"Bearer {self._api.key}"
        request = httpx.Request(
            "POST",
            f"{self._api.url}/embeddings",
            headers=headers,
            content=json.dumps(body).encode(),
            extensions={MAX_BYTES: 65_536 + len(texts) * (1_000 + BYTES_A_NUMBER * self.dims)},
        )
        try:
            answer = self._transport.handle_request(request)
        except AnswerTooLarge as error:
            raise EmbedderUnavailable(
                f"the embedding API answers more than {self.dims} numbers for a text: does"
                " EMBEDDER_DIMS fit EMBEDDER_MODEL?",
                REFUSED_S,
            ) from error
        except Exception as error:
            raise _failure_of(error) from error
        if answer.status_code != 200:
            raise _refusal(answer)
        try:
            return _rows_of(answer.content, len(texts), self.dims)
        except EmbedderUnavailable:
            raise
        except (ValueError, TypeError, KeyError, RecursionError, OverflowError) as error:
            raise EmbedderUnavailable(_NONSENSE, REFUSED_S) from error


def _batches(texts: Sequence[str]) -> Iterator[list[str]]:
    """Yield the texts in parts that one request may have."""
    batch: list[str] = []
    size = 0
    for text in texts:
        if batch and (len(batch) == BATCH_SIZE or size + len(text) > BATCH_CHARACTERS):
            yield batch
            batch, size = [], 0
        batch.append(text or " ")  # OpenAI refuses empty texts.
        size += len(text)
    if batch:
        yield batch


def _rows_of(content: bytes, count: int, dims: int) -> Answer:
    """Return the vectors of an answer, sorted by their ``index``.

    :raise EmbedderUnavailable: a vector has another number of dimensions.
    :raise Exception: the answer has another shape.
    """
    answer: Any = json.loads(content)
    given = answer["data"]
    if sorted(item["index"] for item in given) != list(range(count)):
        raise EmbedderUnavailable(
            f"the embedding API did not answer one vector for each of {count} texts", REFUSED_S
        )
    vectors = [item["embedding"] for item in sorted(given, key=lambda item: item["index"])]
    if not all(isinstance(vector, list) for vector in vectors):
        raise ValueError("a vector is a list of numbers")
    for vector in vectors:
        if len(vector) != dims:
            raise EmbedderUnavailable(
                f"EMBEDDER_MODEL makes vectors of {len(vector)} dimensions, and EMBEDDER_DIMS says"
                f" {dims}: correct it",
                REFUSED_S,
            )
        if any(type(number) not in (int, float) for number in vector):
            raise ValueError("a vector is a list of numbers")
    rows = np.array(vectors, np.float64).reshape(count, dims)
    if not (np.abs(rows) < 1e30).all():  # NaN is not smaller either.
        raise ValueError("a number is not finite")
    usage = answer.get("usage")
    tokens = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    is_count = type(tokens) is int and 0 <= tokens < 2**53
    return Answer(rows.astype(np.float32), tokens if is_count else None)


def _refusal(answer: httpx.Response) -> EmbedderUnavailable:
    status, wait = answer.status_code, seconds_of(answer.headers.get("Retry-After"))
    code = _code_of(answer.content)
    if status in OF_THE_TEXT:
        return Refused(
            f"the embedding API refuses what it was asked ({status}{code}): do EMBEDDER_MODEL and"
            " EMBEDDER_DIMS fit it?",
            REFUSED_S,
        )
    if 300 <= status < 400:
        return EmbedderUnavailable(
            "EMBEDDER_URL leads elsewhere: set it to where it leads", REFUSED_S
        )
    if status in _REFUSALS:
        is_mended_here = status != 429
        return EmbedderUnavailable(_REFUSALS[status], REFUSED_S if is_mended_here else wait)
    if status >= 500 or status in (408, 425):
        return EmbedderUnavailable(f"the embedding API answered {status}{code}", wait)
    return EmbedderUnavailable(f"the embedding API refuses the request ({status}{code})", REFUSED_S)


def _code_of(content: bytes) -> str:
    """Return the code of an error, such as ``, model_not_found``, if it is one word."""
    try:
        error = json.loads(content[:65_536])["error"]
        code = error["code"] or error["type"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return ""
    is_word = isinstance(code, str) and re.fullmatch(r"[a-z]+(_[a-z]+){0,6}", code[:61])
    return f", {code}" if is_word else ""


def _failure_of(error: Exception) -> EmbedderUnavailable:
    if isinstance(error, httpcore.PoolTimeout):
        return EmbedderUnavailable(
            "the embedding API has too many calls under way: try again in a moment"
        )
    for cause in causes(error):
        words = network_words(cause, API)
        if words is not None:
            return EmbedderUnavailable(words)
    return EmbedderUnavailable(_NONSENSE, REFUSED_S)


def _proxy_for(url: str) -> httpcore.Proxy | None:
    """Return the proxy for an address. Only ``https:`` uses one: through it the proxy sees neither
    key nor text.
    """
    parts = urlsplit(url)
    named = urllib.request.getproxies()
    found = named.get("https") or named.get("all")
    host = f"{parts.hostname}:{parts.port or 443}"
    if parts.scheme != "https" or not found or urllib.request.proxy_bypass(host):
        return None
    proxy = urlsplit(found if "://" in found else f"http://{found}")
    if not proxy.hostname or proxy.scheme not in ("http", "https"):
        return None
    has_login = proxy.username is not None
    return httpcore.Proxy(
        f"{proxy.scheme}://{proxy.hostname}:{proxy.port or 3128}",
        auth=(unquote(proxy.username or ""), unquote(proxy.password or "")) if has_login else None,
    )
