"""The output of a first start: the URL and the credentials, printed once, after the log lines."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from app.output import say
from config import Config

# After this time, the credentials are printed even if the start is not complete.
WAIT_S = 10.0
POLL_S = 0.05


class LastWords:
    """Lines that wait until the service has started. Each line is printed exactly once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines: list[str] = []

    def add(self, lines: list[str]) -> None:
        """Add lines to print later."""
        with self._lock:
            self._lines += lines

    def print_now(self) -> None:
        """Print the waiting lines."""
        with self._lock:
            lines, self._lines = self._lines, []
        if lines:
            # On stderr: a program may read the output of a command, or a file may keep it.
            say(*lines, err=True)

    def print_when(self, has_started: Callable[[], bool], timeout_s: float = WAIT_S) -> None:
        """Print the lines from a thread when ``has_started`` returns true, or after the timeout."""
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
    """Hold back the lines of :func:`print_first_credentials`, and yield the object with them.

    If the start fails, the lines are printed at once, because they are stored nowhere else.
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
    """Print the new credentials of a first start, the URL they are for, and how to replace them."""
    if not made:
        return
    words = _held_back or LastWords()
    words.add(_lines(config, made))
    if words is not _held_back:
        words.print_now()


def _lines(config: Config, made: dict[str, str]) -> list[str]:
    """Return the lines: hints first, since what a person needs next must stand at the end."""
    lines = ["", "  First start: these are shown once and kept only as hashes."]
    if "token" in made:
        lines += [
            f"    API token     {made['token']}",
            "                  others: `flask token create NAME`, or set API_TOKEN",
        ]
    if "password" in made:
        lines += [
            f"    user          {config.ADMIN_USERNAME}",
            f"                  another password: `flask user passwd {config.ADMIN_USERNAME}`,"
            " or set ADMIN_PASSWORD",
        ]
    lines.append(f"    admin pages   {config.public_url}/admin/")
    if "password" in made:
        lines.append(f"    password      {made['password']}")
    return lines
