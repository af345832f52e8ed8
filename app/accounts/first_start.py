"""What a first start shows once: the address and the credentials, behind everything it logs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from app.output import say
from config import Config

# A start that takes longer does not hide its credentials.
WAIT_S = 10.0
POLL_S = 0.05


class LastWords:
    """Lines that wait until the service has started; each is printed once, whatever happens."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines: list[str] = []

    def add(self, lines: list[str]) -> None:
        """Keep lines."""
        with self._lock:
            self._lines += lines

    def print_now(self) -> None:
        """Print what there is."""
        with self._lock:
            lines, self._lines = self._lines, []
        if lines:
            # On stderr: the output of a command may be read by a program, or kept.
            say(*lines, err=True)

    def print_when(self, has_started: Callable[[], bool], timeout_s: float = WAIT_S) -> None:
        """Print, from a thread, as soon as everything has started, or after so many seconds."""
        if self._lines:
            threading.Thread(
                target=self._wait, args=(has_started, timeout_s), name="first start", daemon=True
            ).start()

    def _wait(self, has_started: Callable[[], bool], timeout_s: float) -> None:
        ends_at = time.monotonic() + timeout_s
        while not has_started() and time.monotonic() < ends_at:
            time.sleep(POLL_S)
        self.print_now()


_held_back: LastWords | None = None


@contextmanager
def held_back() -> Iterator[LastWords]:
    """Yield what takes the lines of :func:`print_first_credentials` meanwhile.

    A start that fails prints them at once: they are kept nowhere else.
    """
    global _held_back
    words = _held_back = LastWords()
    try:
        yield words
    except BaseException:
        words.print_now()
        raise
    finally:
        _held_back = None


def print_first_credentials(config: Config, made: dict[str, str]) -> None:
    """Print, once, what the first start made, where it is for, and how to replace it."""
    if not made:
        return
    words = _held_back or LastWords()
    words.add(_lines(config, made))
    if words is not _held_back:
        words.print_now()


def _lines(config: Config, made: dict[str, str]) -> list[str]:
    lines = [
        "",
        "  First start: these are shown once and kept only as hashes.",
        f"    admin pages   {config.public_url}/admin/",
    ]
    if "password" in made:
        lines += [
            f"    user          {config.ADMIN_USERNAME}",
            f"    password      {made['password']}",
            f"                  another one: `flask user passwd {config.ADMIN_USERNAME}`,"
            " or set ADMIN_PASSWORD",
        ]
    if "token" in made:
        lines += [
            f"    API token     {made['token']}",
            "                  others: `flask token create NAME`, or set API_TOKEN",
        ]
    return [*lines, ""]
