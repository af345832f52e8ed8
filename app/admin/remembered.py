"""HTML that takes long to make and depends on nothing that can change."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable


class Remembered:
    """The texts that were used last, up to a number of characters in total.

    The key has to be everything that the text depends on. It is not counted, so it must not be
    longer than the text.

    :param max_characters: of all texts; a longer text is not remembered.
    """

    def __init__(self, max_characters: int) -> None:
        self._max = max_characters
        self._lock = threading.Lock()
        self._texts: OrderedDict[Hashable, str] = OrderedDict()
        self.characters = 0

    def get(self, key: Hashable) -> str | None:
        """Return a text, ``None`` if it is not remembered."""
        with self._lock:
            found = self._texts.get(key)
            if found is not None:
                self._texts.move_to_end(key)
            return found

    def put(self, key: Hashable, text: str) -> None:
        """Remember a text, and forget those that were not used for the longest time."""
        with self._lock:
            if key in self._texts or len(text) > self._max:
                return
            self._texts[key] = text
            self.characters += len(text)
            while self.characters > self._max:
                self.characters -= len(self._texts.popitem(last=False)[1])
