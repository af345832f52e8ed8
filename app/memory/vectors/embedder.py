"""The embedder: what makes a vector of a text.

The setting ``EMBEDDER`` names it: ``wordllama``, whose weights come in its wheel, or
``module:factory``, a callable without arguments that returns something like :class:`Embedder`. It
is loaded by a thread when the first text comes, so that neither start nor health wait for it; who
comes meanwhile waits for a bounded time.
"""

from __future__ import annotations

import importlib
import logging
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from app.memory.vectors.errors import EmbedderUnavailable
from app.memory.vectors.index import Space
from app.memory.vectors.packing import unit

log = logging.getLogger("app.tracker")

WORDLLAMA = "wordllama"
# wordllama takes 0.3 s of CPU, more where a machine is busy or its disk is cold.
WAIT_S = 5.0
# A model that does not load is not tried again at once: a person has to do something.
RETRY_S = 60.0
MAX_NAME = 100


class Embedded(NamedTuple):
    """Texts as vectors, a row each; ``tokens`` is what they were to the model, if it says so."""

    vectors: NDArray[np.float32]
    tokens: int | None


class Embedder(Protocol):
    """What makes vectors of texts; called by several threads."""

    @property
    def name(self) -> str:
        """Of the model, at most 100 characters; another name means vectors of another space."""

    @property
    def dims(self) -> int:
        """How many numbers a vector has."""

    def embed(self, texts: Sequence[str]) -> Embedded:
        """Return a row for each text; their length does not matter."""


class WordLlamaEmbedder:
    """Static token embeddings, mean pooled: 256 dimensions, English first of all, no network."""

    name = "wordllama/l2_supercat_256"
    dims = 256

    def __init__(self) -> None:
        # Threads of the tokenizer help batches alone, and it warns at every later fork.
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        wordllama: Any = importlib.import_module("wordllama")
        # It looks for its tokenizer in a folder that its wheel names otherwise, and would download
        # it; as a cache it takes the wheel itself.
        folder = Path(wordllama.__file__).parent
        self._model = wordllama.WordLlama.load(cache_dir=folder, disable_download=True)

    def embed(self, texts: Sequence[str]) -> Embedded:
        """Return a row for each text."""
        rows = np.zeros((len(texts), self.dims), np.float32)
        tokens = 0
        # One by one: a batch is padded to its longest text, 1 KiB for every token of every text.
        for number, text in enumerate(texts):
            [encoded] = self._model.tokenize([text])
            if encoded.ids:
                rows[number] = self._model.embedding[encoded.ids].mean(axis=0)
            tokens += len(encoded.ids)
        return Embedded(rows, tokens)


class EmbedderSource:
    """Loads the embedder of a process when it is first needed.

    :param setting: ``wordllama`` or ``module:factory``.
    """

    def __init__(self, setting: str = WORDLLAMA) -> None:
        self._setting = setting
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._thread: threading.Thread | None = None
        self._embedder: Embedder | None = None
        self._failed_at = float("-inf")

    @property
    def space(self) -> Space | None:
        """Whose vectors it makes, ``None`` while only loading it would tell."""
        if self._setting == WORDLLAMA:
            return Space(WordLlamaEmbedder.name, WordLlamaEmbedder.dims)
        return space_of(self._embedder) if self._embedder else None

    @property
    def state(self) -> str:
        """``loaded``, ``loading``, ``failed`` or ``idle``, where nobody has needed it yet."""
        if self._embedder is not None:
            return "loaded"
        if self._thread is not None:
            return "loading"
        return "failed" if self._failed_at > float("-inf") else "idle"

    def get(self, timeout_s: float = WAIT_S) -> Embedder:
        """Return the embedder, loaded by now.

        :param timeout_s: seconds to wait for it at most.
        :raise EmbedderUnavailable: it takes longer, or does not load.
        """
        if self._embedder is None:
            self._begin()
            self._done.wait(timeout_s)
        if self._embedder is not None:
            return self._embedder
        if self._thread is not None:
            raise EmbedderUnavailable("the embedder is still being loaded: try again in a moment")
        raise EmbedderUnavailable(
            f"the embedder {self._setting!r} does not load: the log says why, EMBEDDER names it",
            int(RETRY_S),
        )

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


def load(setting: str) -> Embedder:
    """Return a new embedder; takes a while.

    :raise ValueError: what the factory returns is none. :raise ImportError: there is no factory.
    """
    if setting == WORDLLAMA:
        return WordLlamaEmbedder()
    module, _, factory = setting.partition(":")
    embedder: Embedder = getattr(importlib.import_module(module), factory)()
    if not 0 < len(embedder.name) <= MAX_NAME or embedder.dims < 1:
        raise ValueError("an embedder needs a name of at most 100 characters, and dimensions")
    return embedder


def space_of(embedder: Embedder) -> Space:
    """Return whose vectors it makes."""
    return Space(embedder.name, embedder.dims)


def embed(embedder: Embedder, texts: Sequence[str]) -> Embedded:
    """Return texts as vectors of unit length.

    :raise EmbedderUnavailable: it fails, or what it returns are no such vectors.
    """
    try:
        vectors, tokens = embedder.embed(texts)
        rows = unit(np.asarray(vectors, np.float32).reshape(len(texts), embedder.dims))
    except Exception as error:
        raise EmbedderUnavailable(f"the embedder failed: {type(error).__name__}") from error
    return Embedded(rows, tokens)
