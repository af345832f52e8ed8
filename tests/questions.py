"""The questions that a page asks of the store, counted where the driver gets them.

``DriverStatement`` goes around SQLAlchemy's events, so they do not see all of them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, event

from app.store import driver

ASKING = ("SELECT", "WITH")


@contextmanager
def questions() -> Iterator[list[str]]:
    """Yield the list of the questions that this thread asks; the caller may clear it in between.

    Other threads count requests meanwhile.
    """
    asked: list[str] = []
    own = threading.get_ident()

    def note(statement: str) -> None:
        if statement.startswith(ASKING) and threading.get_ident() == own:
            asked.append(statement)

    def of_sqlalchemy(_c: object, _cursor: object, statement: str, *_: object) -> None:
        note(statement)

    plain = driver._with_cursor

    def of_driver(conn: Any, text: str, *arguments: Any) -> Any:
        note(text)
        return plain(conn, text, *arguments)

    event.listen(Engine, "before_cursor_execute", of_sqlalchemy)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(driver, "_with_cursor", of_driver)
            yield asked
    finally:
        event.remove(Engine, "before_cursor_execute", of_sqlalchemy)
