"""The embedder makes vectors of texts.

The setting ``EMBEDDER`` names it. It is ``wordllama``, whose weights are in its wheel, or
``module:factory``, a callable without arguments that returns an object like :class:`Embedder`. With
``EMBEDDER_URL`` it is an API (:mod:`.embedding_api`). A thread loads the embedder when the first
text comes. So neither the start nor health waits for it. Requests that come meanwhile wait for it
with a time limit.
"""

from __future__ import annotations

import importlib
import logging
import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from app.memory.vectors.errors import EmbedderUnavailable
from app.memory.vectors.index import Space
from app.memory.vectors.packing import unit
from config import Config

log = logging.getLogger("app.tracker")

WORDLLAMA = "wordllama"
# Loading wordllama takes 0.3 s of CPU, and longer if the machine is busy or the disk cache is cold.
WAIT_S = 5.0
# A model that fails to load is not loaded again at once, because a person must act first.
RETRY_S = 60.0
MAX_NAME = 100


class Embedded(NamedTuple):
    """Vectors of texts, one row for each. ``tokens`` is their number of tokens, if it is known."""

    vectors: NDArray[np.float32]
    tokens: int | None


class Embedder(Protocol):
    """Makes vectors of texts. Several threads may call it."""

    @property
    def name(self) -> str:
        """Name of the model, at most 100 characters. Another name means another vector space."""

    @property
    def dims(self) -> int:
        """The number of dimensions of a vector."""

    def embed(self, texts: Sequence[str]) -> Embedded:
        """Return one row for each text. The rows need not have unit length."""


@dataclass(frozen=True)
class EmbeddingApi:
    """The address of an embedding API, and the model to ask it for.

    :param url: without a slash at the end and without ``/embeddings``.
    :param timeout_s: limit for a call, in seconds.
    """

    url: str
    model: str
    dims: int
    key: str | None = field(default=None, repr=False)
    timeout_s: float = 10.0

    @property
    def space(self) -> Space:
        """The space of its vectors. Vectors of the same model with other dimensions have another
        name, because they cannot be compared.
        """
        return Space(f"{self.model}@{self.dims}", self.dims)


class WordLlamaEmbedder:
    """Static token embeddings, mean pooled: 256 dimensions, mainly for English, no network."""

    name = "wordllama/l2_supercat_256"
    dims = 256

    def __init__(self) -> None:
        # The tokenizer's threads only help with batches, and with them it warns at every fork.
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        wordllama: Any = importlib.import_module("wordllama")
        # wordllama looks for its tokenizer in a folder that has another name in the wheel, and
        # would download it. With the wheel as its cache it finds the file.
        folder = Path(wordllama.__file__).parent
        self._model = wordllama.WordLlama.load(cache_dir=folder, disable_download=True)

    def embed(self, texts: Sequence[str]) -> Embedded:
        """Return one row for each text."""
        rows = np.zeros((len(texts), self.dims), np.float32)
        tokens = 0
        # One text at a time: a batch is padded to its longest text, with 1 KiB for every token of
        # every text.
        for number, text in enumerate(texts):
            [encoded] = self._model.tokenize([text])
            if encoded.ids:
                rows[number] = self._model.embedding[encoded.ids].mean(axis=0)
            tokens += len(encoded.ids)
        return Embedded(rows, tokens)


class EmbedderSource:
    """Loads the embedder of a process on its first use.

    :param setting: ``wordllama``, ``module:factory`` or an API.
    """

    def __init__(self, setting: str | EmbeddingApi = WORDLLAMA) -> None:
        self._setting = setting
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._thread: threading.Thread | None = None
        self._embedder: Embedder | None = None
        self._failed_at = float("-inf")

    @property
    def space(self) -> Space | None:
        """The space of its vectors, ``None`` if it is not known before the embedder is loaded."""
        if isinstance(self._setting, EmbeddingApi):
            return self._setting.space
        if self._setting == WORDLLAMA:
            return Space(WordLlamaEmbedder.name, WordLlamaEmbedder.dims)
        return space_of(self._embedder) if self._embedder else None

    @property
    def is_local(self) -> bool:
        """Whether it is known to send the texts nowhere."""
        return self._setting == WORDLLAMA

    @property
    def failure(self) -> str | None:
        """Why it made no vectors when it was last asked, ``None`` if it did, or if it was not."""
        if self.state == "failed":
            return self._load_failure
        return getattr(self._embedder, "failure", None)

    @property
    def state(self) -> str:
        """``loaded``, ``loading``, ``failed``, or ``idle`` if it was not needed yet."""
        if self._embedder is not None:
            return "loaded"
        if self._thread is not None:
            return "loading"
        return "failed" if self._failed_at > float("-inf") else "idle"

    def get(self, timeout_s: float = WAIT_S) -> Embedder:
        """Return the embedder after it is loaded.

        :param timeout_s: the longest time to wait, in seconds.
        :raise EmbedderUnavailable: loading takes longer or fails.
        """
        if self._embedder is None:
            self._begin()
            self._done.wait(timeout_s)
        if self._embedder is not None:
            return self._embedder
        if self._thread is not None:
            raise EmbedderUnavailable("the embedder is still being loaded: try again in a moment")
        raise EmbedderUnavailable(self._load_failure, int(RETRY_S))

    @property
    def _load_failure(self) -> str:
        return f"the embedder {self._setting!r} does not load: the log says why, EMBEDDER names it"

    def _begin(self) -> None:
        with self._lock:
            failed_lately = time.monotonic() < self._failed_at + RETRY_S
            if self._embedder is not None or self._thread is not None or failed_lately:
                return
            self._done.clear()
            self._thread = threading.Thread(target=self._load, name="embedder", daemon=True)
            self._thread.start()

    def _load(self) -> None:
        try:
            self._embedder = load(self._setting)
        except Exception:
            log.exception("the embedder %r does not load", self._setting)
            self._failed_at = time.monotonic()
        finally:
            self._thread = None
            self._done.set()


def source_of(config: Config) -> EmbedderSource:
    """Return the embedder of the settings."""
    if config.EMBEDDER_URL is None:
        return EmbedderSource(config.EMBEDDER)
    # The settings were checked: with the address they have a model and its dimensions.
    return EmbedderSource(
        EmbeddingApi(
            config.EMBEDDER_URL,
            config.EMBEDDER_MODEL or "",
            config.EMBEDDER_DIMS or 0,
            config.EMBEDDER_API_KEY,
            config.EMBEDDER_TIMEOUT_S,
        )
    )


def load(setting: str | EmbeddingApi) -> Embedder:
    """Load and return a new embedder. This takes a while.

    :raise ValueError: the factory does not return a valid embedder.
    :raise ImportError: the module cannot be imported.
    """
    if isinstance(setting, EmbeddingApi):
        from app.memory.vectors.embedding_api import ApiEmbedder

        return ApiEmbedder(setting)
    if setting == WORDLLAMA:
        return WordLlamaEmbedder()
    module, _, factory = setting.partition(":")
    embedder: Embedder = getattr(importlib.import_module(module), factory)()
    if not 0 < len(embedder.name) <= MAX_NAME or embedder.dims < 1:
        raise ValueError("an embedder needs a name of at most 100 characters, and dimensions")
    return embedder


def space_of(embedder: Embedder) -> Space:
    """Return the space of an embedder's vectors."""
    return Space(embedder.name, embedder.dims)


def embed(embedder: Embedder, texts: Sequence[str]) -> Embedded:
    """Return vectors of unit length for texts.

    :raise EmbedderUnavailable: the embedder fails or returns invalid vectors.
    """
    try:
        vectors, tokens = embedder.embed(texts)
        rows = unit(np.asarray(vectors, np.float32).reshape(len(texts), embedder.dims))
    except EmbedderUnavailable:
        raise
    except Exception as error:
        raise EmbedderUnavailable(f"the embedder failed: {type(error).__name__}") from error
    return Embedded(rows, tokens)
